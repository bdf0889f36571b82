"""The one way a Gemini reading fails: everything between the prepared image and a valid answer ends here.

The task turns it into a stored `UnavailableReading`; it never crosses into fusion.
"""

from shared.contracts import UnavailableReason


class ReadingFailedError(Exception):
    """There is no reading, and why.

    `detail` is a sentence of ours for a person: never the server's own text, which may echo the request
    or the key. `retry_after_s` is how long the server asked us to wait, where it did.
    """

    def __init__(self, reason: UnavailableReason, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.retry_after_s = retry_after_s


class NotSentError(ReadingFailedError):
    """We ourselves did not let the request out: the circuit is open, or a limit of ours is reached."""
