"""A zip of images, read with mistrust: bounded in everything, and no name in it is used for anything.

What is wrong with the zip as a whole refuses the batch; what is wrong with one file in it refuses that item alone.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, Self

from services.gateway.batch_form import too_large
from shared.blob_store import BlobFile, BlobStore
from shared.errors import BadUploadError

#: What the directory may take for each file that may be in it; it is read in one piece.
_DIRECTORY_BYTES_A_FILE = 1024
_LEAST_DIRECTORY_BYTES = 1 << 18
#: Unpacked so much at a time.
_PIECE = 1 << 17
_ENCRYPTED = 0x1
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
#: Where macOS puts what belongs to its own file system.
_NOT_MEANT = "__MACOSX/"

#: What Python's parser raises on hostile bytes.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    UnicodeError,
    ValueError,
    OverflowError,
    OSError,  # of a place before the file's beginning; a store that is away says something else
)


class BatchArchive:
    """One zip in the blob store. BadUploadError from the constructor where it is none that we read."""

    def __init__(self, blobs: BlobStore, path: str, *, max_items: int, max_bytes: int) -> None:
        """max_bytes: all that it may unpack to."""
        self._left = max_bytes
        self._file = blobs.open_file(
            path, most_at_once=max(_LEAST_DIRECTORY_BYTES, max_items * _DIRECTORY_BYTES_A_FILE)
        )
        self._zip = _opened(self._file)
        #: The files in it, in the order of its directory.
        self.entries = _files(self._zip)
        if not self.entries:
            raise BadUploadError("The zip holds no file.", code="empty_batch", status=422)
        if len(self.entries) > max_items:
            raise too_many_items(max_items)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._file.close()

    def unpacked(self, entry: zipfile.ZipInfo, max_bytes: int) -> Iterator[bytes]:
        """One file, piece by piece; BadUploadError, TooLargeError on the way where that is not to be had."""
        if entry.flag_bits & _ENCRYPTED:
            raise _refused("The file in the zip is encrypted.", "archive_entry_encrypted")
        if entry.compress_type not in _METHODS:
            raise _refused(
                "The file in the zip is packed in another way than deflate.", "archive_entry_packed"
            )
        try:
            with self._zip.open(entry) as packed:
                yield from self._counted(packed, max_bytes)
        except _DAMAGED as error:
            raise _refused("The file in the zip is damaged.", "archive_entry_damaged") from error

    def _counted(self, packed: IO[bytes], max_bytes: int) -> Iterator[bytes]:
        size = 0
        while piece := packed.read(_PIECE):
            size += len(piece)
            self._left -= len(piece)
            if self._left < 0:
                raise _refused(
                    "The zip unpacks to more than a batch may have.", "archive_too_large", status=413
                )
            if size > max_bytes:
                raise too_large(max_bytes)
            yield piece


def _opened(file: BlobFile) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except _DAMAGED as error:
        raise BadUploadError(
            "The `archive` part is no zip that can be read.", code="bad_archive", status=422
        ) from error


def _files(archive: zipfile.ZipFile) -> Sequence[zipfile.ZipInfo]:
    return [
        entry
        for entry in archive.infolist()
        if not entry.is_dir() and not entry.filename.startswith(_NOT_MEANT)
    ]


def too_many_items(most: int) -> BadUploadError:
    """What is said to a batch of too many images."""
    return BadUploadError(f"A batch may have at most {most} images.", code="too_many_items", status=413)


def _refused(said: str, code: str, status: int = 422) -> BadUploadError:
    return BadUploadError(said, code=code, status=status)
