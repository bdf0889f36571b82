"""Zips, good ones and hostile ones, written byte by byte where a library would not write them."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence

#: Offsets in a local header and in an entry of the directory (APPNOTE 4.3.7, 4.3.12).
_LOCAL_FLAGS, _LOCAL_METHOD, _LOCAL_CRC = 6, 8, 14
_CENTRAL_FLAGS, _CENTRAL_METHOD, _CENTRAL_CRC = 8, 10, 16


def zipped(
    files: Mapping[str, bytes] | Sequence[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """A zip of these files, in this order."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in dict(files).items() if isinstance(files, Mapping) else files:
            archive.writestr(name, data)
    return out.getvalue()


def with_zip64(files: Mapping[str, bytes]) -> bytes:
    """As writers that stream do: every entry carries 64-bit sizes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            with archive.open(name, "w", force_zip64=True) as entry:
                entry.write(data)
    return out.getvalue()


def patched(archive: bytes, index: int, **changed: int) -> bytes:
    """Entry number `index` with another `flags`, `method` or `crc`, in both places."""
    out = bytearray(archive)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        local = opened.infolist()[index].header_offset
        central = opened.start_dir
        for entry in opened.infolist()[:index]:
            central += 46 + len(entry.filename.encode()) + len(entry.extra) + len(entry.comment)
    for name, value in changed.items():
        layout = "<I" if name == "crc" else "<H"
        places = {
            "flags": (_LOCAL_FLAGS, _CENTRAL_FLAGS),
            "method": (_LOCAL_METHOD, _CENTRAL_METHOD),
            "crc": (_LOCAL_CRC, _CENTRAL_CRC),
        }[name]
        struct.pack_into(layout, out, local + places[0], value)
        struct.pack_into(layout, out, central + places[1], value)
    return bytes(out)


def overlapping(data: bytes, count: int) -> bytes:
    """Many directory entries over the same packed bytes: small to send, large to unpack (Fifield, WOOT 2019)."""
    packed = zlib.compress(data, 9)[2:-4]
    header = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, zlib.crc32(data), len(packed), len(data), 1, 0)
    local = b"PK\x03\x04" + header + b"a" + packed
    central = b"".join(
        b"PK\x01\x02" + struct.pack("<H", 20) + header + struct.pack("<HHHII", 0, 0, 0, 0, 0) + b"a"
        for _ in range(count)
    )
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(central), len(local), 0)
    return local + central + b"PK\x05\x06" + end


def huge_directory(size: int) -> bytes:
    """A zip whose directory claims, and has, this many bytes."""
    directory = b"\0" * size
    return directory + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, size, 0, 0)
