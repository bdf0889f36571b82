"""Files made to hurt whoever decodes them, by code: little to send, much to unpack, or wrong in its structure."""

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from tests.unit.gateway import images
from tests.unit.gateway.images import chunk

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_of(
    width: int, height: int, packed: bytes, *, depth: int = 8, colour: int = 0, extra: bytes = b""
) -> bytes:
    """A PNG whose header says this and whose IDAT holds `packed`, right or not; colour: PNG's colour type."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return _SIGNATURE + chunk(b"IHDR", header) + extra + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def zeros(count: int) -> bytes:
    """`count` zero bytes, deflated to a two-hundredth, without ever holding them."""
    packer = zlib.compressobj(1)
    block = bytes(1 << 20)
    whole, rest = divmod(count, len(block))
    return b"".join(
        [*(packer.compress(block) for _ in range(whole)), packer.compress(bytes(rest)), packer.flush()]
    )


def huge_png(side: int) -> bytes:
    """A PNG that promises `side` x `side` grey pixels and holds almost nothing."""
    return png_of(side, side, zlib.compress(bytes(1000)))


def png_that_lies(told: int, side: int) -> bytes:
    """Zeros for a picture of `side` x `side`, under a header that says `told` x `told`."""
    return png_of(told, told, zeros(side * (side + 1)))


def full_png(megapixels: int, *, colour: int = 6, depth: int = 8) -> bytes:
    """A black PNG as large as an accepted one may be: RGBA unless `colour` says otherwise."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    width, height = 1000 * megapixels // 5, 5000
    return png_of(
        width, height, zeros(height * (1 + width * channels * depth // 8)), colour=colour, depth=depth
    )


def png_with(kind: bytes, *, unpacked: int = 200_000_000, times: int = 1) -> bytes:
    """A small PNG with chunks of `kind` (zTXt, iTXt or iCCP) that unpack to `unpacked` bytes each."""
    before = {b"zTXt": b"note\0\0", b"iTXt": b"note\0\1\0\0\0", b"iCCP": b"profile\0\0"}[kind]
    small = images.png()
    ihdr_end = 33
    return small[:ihdr_end] + chunk(kind, before + zeros(unpacked)) * times + small[ihdr_end:]


def png_of_chunks(count: int) -> bytes:
    """A small PNG with `count` empty chunks of no meaning before its pixels."""
    small = images.png()
    return small[:33] + chunk(b"prVt", b"") * count + small[33:]


def jpeg_of_segments(count: int) -> bytes:
    """A small JPEG with `count` empty application segments before its pixels."""
    small = images.jpeg()
    return small[:2] + b"\xff\xe5\x00\x02" * count + small[2:]


def jpeg_of_strays(count: int) -> bytes:
    """A small JPEG with `count` bytes that belong to no segment before its pixels."""
    small = images.jpeg()
    first = next(end for _, _, end in segments(small))
    return small[:first] + bytes(count) + small[first:]


def png_with_tail(count: int) -> bytes:
    """A small PNG with `count` tiny comments behind its pixels, where no header check sees them."""
    small = images.png()
    return small[:-12] + chunk(b"tEXt", b"a\0") * count + small[-12:]


def png_with_late_text(unpacked: int) -> bytes:
    """A small PNG with text behind its pixels that unpacks to this many bytes."""
    small = images.png()
    return small[:-12] + chunk(b"zTXt", b"note\0\0" + zeros(unpacked)) + small[-12:]


def palette_out_of_range() -> bytes:
    """A PNG of 8-bit indices up to 255 into a palette of two colours."""
    rows = b"".join(b"\0" + bytes(range(64)) for _ in range(64))
    rows = rows.replace(b"\x05", b"\xff")
    return png_of(
        64, 64, zlib.compress(rows), colour=3, extra=chunk(b"PLTE", bytes([0, 0, 0, 255, 255, 255]))
    )


def interlaced_16_bit(side: int = 64) -> bytes:
    """A grey 16-bit PNG with Adam7 interlacing, black: seven passes over the same picture."""
    passes = (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    )
    rows = b"".join(
        b"\0" + bytes(2 * len(range(left, side, across)))
        for left, top, across, down in passes
        for _ in range(top, side, down)
        if left < side
    )
    header = struct.pack(">IIBBBBB", side, side, 16, 0, 0, 0, 1)
    return _SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def segments(jpeg: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, begin and end of each segment up to and with the first start of scan."""
    at = 2
    while True:
        (length,) = struct.unpack(">H", jpeg[at + 2 : at + 4])
        yield jpeg[at + 1], at, at + 2 + length
        if jpeg[at + 1] == 0xDA:
            return
        at += 2 + length


def jpeg_with_second_frame(side: int = 65_500) -> bytes:
    """A small JPEG with a second frame header, of enormous size, between its first and its scan."""
    small = images.jpeg()
    frame = next(small[first:end] for marker, first, end in segments(small) if marker == 0xC0)
    huge = frame[:5] + struct.pack(">HH", side, side) + frame[9:]
    scan = next(first for marker, first, _ in segments(small) if marker == 0xDA)
    return small[:scan] + huge + small[scan:]


def jpeg_with_late_frame(side: int = 65_500) -> bytes:
    """A small JPEG with a second frame header, of enormous size, in its scan's data."""
    small = images.jpeg()
    frame = next(small[first:end] for marker, first, end in segments(small) if marker == 0xC0)
    scan_end = next(end for marker, _, end in segments(small) if marker == 0xDA)
    huge = frame[:5] + struct.pack(">HH", side, side) + frame[9:]
    return small[: scan_end + 10] + huge + small[scan_end + 10 :]


def jpeg_of_scans(scans: int, side: int = 5000) -> bytes:
    """A progressive grey JPEG that says the same of every pixel `scans` times: processor time without end."""
    out = io.BytesIO()
    Image.new("L", (side, side), 128).save(out, "JPEG", progressive=True)
    whole = out.getvalue()
    first = next(first for marker, first, _ in segments(whole) if marker == 0xDA)
    second = whole.index(b"\xff\xda", first + 2)
    start = whole.rindex(b"\xff\xc4", first, second) if b"\xff\xc4" in whole[first:second] else second
    end = whole.index(b"\xff\xda", second + 2)
    stop = whole.rindex(b"\xff\xc4", second, end) if b"\xff\xc4" in whole[second:end] else end
    scan = whole[start:stop]
    return whole[:stop] + scan * scans + b"\xff\xd9"


def progressive(megapixels: int, mode: str = "RGB") -> bytes:
    """A progressive JPEG without colour subsampling: the decoder must hold all of its coefficients."""
    out = io.BytesIO()
    Image.new(mode, (1000 * megapixels // 5, 5000)).save(out, "JPEG", progressive=True, subsampling=0)
    return out.getvalue()
