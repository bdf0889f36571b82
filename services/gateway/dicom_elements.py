"""The first elements of a DICOM file, one after the other: enough for the gateway, which parses no more than that.

Pure and bounded: no recursion, no copy of what is skipped, at most `_MAX_ELEMENTS` steps. The encodings are those of
DICOM PS3.5, 7 (elements, nested sequences), A (transfer syntaxes) and PS3.10, 7 (preamble and file meta information).
"""

import struct
import zlib
from dataclasses import dataclass, field

PREAMBLE_BYTES = 128
_MAGIC = b"DICM"

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"

#: (0002,0010), which says how all after the file meta information is written.
TRANSFER_SYNTAX = 0x0002_0010

#: Value representations with a length of 32 bits (PS3.5, 7.1.2).
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_UNDEFINED = 0xFFFF_FFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
#: Headers of images have a few hundred elements up to where we stop.
_MAX_ELEMENTS = 8192
#: A value that we keep is a UID, a code or a number.
_LONGEST_VALUE = 64


class HeaderError(Exception):
    """The bytes are not those of a DICOM file, or do not reach as far as is to be read."""


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins like this is a DICOM Part 10 file, whatever it calls itself."""
    return head[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] == _MAGIC


def elements(head: bytes, *, until: int, most_bytes: int) -> dict[int, bytes]:
    """Values of the elements up to and with the tag `until`, those of the file meta information among them.

    Nothing from inside a sequence, and nothing longer than a UID, a code or a number may be. most_bytes: of a deflated
    header. HeaderError where `head` does not get there.
    """
    meta = _Walk(head, PREAMBLE_BYTES + 4, explicit=True, order="<")
    meta.run(until=0x0002_FFFF)
    syntax = text(meta.found.get(TRANSFER_SYNTAX, b""))
    rest, start = head, meta.at
    if syntax == DEFLATED:
        rest, start = _inflated(head[meta.at :], most_bytes), 0
    walk = _Walk(rest, start, explicit=syntax != IMPLICIT_LITTLE, order=">" if syntax == BIG_ENDIAN else "<")
    walk.run(until=until)
    return meta.found | walk.found


def text(value: bytes) -> str:
    """A value that is text, without its padding; empty where it is not of printable ASCII."""
    words = value.strip(b" \0").decode("latin-1")
    return words if words.isascii() and words.isprintable() else ""


def number(value: bytes, *, big_endian: bool) -> int | None:
    """A value that is one unsigned 16-bit number."""
    if len(value) != struct.calcsize("H"):
        return None
    return int.from_bytes(value, "big" if big_endian else "little")


def _inflated(data: bytes, most_bytes: int) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, most_bytes)
    except zlib.error as error:
        raise HeaderError("not deflated") from error


@dataclass
class _Walk:
    """Steps over elements."""

    data: bytes
    at: int
    explicit: bool
    order: str
    found: dict[int, bytes] = field(default_factory=dict)
    #: For each sequence or item of undefined length around, whether VRs are told in there.
    nested: list[bool] = field(default_factory=list)

    def run(self, *, until: int) -> None:
        """Step on to the first element after the tag `until`, at the top level."""
        for _ in range(_MAX_ELEMENTS):
            if self.at == len(self.data) and not self.nested:
                return
            tag = self._tag()
            if tag > until and not self.nested:
                return
            self._step(tag)
        raise HeaderError("too many elements")

    def _tag(self) -> int:
        group, element = self._unpack("HH", self.at)
        return int(group << 16 | element)

    def _step(self, tag: int) -> None:
        if tag in {_ITEM_END, _SEQUENCE_END}:
            self._close()
        elif tag == _ITEM:
            (length,) = self._unpack("I", self.at + 4)
            self._enter_or_skip(self.at + 8, int(length), explicit=self._is_explicit)
        else:
            self._element(tag)

    def _element(self, tag: int) -> None:
        vr, length, start = self._described()
        if length == _UNDEFINED:
            # PS3.5, 6.2.2: inside an unknown value of undefined length no VR is told.
            self._enter_or_skip(start, length, explicit=self._is_explicit and vr != b"UN")
            return
        if not self.nested and length <= _LONGEST_VALUE:
            self.found[tag] = self.data[start : start + length]
        self._enter_or_skip(start, length, explicit=self._is_explicit)

    def _described(self) -> tuple[bytes, int, int]:
        """VR, length of the value, and where it starts."""
        if not self._is_explicit:
            (length,) = self._unpack("I", self.at + 4)
            return b"", int(length), self.at + 8
        vr = self.data[self.at + 4 : self.at + 6]
        if vr in _LONG:
            (length,) = self._unpack("I", self.at + 8)
            return vr, int(length), self.at + 12
        (length,) = self._unpack("H", self.at + 6)
        return vr, int(length), self.at + 8

    def _enter_or_skip(self, start: int, length: int, *, explicit: bool) -> None:
        self.at = start if length == _UNDEFINED else start + length
        if length == _UNDEFINED:
            self.nested.append(explicit)
        elif self.at > len(self.data):
            raise HeaderError("a value reaches beyond what is there")

    def _close(self) -> None:
        self.nested.pop()  # never empty: at the top level such a tag is behind all that is looked for
        self.at += 8

    @property
    def _is_explicit(self) -> bool:
        return self.nested[-1] if self.nested else self.explicit

    def _unpack(self, form: str, at: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(self.order + form, self.data, at)
        except struct.error as error:
            raise HeaderError("cut off") from error
