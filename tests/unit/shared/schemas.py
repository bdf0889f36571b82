"""The JSON schema of every message, kept in `snapshots/` so that a change of the wire format is seen in review.

Refresh them with `.venv/bin/python -m tests.unit.shared.schemas`.
"""

import json
from pathlib import Path

from pydantic import BaseModel

from shared import contracts

SNAPSHOTS = Path(__file__).parent / "snapshots"


def messages() -> dict[str, type[BaseModel]]:
    """Every message class of `shared.contracts` by name."""
    found = {
        name: value
        for name, value in vars(contracts).items()
        if isinstance(value, type) and value.__module__ == contracts.__name__ and issubclass(value, BaseModel)
    }
    return {name: message for name, message in sorted(found.items()) if message is not contracts.Message}


def schema(message: type[BaseModel]) -> str:
    """As a client reads what we send."""
    return json.dumps(message.model_json_schema(mode="serialization"), indent=2, sort_keys=True) + "\n"


def path(name: str) -> Path:
    """Where a message's snapshot is kept."""
    return SNAPSHOTS / f"{name}.json"


def refresh() -> None:
    """Write every snapshot anew and remove those of messages that are no more."""
    for old in SNAPSHOTS.glob("*.json"):
        old.unlink()
    for name, message in messages().items():
        path(name).write_text(schema(message))


if __name__ == "__main__":
    refresh()
