"""Tells a server that will not have us from one that is away: the first is an operator's mistake, and stays.

Ledger and broker ask here. What is told quotes no library's message: those hold host names, and may hold more.
"""

import ssl
from collections.abc import Iterator

import redis
from amqp import exceptions as amqp  # type: ignore[import-untyped]

#: The first that fits. Subclasses stand before their base.
_REFUSALS: tuple[tuple[type[BaseException], str], ...] = (
    (redis.exceptions.AuthenticationError, "refuses the user or the password in it"),
    (redis.exceptions.AuthorizationError, "refuses the user or the password in it"),
    (redis.exceptions.NoPermissionError, "lets this user do too little (deploy/valkey/ has what it takes)"),
    (amqp.AccessRefused, "refuses the user or the password in it"),
    (amqp.NotAllowed, "has no such virtual host, or lets this user do nothing there"),
    (amqp.PreconditionFailed, "has a queue with a name of ours that is of another kind: delete that queue"),
    (ssl.SSLCertVerificationError, "shows a certificate that we do not trust (MEDISCAN_REDIS_CA_FILE)"),
    (ssl.SSLError, "does not agree with us on TLS (MEDISCAN_REDIS_CA_FILE, or a port without TLS)"),
)


def why_refused(error: BaseException) -> str | None:
    """How the server refuses us, as the end of a sentence about its URL; None where it is merely away."""
    for cause in _chain(error):
        for kind, sentence in _REFUSALS:
            if isinstance(cause, kind):
                return sentence
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    # redis-py and kombu raise their own error while they handle the one that tells.
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
