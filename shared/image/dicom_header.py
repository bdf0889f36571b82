"""What is kept of a DICOM header: the DICOM JSON model of everything but pixels, private attributes and bulk.

So whatever writes into the same study need never parse a stranger's file.
"""

import json
from collections.abc import Iterator
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import VR

#: Most bytes of the JSON. What does not fit goes, the longest elements first: long before the patient or the study.
MOST_BYTES = 256 * 1024
#: Pixels, overlays, waveforms, spectra and the like are in these groups (PS3.6); overlays in 60xx, curves in 50xx.
_BULK_GROUPS = frozenset({0x5400, 0x5600, 0x7FE0})
_BULK_REPEATING = frozenset({0x5000, 0x6000})
#: A sequence of more items says something of each frame (PS3.3, C.7.6.16.1.2), and takes long to write down.
_MOST_ITEMS = 512
#: In base64. A longer binary value is bulk (a palette, an ICC profile), a shorter one may say something.
_MOST_BINARY = 256
_CHARACTER_SET = 0x0008_0005
_UTF8 = {"vr": "CS", "Value": ["ISO_IR 192"]}


def header_json(dataset: Dataset) -> str:
    """The header as JSON (PS3.18, F.2), in UTF-8 and so in ISO_IR 192."""
    parts = dict(_parts(dataset))
    size = sum(map(len, parts.values()))
    for tag in sorted(parts, key=lambda one: len(parts[one]), reverse=True):
        if size <= MOST_BYTES:
            break
        size -= len(parts.pop(tag))
    return "{" + ",".join(parts[tag] for tag in sorted(parts)) + "}"


def _parts(dataset: Dataset) -> Iterator[tuple[str, str]]:
    yield _part(f"{_CHARACTER_SET:08X}", _UTF8)
    for tag in dataset.keys():  # noqa: SIM118 - iterating would convert every value, pixels too
        if _is_kept(tag.group) and int(tag) != _CHARACTER_SET:
            try:
                value = _value(dataset[tag])
            except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError):
                continue  # a value that is none is left out
            if value is not None:
                yield _part(f"{int(tag):08X}", value)


def _value(element: DataElement) -> dict[str, Any] | None:
    if element.VR == VR.SQ and len(element.value) > _MOST_ITEMS:
        return None
    return _without_bulk(element.to_json_dict(None, 0))


def _part(tag: str, value: dict[str, Any]) -> tuple[str, str]:
    return tag, f'"{tag}":{json.dumps(value, separators=(",", ":"))}'


def _is_kept(group: int) -> bool:
    return group % 2 == 0 and group not in _BULK_GROUPS and (group & 0xFF00) not in _BULK_REPEATING


def _without_bulk(element: dict[str, Any]) -> dict[str, Any] | None:
    """The element without what is bulk or private inside its items; None where it is bulk itself."""
    if len(element.get("InlineBinary", "")) > _MOST_BINARY:
        return None
    if element["vr"] != "SQ":
        return element
    return {**element, "Value": [_item(item) for item in element.get("Value", [])]}


def _item(item: dict[str, Any]) -> dict[str, Any]:
    kept = {tag: _without_bulk(value) for tag, value in item.items() if _is_kept(int(tag[:4], 16))}
    return {tag: value for tag, value in kept.items() if value is not None}
