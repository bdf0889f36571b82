"""Makes the de-identified copy of a DICOM file while that comes in: bytes in, bytes out, nothing of it kept.

Bounded like the reader of headers beside it: values go through or past without being held, but for UIDs; so much
nesting and so many elements and no more. Pixels are copied as they are. A sequence is written with its end marked and
not its length told, because that is not known when it begins.
"""

import struct
from collections.abc import Generator
from typing import NamedTuple

from services.gateway.deidentified.attributes import Attribute, Fate, attribute
from services.gateway.deidentified.uids import Remap
from services.gateway.deidentified.written import (
    ITEM,
    ITEM_END,
    LONG,
    SEQUENCE_END,
    UNDEFINED,
    Encoding,
    dummy,
    meta,
    method,
)
from services.gateway.dicom_elements import (
    BIG_ENDIAN,
    DEFLATED,
    IMPLICIT_LITTLE,
    PREAMBLE_BYTES,
    TRANSFER_SYNTAX,
    HeaderError,
    text,
)

#: An enhanced image says some dozens of things of each of its frames.
_MAX_ELEMENTS = 200_000
_MAX_DEPTH = 16
#: Of a list of UIDs, and of file meta information in all.
_LONGEST_HELD = 64 * 1024
#: (7FE0,0010) Pixel Data: without it a file that ends between two elements is cut off, or no image.
_PIXELS = 0x7FE0_0010
#: Pixels, which may come in pieces.
_IN_PIECES = frozenset({b"OB", b"OW"})
_BYTES_OF_VR = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")

#: Stops wherever more of the file is needed.
_Steps = Generator[None, None, None]
_Bytes = Generator[None, None, bytes]


class DeflatedError(HeaderError):
    """The dataset is compressed as a whole, and would have to be unpacked and packed again."""


class NoPixelsError(HeaderError):
    """The file ends where an element does, and no pixels came."""


class _Element(NamedTuple):
    tag: int
    vr: bytes
    length: int
    #: As it stood in the file, up to the value.
    header: bytes
    known: Attribute

    @property
    def is_sequence(self) -> bool:
        """Whether it holds items of elements; pixels in pieces do not."""
        return self.vr == b"SQ"


