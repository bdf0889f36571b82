"""DICOM files made to hurt whoever parses them: little to send, much to unpack, or wrong in what they say."""

import io
import struct
import zlib

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID

from tests.support import dicoms

#: Behind the preamble; its first element is the length of the group.
_META_AT = 132
#: Begins the first element of an image: SOP Class UID.
_FIRST = struct.pack("<HH", 0x0008, 0x0016)
_SEQUENCE = struct.pack("<HH2sHI", 0x0040, 0x0260, b"SQ", 0, 0xFFFF_FFFF)
_ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFF_FFFF)


def deflated(unpacked: int) -> bytes:
    """A sound deflated image, but for a private element of `unpacked` zeros before its pixels."""
    file = dicoms.dicom()
    first, pixels = file.index(_FIRST, _META_AT), dicoms.pixels_at(file)
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = bytes(1 << 20)
    element = struct.pack("<HH2sHI", 0x0029, 0x1001, b"UN", 0, unpacked)
    pieces = [packer.compress(file[first:pixels] + element)]
    pieces += [packer.compress(block[: unpacked - at]) for at in range(0, unpacked, len(block))]
    body = b"".join([*pieces, packer.compress(file[pixels:]), packer.flush()])
    return _with_syntax(file[:first], dicoms.DEFLATED) + body


def deep(levels: int) -> bytes:
    """Sequences inside sequences, none of which ends, where the pixels should be."""
    file = dicoms.dicom()
    return file[: dicoms.pixels_at(file)] + (_SEQUENCE + _ITEM) * levels


def many_items(count: int) -> bytes:
    """An image with so many per-frame functional groups, of which it has one frame."""
    item = Dataset()
    item.PlanePositionSequence = [Dataset()]
    item.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 0]
    return dicoms.dicom(PerFrameFunctionalGroupsSequence=[item] * count)


def many_elements(count: int) -> bytes:
    """So many private elements before the pixels."""
    file = dicoms.dicom()
    start = dicoms.pixels_at(file)
    elements = (
        struct.pack("<HH2sH", 0x0029 + 2 * (n >> 12), 0x1000 + (n & 0xFFF), b"LO", 0) for n in range(count)
    )
    return file[:start] + b"".join(elements) + file[start:]


def frames_that_lie(told: int) -> bytes:
    """One frame, where the header tells of very many."""
    return dicoms.dicom(NumberOfFrames=told)


def sides_that_lie(syntax: str, side: int) -> bytes:
    """A small picture, where the header tells of a large one."""
    made = dicoms.read(dicoms.dicom(None, syntax))
    made.Rows = made.Columns = side
    return dicoms.written(made, dicoms.AS_IT_IS)


def jpeg_that_lies(side: int) -> bytes:
    """A JPEG of `side` x `side`, where the header tells of a small picture."""
    out = io.BytesIO()
    Image.new("L", (side, side)).save(out, "JPEG")
    return encapsulated(out.getvalue(), dicoms.JPEG_BASELINE)


def fragments_that_lie() -> bytes:
    """A fragment longer than the file."""
    file = dicoms.dicom(None, dicoms.RLE)
    item = struct.pack("<HH", 0xFFFE, 0xE000)
    # The first item is the table of offsets.
    at = file.index(item, file.index(item, dicoms.pixels_at(file)) + 4) + 4
    return file[:at] + struct.pack("<I", 0x7FFF_FFF0) + file[at + 4 :]


def largest(megapixels: int) -> bytes:
    """As large as an accepted one may be: 16 bits, black, run-length encoded, with a rescale and a window."""
    values = np.zeros((megapixels * 200, 5000), np.uint16)
    return dicoms.dicom(
        values, dicoms.RLE, bits=16, RescaleSlope=2, RescaleIntercept=1, WindowCenter=9, WindowWidth=9
    )


def black(side: int, syntax: str, kind: str) -> bytes:
    """A black picture in this transfer syntax, of values of this kind: a few kilobytes at most."""
    return dicoms.dicom(np.zeros((side, side), kind), syntax, bits=np.dtype(kind).itemsize * 8)


def repeated(file: bytes, count: int) -> bytes:
    """The one frame of an encapsulated image, so many times."""
    made = dicoms.read(file)
    (frame,) = generate_frames(made.PixelData, number_of_frames=1)
    made.PixelData, made["PixelData"].is_undefined_length = encapsulate([frame] * count), True
    made.NumberOfFrames = count
    return dicoms.written(made, dicoms.AS_IT_IS)


def encapsulated(frame: bytes, syntax: str) -> bytes:
    """Any frame, where the header tells of a small picture in this transfer syntax."""
    made = dicoms.dataset(dicoms.slope(kind="uint8", high=255), bits=8)
    made.PixelData, made["PixelData"].is_undefined_length = encapsulate([frame]), True
    made.file_meta.TransferSyntaxUID = UID(syntax)
    return dicoms.written(made, dicoms.AS_IT_IS)


def _with_syntax(meta: bytes, syntax: str) -> bytes:
    """Preamble and file meta information with another transfer syntax."""
    old, new = _syntax(dicoms.EXPLICIT), _syntax(syntax)
    (length,) = struct.unpack_from("<I", meta, _META_AT + 8)
    length += len(new) - len(old)
    return (meta[: _META_AT + 8] + struct.pack("<I", length) + meta[_META_AT + 12 :]).replace(old, new)


def _syntax(uid: str) -> bytes:
    value = uid.encode() + b"\0" * (len(uid) % 2)
    return struct.pack("<HH2sH", 0x0002, 0x0010, b"UI", len(value)) + value
