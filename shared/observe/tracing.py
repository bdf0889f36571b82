"""Traces of a job over all processes it comes by, where a setting says whom to send them to (OpenTelemetry).

The context travels in the job's record, as a W3C `traceparent`: a message is only a hint and may be lost or repeated. A
span says which job, which stage and which attempt, and the kind of an error: nothing that anybody wrote, so no message
of an exception either. Without the setting nothing of the library is loaded for it, and none of this costs anything.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.settings import Settings

if TYPE_CHECKING:
    from shared.observe.otel import Tracing

_tracing: "Tracing | None" = None

Attribute = str | int | float


def start(settings: Settings, service: str) -> None:
    """Send this process's spans to `otlp_endpoint`, if there is one. Call before any fork; children send their own."""
    global _tracing  # noqa: PLW0603 - one a process, as its log
    if not settings.otlp_endpoint:
        return
    # Here, not at the top: who sends no traces does not load the library.
    from shared.observe.otel import Tracing  # noqa: PLC0415

    _tracing = Tracing(settings.otlp_endpoint, service)


@contextmanager
def span(name: str, *, parent: str | None = None, **attributes: Attribute) -> Iterator[None]:
    """What happens in the block, under the span around it or, where one is given, under a `parent` elsewhere."""
    if _tracing is None:
        yield
    else:
        with _tracing.span(name, parent, attributes):
            yield


def passed(name: str, seconds: float) -> None:
    """A span of what just ended and took so long."""
    if _tracing is not None:
        end_ns = time.time_ns()
        _tracing.record(name, end_ns - int(seconds * 1e9), end_ns)


def describe(name: str, **attributes: Attribute) -> None:
    """What the span around this turned out to be."""
    if _tracing is not None:
        _tracing.describe(name, attributes)


def carried() -> str | None:
    """The span around this as a `traceparent`, for the record of a job; None without traces."""
    return None if _tracing is None else _tracing.carried()
