"""What becomes of each attribute in a de-identified copy: the table of DICOM PS3.15, E.1-1, and what we add. Pure."""

from enum import Enum
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Fate(Enum):
    """What becomes of an attribute."""

    REMOVED = "X"
    EMPTIED = "Z"
    #: Replaced by a value that says nothing.
    DUMMY = "D"
    #: A UID, replaced by the house's own for the same thing.
    MAPPED = "U"
    #: Kept; in the items of a sequence each attribute has its own fate.
    KEPT = "K"


class Attribute(NamedTuple):
    """An attribute that the standard knows."""

    vr: bytes
    fate: Fate


_REMOVED = Attribute(b"", Fate.REMOVED)

#: Where the table leaves a choice by the kind of object, the one that leaves a valid object in all of them. A sequence
#: without items is often an error, one that is missing seldom; one of references is kept, its UIDs replaced.
_OF_VALUES = {"X/Z": "Z", "Z/D": "D", "X/D": "D", "X/Z/D": "D", "X/Z/U*": "K"}
_OF_SEQUENCES = {**_OF_VALUES, "X/Z": "X", "D": "Z", "Z/D": "Z", "X/D": "X", "X/Z/D": "X"}

#: Names, times and addresses that the table, which is of images and reports, does not name.
_NEVER = frozenset({"PN", "DA", "DT", "TM", "UR"})
#: UIDs of kinds and not of instances: SOP classes, transfer syntaxes, coding schemes.
_KINDS = frozenset(
    {
        0x0008_0016, 0x0008_001A, 0x0008_001B, 0x0008_0062, 0x0008_010C, 0x0008_010D, 0x0008_0117, 0x0008_0118,
        0x0008_040E, 0x0008_1150, 0x0008_115A, 0x0008_3002, 0x0034_0003, 0x0400_0010, 0x0400_0510,
        0x3010_0052, 0x3010_0053,
    }
)  # fmt: skip
#: Patient ID: a dummy that all patients share would make one of them. Acquisition Context Sequence: must be there.
_EMPTIED = frozenset({0x0010_0020, 0x0040_0555})
#: Length to End: of a file that is no more.
_UNTRUE = frozenset({0x0008_0001})


def attribute(tag: int) -> Attribute:
    """What the standard calls it and what becomes of it; what it does not know, or is private, is removed."""
    return _all().get(tag, _REMOVED)


@cache
def _all() -> dict[int, Attribute]:
    lines = files(__package__).joinpath("attributes.txt").read_text("ascii").splitlines()
    found = (line.split() for line in lines if not line.startswith("#"))
    return {int(tag, 16): Attribute(vr.encode(), _fate(int(tag, 16), vr, said)) for tag, vr, said in found}


def _fate(tag: int, vr: str, said: str) -> Fate:
    if said == "-":
        return _unsaid(tag, vr)
    if vr == "UI" and "D" in said:
        return Fate.MAPPED
    if tag in _EMPTIED:
        return Fate.EMPTIED
    return Fate((_OF_SEQUENCES if vr == "SQ" else _OF_VALUES).get(said, said))


def _unsaid(tag: int, vr: str) -> Fate:
    if vr in _NEVER or tag in _UNTRUE:
        return Fate.REMOVED
    return Fate.MAPPED if vr == "UI" and tag not in _KINDS else Fate.KEPT
