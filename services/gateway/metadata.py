"""`metadata`: a caller's small flat JSON object, given back as sent. Never logged, and never in an error."""

import json
import math
from typing import Any

from shared.contracts import Metadata
from shared.errors import BadUploadError

#: Integers beyond this would not survive every JSON reader downstream.
_MAX_INTEGER = 2**63 - 1


def parse_metadata(text: bytes, max_keys: int) -> Metadata:
    """Read a flat JSON object; BadUploadError says which rule it breaks, without quoting it."""
    found = _loaded(text)
    if not isinstance(found, dict):
        raise _refused("must be a JSON object")
    if len(found) > max_keys:
        raise _refused(f"may have at most {max_keys} entries")
    for key, value in found.items():
        _check_text(key)
        _check_value(value)
    return found


def _loaded(text: bytes) -> Any:
    try:
        return json.loads(text.decode(), parse_constant=_no_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _refused("is not valid JSON") from error


def _no_constant(name: str) -> None:
    raise _refused(f"may not hold {name}: JSON has no such number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _refused("names the same entry twice")
    return found


def _check_value(value: object) -> None:
    if isinstance(value, dict | list):
        raise _refused("must be flat: no lists or objects inside")
    if isinstance(value, str):
        _check_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise _refused("holds a number that is too large")
    if isinstance(value, int) and abs(value) > _MAX_INTEGER:
        raise _refused("holds a number that is too large")


def _check_text(text: str) -> None:
    # JSON can spell half a surrogate pair, which no UTF-8 answer could give back.
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _refused("holds text that is not valid Unicode") from error


def _refused(rule: str) -> BadUploadError:
    return BadUploadError(f"`metadata` {rule}.", code="bad_metadata", status=422)
