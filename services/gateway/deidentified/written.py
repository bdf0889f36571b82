"""What we write into a copy ourselves: file meta information, dummies, and by which method it was made. Pure."""

import struct
from collections.abc import Mapping

from services.gateway.deidentified.attributes import Attribute
from services.gateway.deidentified.uids import Remap
from services.gateway.dicom_elements import TRANSFER_SYNTAX
from shared.medical_codes import ROOT_OID

#: Value representations with a length of 32 bits (PS3.5, 7.1.2).
LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
UNDEFINED = 0xFFFF_FFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD

#: (0012,0062) to (0012,0064), (0028,0303): they say what was done, and an earlier word of it is replaced.
_REMOVED_IDENTITY, _METHOD, _METHOD_CODES, _TIMES = 0x0012_0062, 0x0012_0063, 0x0012_0064, 0x0028_0303
#: PS3.16, CID 7050.
_PROFILE = ("113100", "DCM", "Basic Application Confidentiality Profile")
_CODE_VALUE, _CODING_SCHEME, _CODE_MEANING = 0x0008_0100, 0x0008_0102, 0x0008_0104

_NOTHING = b"ANONYMIZED"
_DUMMIES = {
    b"DA": b"19000101",
    b"TM": b"000000",
    b"DT": b"19000101000000",
    b"IS": b"0",
    b"DS": b"0",
    b"AS": b"000Y",
    b"UR": b"urn:anonymized",
}
_TEXT = frozenset({b"AE", b"CS", b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UT"})
#: Of file meta information all but this names who sent the file, or is private.
_META_KEPT = {0x0002_0002: b"UI", 0x0002_0003: b"UI", TRANSFER_SYNTAX: b"UI"}
_META_INSTANCE = 0x0002_0003


class Encoding:
    """How elements are written in one transfer syntax."""

    def __init__(self, *, explicit: bool, order: str) -> None:
        self.explicit = explicit
        self.order = order

    def element(self, tag: int, vr: bytes, value: bytes) -> bytes:
        """One with a short value."""
        padding = b"\0" if vr in {b"UI", b"OB", b"UN"} else b" "
        even = value + padding * (len(value) % 2)
        return self.header(tag, vr, len(even)) + even

    def header(self, tag: int, vr: bytes, length: int) -> bytes:
        """What stands before a value."""
        if not self.explicit:
            return self.mark(tag, length)
        start = struct.pack(self.order + "HH", tag >> 16, tag & 0xFFFF) + vr
        return start + struct.pack(self.order + ("xxI" if vr in LONG else "H"), length)

    def mark(self, tag: int, length: int = 0) -> bytes:
        """An item, or the end of one or of a sequence: they have no VR."""
        return struct.pack(self.order + "HHI", tag >> 16, tag & 0xFFFF, length)


def dummy(known: Attribute) -> bytes:
    """A value that is one and says nothing."""
    return _NOTHING if known.vr in _TEXT else _DUMMIES.get(known.vr, bytes(8))


def meta(found: Mapping[int, bytes], remap: Remap) -> bytes:
    """Preamble and file meta information (PS3.10, 7.1) of the copy."""
    write = Encoding(explicit=True, order="<").element
    said = {tag: found[tag].strip(b" \0") for tag in _META_KEPT if tag in found}
    if _META_INSTANCE in said:
        said[_META_INSTANCE] = remap(said[_META_INSTANCE].decode("latin-1")).encode("latin-1")
    body = write(0x0002_0001, b"OB", b"\0\1")
    body += b"".join(write(tag, b"UI", value) for tag, value in sorted(said.items()))
    body += write(0x0002_0012, b"UI", f"{ROOT_OID}.2".encode())
    body += write(0x0002_0013, b"SH", b"MEDISCAN")
    return bytes(128) + b"DICM" + write(0x0002_0000, b"UL", struct.pack("<I", len(body))) + body


def method(encoding: Encoding) -> dict[int, bytes]:
    """The elements, by tag, that say by which method the copy was de-identified."""
    write, mark = encoding.element, encoding.mark
    value, scheme, meaning = (word.encode() for word in _PROFILE)
    code = (
        encoding.header(_METHOD_CODES, b"SQ", UNDEFINED)
        + mark(ITEM, UNDEFINED)
        + write(_CODE_VALUE, b"SH", value)
        + write(_CODING_SCHEME, b"SH", scheme)
        + write(_CODE_MEANING, b"LO", meaning)
        + mark(ITEM_END)
        + mark(SEQUENCE_END)
    )
    return {
        _REMOVED_IDENTITY: write(_REMOVED_IDENTITY, b"CS", b"YES"),
        _METHOD: write(_METHOD, b"LO", b"PS3.15 Basic Profile, by MediScan"),
        _METHOD_CODES: code,
        _TIMES: write(_TIMES, b"CS", b"REMOVED"),
    }
