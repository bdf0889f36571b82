"""Image files drawn by code: good ones of every kind, and bad ones."""

import io
import random
import struct
import zlib
from typing import Any

from PIL import Image


def picture(mode: str = "RGB", size: tuple[int, int] = (48, 32)) -> Image.Image:
    """A slope from dark to bright."""
    gradient = Image.linear_gradient("L").resize(size)
    return (
        gradient.convert("I").point(lambda level: level * 257).convert(mode)
        if "I" in mode
        else gradient.convert(mode)
    )


def encode(image: Image.Image, form: str, **options: Any) -> bytes:
    """The image as a file of this format."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def png(mode: str = "RGB", **options: Any) -> bytes:
    """A small PNG."""
    return encode(picture(mode), "PNG", **options)


def jpeg(mode: str = "RGB", **options: Any) -> bytes:
    """A small JPEG."""
    return encode(picture(mode), "JPEG", **options)


def animated_png() -> bytes:
    """Two frames."""
    return png(save_all=True, append_images=[picture().rotate(90)])


def mpo() -> bytes:
    """A JPEG with a second picture in it."""
    return encode(picture(), "MPO", save_all=True, append_images=[picture().rotate(180)])


def noise(size_bytes: int) -> bytes:
    """A PNG of about this size: pixels that do not compress."""
    side = int((size_bytes / 3) ** 0.5)
    pixels = random.Random(7).randbytes(side * side * 3)
    return encode(Image.frombytes("RGB", (side, side), pixels), "PNG")


def chunk(kind: bytes, data: bytes) -> bytes:
    """One PNG chunk with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int = 10_000, height: int = 10_000) -> bytes:
    """A tiny PNG that claims to be huge."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A small PNG with text chunks that unpack to many megabytes."""
    packed = b"Comment\0\0" + zlib.compress(bytes(1_000_000))
    whole = png()
    return whole[:33] + chunk(b"zTXt", packed) * 40 + whole[33:]
