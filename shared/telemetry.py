"""Logging: one JSON object a line for machines, plain lines on a terminal. Never metadata, names or pixels."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from shared.settings import Settings

#: What callers may attach to a line with `extra=`; anything else is dropped on purpose.
FIELDS = ("job", "key", "stage", "attempt", "code", "duration_ms", "status", "method", "route", "count")


#: Celery says of every message that it was received and that it succeeded: half of a worker's log, and no news.
_TWO_LINES_A_MESSAGE = ("celery.worker.strategy", "celery.app.trace")


def configure(settings: Settings, service: str) -> None:
    """Send every log line of this process to standard error in the form the settings ask for."""
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Text(service) if as_text else _Json(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name in _TWO_LINES_A_MESSAGE:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


class _Json(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
            **_attached(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _Text(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__(f"%(asctime)s {service} %(levelname)s %(message)s", datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        attached = " ".join(f"{name}={value}" for name, value in _attached(record).items())
        return f"{super().format(record)} {attached}".rstrip()


def _attached(record: logging.LogRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
