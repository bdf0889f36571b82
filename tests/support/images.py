"""Images drawn by code."""

import io
import struct
import zlib

from PIL import Image, ImageChops, ImageDraw

_PNG_SIGNATURE = 8


def scan(side: int = 256, *, shade: int = 200) -> bytes:
    """A grey PNG with an ellipse and a spot: a stand-in for a slice."""
    image = Image.new("L", (side, side), 5)
    pen = ImageDraw.Draw(image)
    pen.ellipse((side // 8, side // 10, side - side // 8, side - side // 10), fill=110)
    pen.ellipse((side // 2, side // 3, side // 2 + side // 8, side // 3 + side // 8), fill=shade)
    return encoded(image)


def photo(side: int = 512) -> bytes:
    """A grey JPEG of a scan with noise over it, which makes it about as large as an exported slice."""
    noise = Image.effect_noise((side, side), 20)
    scanned = Image.open(io.BytesIO(scan(side)))
    return encoded(ImageChops.add(scanned, noise, scale=1, offset=-128), "JPEG")


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    """The image's file."""
    target = io.BytesIO()
    image.save(target, kind)
    return target.getvalue()


def slow_scan() -> bytes:
    """A PNG that takes a good second to decode and a few kilobytes to send."""
    return encoded(Image.new("RGB", (5400, 5400), (60, 60, 60)))


def broken_inside() -> bytes:
    """A PNG whose header, end and checksums are right and whose pixels are not deflated data."""
    good = scan()
    out, at = good[:_PNG_SIGNATURE], _PNG_SIGNATURE
    while at < len(good):
        (length,) = struct.unpack(">I", good[at : at + 4])
        kind = good[at + 4 : at + 8]
        body = good[at + 8 : at + 8 + length]
        if kind == b"IDAT":
            body = b"\x00" * length
        out += struct.pack(">I", length) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        at += 12 + length
    return out
