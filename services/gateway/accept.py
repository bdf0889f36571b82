"""`Accept`: in which of the forms on offer a caller wants it (RFC 9110, 12.5.1). Pure."""

import re
from collections.abc import Sequence
from typing import NamedTuple

_RANGE = re.compile(r"\s*([^\s;,]+)\s*/\s*([^\s;,]+)\s*((?:;[^,]*)?)")
_QUALITY = re.compile(r";\s*q\s*=\s*([01](?:\.\d{0,3})?)", re.IGNORECASE)


class _Range(NamedTuple):
    kind: str
    subkind: str
    quality: float

    def closeness(self, media_type: str) -> int:
        """How exactly it names `media_type`; -1: not at all."""
        kind, _, subkind = media_type.partition("/")
        if (self.kind, self.subkind) == (kind, subkind):
            return 2
        if (self.kind, self.subkind) == (kind, "*"):
            return 1
        return 0 if (self.kind, self.subkind) == ("*", "*") else -1


def chosen(accept: str, offered: Sequence[str]) -> str | None:
    """The form that the caller likes best, the first of several it likes as much; None: it takes none of them."""
    ranges = _ranges(accept) or [_Range("*", "*", 1)]
    liked = {media_type: _quality(media_type, ranges) for media_type in offered}
    best = max(offered, key=lambda media_type: liked[media_type])
    return best if liked[best] else None


def _ranges(accept: str) -> list[_Range]:
    return [
        _Range(kind.lower(), subkind.lower(), _stated(rest))
        for kind, subkind, rest in (found.groups() for found in _RANGE.finditer(accept))
    ]


def _stated(parameters: str) -> float:
    found = _QUALITY.search(parameters)
    return min(1.0, float(found[1])) if found else 1.0


def _quality(media_type: str, ranges: Sequence[_Range]) -> float:
    closest = max(ranges, key=lambda one: (one.closeness(media_type), one.quality))
    return closest.quality if closest.closeness(media_type) >= 0 else 0.0
