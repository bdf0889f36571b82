"""Logging: one JSON object a line for machines, plain lines on a terminal. Never metadata, names or pixels.

What the settings hold as secret is struck out of every line, whoever wrote it: libraries quote URLs and keys.
Which job a line is about is said once, with `about`, and stands on every line written meanwhile.
"""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import Any

from shared.names import JobRef
from shared.settings import Settings

#: What one line at a job's end tells of it (`services/fusion/story.py`).
STORY = (
    *("state", "priority", "label", "agreement", "fallback", "abstained", "review", "model"),
    *("total_ms", "ml_queued_ms", "ml_ms", "gemini_queued_ms", "gemini_ms", "fusion_queued_ms", "fusion_ms"),
    *("decode_ms", "infer_ms", "gemini_call_ms", "ml_attempts", "gemini_attempts", "fusion_attempts"),
    *("size_bytes", "width", "height"),
)

#: What callers may attach to a line with `extra=`; anything else is dropped on purpose.
FIELDS = (
    *("request", "key", "tenant", "job", "stage", "attempt", "code"),
    *("duration_ms", "status", "method", "route", "count"),
    *STORY,
)

_about: ContextVar[Mapping[str, object]] = ContextVar("about", default=MappingProxyType({}))


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Attach these fields to every line of this thread or task while the block runs; a JobRef as `job`."""
    before = _about.set({**_about.get(), **fields})
    try:
        yield
    finally:
        _about.reset(before)


def note(**fields: object) -> None:
    """The same for as long as the task lives: what a request turned out to be about."""
    _about.set({**_about.get(), **fields})


#: Celery says of every message that it was received and that it succeeded: half of a worker's log, and no news.
_TWO_LINES_A_MESSAGE = ("celery.worker.strategy", "celery.app.trace")

#: Pillow writes every EXIF value it reads to its debug log; a patient's name may be one.
_QUOTES_THE_IMAGE = "PIL"


def configure(settings: Settings, service: str) -> None:
    """Send every log line of this process to standard error in the form the settings ask for."""
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    hide = _Hide(settings.secrets)
    handler.setFormatter(_Text(service, hide) if as_text else _Json(service, hide))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name in _TWO_LINES_A_MESSAGE:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    logging.getLogger(_QUOTES_THE_IMAGE).setLevel(logging.WARNING)
    # Python's own would write the error as it is.
    sys.excepthook = _log_uncaught


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        logging.getLogger(__name__).critical("stopped by an unexpected error", exc_info=(kind, error, trace))


class _Hide:
    """Strikes secrets out of a text, the longest first: one may be part of another."""

    def __init__(self, secrets: frozenset[str]) -> None:
        self._secrets = sorted(secrets, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


class _Json(logging.Formatter):
    def __init__(self, service: str, hide: _Hide) -> None:
        super().__init__()
        self._service = service
        self._hide = hide

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": self._hide(record.getMessage()),
            **_attached(record),
        }
        if record.exc_info:
            line["exception"] = self._hide(self.formatException(record.exc_info))
        return json.dumps(line)


class _Text(logging.Formatter):
    def __init__(self, service: str, hide: _Hide) -> None:
        super().__init__(f"%(asctime)s {service} %(levelname)s %(message)s", datefmt="%H:%M:%S")
        self._hide = hide

    def format(self, record: logging.LogRecord) -> str:
        attached = " ".join(f"{name}={value}" for name, value in _attached(record).items())
        return self._hide(f"{super().format(record)} {attached}".rstrip())


def _attached(record: logging.LogRecord) -> dict[str, Any]:
    known = {**_about.get(), **record.__dict__}
    if isinstance(job := known.get("job"), JobRef):
        known |= {"tenant": job.tenant, "job": job.job_id}
    return {name: known[name] for name in FIELDS if name in known}