class Rewriter:
    """One copy. `feed` what comes, in order, then `close`; HeaderError where it is no DICOM file that can be read."""

    def __init__(self, remap: Remap) -> None:
        self._remap = remap
        self._came = bytearray()
        #: Of `_came`, what is dealt with; and of the whole file, what is gone from `_came`.
        self._at, self._gone = 0, 0
        self._out = bytearray()
        self._is_over = False
        #: Within how many things that are removed with all they hold.
        self._muted = 0
        self._elements = 0
        self._encoding = Encoding(explicit=True, order="<")
        self._due: dict[int, bytes] = {}
        self._steps = self._file()

    def feed(self, data: bytes | bytearray) -> bytes:
        """Take the next bytes of the file; those of the copy that they allow."""
        self._came += data
        next(self._steps, None)
        self._gone += self._at
        del self._came[: self._at]
        self._at = 0
        out, self._out = bytes(self._out), bytearray()
        return out

    def close(self) -> bytes:
        """The file has ended; what is left of the copy."""
        self._is_over = True
        return self.feed(b"")

    # --- the file -----------------------------------------------------------------------------------------

    def _file(self) -> _Steps:
        yield from self._take(PREAMBLE_BYTES + 4)
        found = yield from self._meta()
        syntax = text(found.get(TRANSFER_SYNTAX, b""))
        if syntax == DEFLATED:
            raise DeflatedError("deflated")
        self._emit(meta(found, self._remap))
        order = ">" if syntax == BIG_ENDIAN else "<"
        self._encoding = Encoding(explicit=syntax != IMPLICIT_LITTLE, order=order)
        self._due = method(self._encoding)
        yield from self._dataset()
        self._say_method(1 << 32)

    def _meta(self) -> Generator[None, None, dict[int, bytes]]:
        found: dict[int, bytes] = {}
        size = 0
        while (yield from self._peek_group()) == 0x0002:  # noqa: PLR2004 - the group of file meta information
            one = yield from self._element_header(explicit=True, tag=(yield from self._tag()))
            size += one.length
            if size > _LONGEST_HELD:
                raise HeaderError("too much file meta information")
            found[one.tag] = yield from self._take(one.length)
        return found

    def _dataset(self) -> _Steps:
        have_come = False
        while (yield from self._has_more()):
            tag = yield from self._tag()
            have_come = have_come or tag == _PIXELS
            is_ours = tag in _OURS
            self._say_method(tag)
            explicit = self._encoding.explicit
            one = yield from self._element_header(explicit=explicit, tag=tag)
            yield from (self._skip if is_ours else self._element)(one, 0, explicit=explicit)
        if not have_come:
            raise NoPixelsError("no pixels")

    def _say_method(self, before: int) -> None:
        for tag in [tag for tag in self._due if tag < before]:
            self._emit(self._due.pop(tag))

    # --- elements -----------------------------------------------------------------------------------------

    def _element_header(self, *, explicit: bool, tag: int) -> Generator[None, None, _Element]:
        self._elements += 1
        if self._elements > _MAX_ELEMENTS:
            raise HeaderError("too many elements")
        start, known = struct.pack(self._encoding.order + "HH", tag >> 16, tag & 0xFFFF), attribute(tag)
        if not explicit:
            told = yield from self._take(4)
            return _Element(tag, known.vr, self._number(told), start + told, known)
        vr = yield from self._take(2)
        if not _BYTES_OF_VR.issuperset(vr):
            raise HeaderError("no value representation")
        told = yield from self._take(6 if vr in LONG else 2)
        return _Element(tag, vr, self._number(told[-4:]), start + vr + told, known)

    def _element(self, one: _Element, depth: int, *, explicit: bool) -> _Steps:
        fate = one.known.fate if self._is_as_known(one) else Fate.REMOVED
        if fate is Fate.KEPT:
            yield from self._keep(one, depth, explicit=explicit)
            return
        if fate is Fate.MAPPED:
            yield from self._map(one, depth, explicit=explicit)
            return
        value = {Fate.EMPTIED: b"", Fate.DUMMY: dummy(one.known)}.get(fate)
        if value is not None:
            self._emit(self._encoding.element(one.tag, one.known.vr, value))
        yield from self._skip(one, depth, explicit=explicit)

    @staticmethod
    def _is_as_known(one: _Element) -> bool:
        # What calls a sequence something else, or something else a sequence, hides what it holds from the table.
        return one.vr != b"UN" and one.is_sequence == (one.known.vr == b"SQ")

    def _keep(self, one: _Element, depth: int, *, explicit: bool) -> _Steps:
        if one.is_sequence:
            self._emit(self._encoding.header(one.tag, b"SQ", UNDEFINED))
            yield from self._items(one.length, depth, explicit=explicit)
            self._emit(self._encoding.mark(SEQUENCE_END))
            return
        if one.length == UNDEFINED and one.vr not in _IN_PIECES:
            raise HeaderError("a value without an end")
        self._emit(one.header)
        yield from self._pieces() if one.length == UNDEFINED else self._pass(one.length)

    def _map(self, one: _Element, depth: int, *, explicit: bool) -> _Steps:
        if one.length > _LONGEST_HELD:
            yield from self._skip(one, depth, explicit=explicit)
            return
        value = yield from self._take(one.length)
        uids = [uid.strip(" \0") for uid in value.decode("latin-1").split("\\")]
        mapped = "\\".join(self._remap(uid) for uid in uids).encode("latin-1")
        self._emit(self._encoding.element(one.tag, b"UI", mapped))

    def _skip(self, one: _Element, depth: int, *, explicit: bool) -> _Steps:
        self._muted += 1
        if one.length == UNDEFINED:
            # PS3.5, 6.2.2: inside an unknown value of undefined length no VR is told.
            if one.vr in _IN_PIECES:
                yield from self._pieces()
            else:
                yield from self._items(one.length, depth, explicit=explicit and one.vr != b"UN")
        else:
            yield from self._pass(one.length)
        self._muted -= 1

    # --- sequences ----------------------------------------------------------------------------------------

    def _items(self, length: int, depth: int, *, explicit: bool) -> _Steps:
        if depth == _MAX_DEPTH:
            raise HeaderError("nested too deep")
        end = self._end(length)
        while self._is_before(end):
            tag = yield from self._tag()
            size = self._number((yield from self._take(4)))
            if tag == SEQUENCE_END and end is None:
                return
            if tag != ITEM:
                raise HeaderError("no item")
            self._emit(self._encoding.mark(ITEM, UNDEFINED))
            yield from self._item(self._end(size), depth + 1, explicit=explicit)
            self._emit(self._encoding.mark(ITEM_END))

    def _item(self, end: int | None, depth: int, *, explicit: bool) -> _Steps:
        while self._is_before(end):
            tag = yield from self._tag()
            if tag == ITEM_END and end is None:
                yield from self._take(4)
                return
            one = yield from self._element_header(explicit=explicit, tag=tag)
            yield from self._element(one, depth, explicit=explicit)

    def _pieces(self) -> _Steps:
        """Pixels in pieces (PS3.5, A.4), to their end and with it."""
        while True:
            tag = yield from self._tag()
            told = yield from self._take(4)
            size = self._number(told)
            if tag not in {ITEM, SEQUENCE_END} or size == UNDEFINED:
                raise HeaderError("no piece of pixels")
            self._emit(self._encoding.mark(tag, size))
            if tag == SEQUENCE_END:
                return
            yield from self._pass(size)

    # --- bytes --------------------------------------------------------------------------------------------

    def _end(self, length: int) -> int | None:
        return None if length == UNDEFINED else self._gone + self._at + length

    def _is_before(self, end: int | None) -> bool:
        """Whether there is more to come before `end`; HeaderError where it came beyond."""
        at = self._gone + self._at
        if end is not None and at > end:
            raise HeaderError("an item reaches beyond what holds it")
        return at != end

    def _tag(self) -> Generator[None, None, int]:
        group, element = struct.unpack(self._encoding.order + "HH", (yield from self._take(4)))
        return int(group << 16 | element)

    def _peek_group(self) -> Generator[None, None, int]:
        if not (yield from self._has_more(2)):
            return 0
        return int.from_bytes(self._came[self._at : self._at + 2], "little")

    def _number(self, told: bytes) -> int:
        return int.from_bytes(told, "big" if self._encoding.order == ">" else "little")

    def _has_more(self, size: int = 1) -> Generator[None, None, bool]:
        while len(self._came) - self._at < size and not self._is_over:
            yield
        return len(self._came) - self._at >= size

    def _take(self, size: int) -> _Bytes:
        if len(self._came) - self._at < size and not (yield from self._has_more(size)):
            raise HeaderError("cut off")
        self._at += size
        return bytes(self._came[self._at - size : self._at])

    def _pass(self, size: int) -> _Steps:
        """On past so many bytes, which are the copy's too where nothing around them is removed."""
        while size:
            if not (yield from self._has_more()):
                raise HeaderError("cut off")
            there = min(size, len(self._came) - self._at)
            self._emit(self._came[self._at : self._at + there])
            self._at += there
            size -= there

    def _emit(self, data: bytes | bytearray) -> None:
        if not self._muted:
            self._out += data


_OURS = frozenset(method(Encoding(explicit=True, order="<")))
