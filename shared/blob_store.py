"""Where images, previews and finished jobs are kept: a local folder or anything S3-compatible, through obstore.

On a local folder a write is fsynced, file and folder, before it counts: a 202 must survive a power cut.
Open one store per process and after any fork: obstore runs threads of its own.
"""

import hashlib
import io
import os
import re
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore, S3Store

if TYPE_CHECKING:
    from obstore import ReadableFile

from shared.errors import BlobMissingError, BlobStoreUnavailableError, SetupError

_PROBE = "probe"
#: What obstore calls a local file until it is whole.
_STAGED = re.compile(r"#\d+$")


class BlobStore:
    """Bytes under paths. Paths come from `shared.names.blob_path` and never from a caller."""

    def __init__(self, store: LocalStore | S3Store, root: Path | None) -> None:
        self._store = store
        #: The folder of a local store, None elsewhere.
        self._root = root
        # How a stream is cut up: S3 takes parts of 5 MiB and more; a file needs less memory.
        self._chunk, self._in_flight = (5 << 20, 12) if root is None else (1 << 20, 1)

    @classmethod
    def open(cls, url: str) -> "BlobStore":
        """Open `file://<folder>` (relative or absolute) or `s3://<bucket>/<prefix>`; SetupError for others.

        S3 credentials and endpoint come from the usual AWS variables or files, which obstore reads.
        """
        parts = urlsplit(url)
        if parts.scheme == "file":
            root = Path(parts.netloc + parts.path).absolute()
            return cls(_local(root), root)
        if parts.scheme == "s3" and parts.netloc:
            return cls(S3Store(parts.netloc, prefix=parts.path.strip("/") or None), None)
        raise SetupError("MEDISCAN_BLOB_URL must be file://<folder> or s3://<bucket>/<prefix>")

    def put(self, path: str, data: bytes, *, durable: bool = True) -> None:
        """Store `data`, replacing what was there, in one step; BlobStoreUnavailableError if it cannot be kept.

        durable=False spares the fsync, for what can be made again.
        """
        with _converted():
            obstore.put(self._store, path, data, use_multipart=False)
            if durable:
                self._sync(path)

    def put_all(self, objects: Mapping[str, bytes]) -> None:
        """`put` for each, with one fsync a folder for all of them; on an error some are stored and some are not."""
        for path, data in objects.items():
            self.put(path, data, durable=False)
        if self._root is None:
            return
        with _converted():
            for path in objects:
                _fsync(self._root / path)
            for folder in {(self._root / path).parent for path in objects}:
                _fsync(folder)

    def put_new(self, path: str, data: bytes) -> bool:
        """Store `data`, durably, where nothing is yet. False: there is something, which stays as it is.

        After a lost reply of S3 that something may be `data` itself.
        """
        with _converted():
            if self._root is not None:
                return _link_new(self._root / path, data)
            try:
                obstore.put(self._store, path, data, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
            return True

    async def put_stream(self, path: str, chunks: AsyncIterator[bytes]) -> None:
        """Store a stream as one object. If `chunks` raises, nothing is stored and the error passes through."""
        broken: list[Exception] = []
        try:
            with _converted():
                await obstore.put_async(
                    self._store,
                    path,
                    _watched(chunks, broken),
                    chunk_size=self._chunk,
                    max_concurrency=self._in_flight,
                )
        except (BlobMissingError, BlobStoreUnavailableError):
            # A caller's connection breaks with an OSError too; that is not the store's fault.
            if broken:
                raise broken[0] from None
            raise

    def sync(self, path: str) -> None:
        """Make a streamed object durable (a no-op for S3, which is)."""
        with _converted():
            self._sync(path)

    def get(self, path: str) -> bytes:
        """The whole object; BlobMissingError if there is none."""
        with _converted():
            return obstore.get(self._store, path).bytes().to_bytes()

    def open_file(self, path: str, *, most_at_once: int) -> "BlobFile":
        """The object as a file to seek in; BlobMissingError if there is none."""
        with _converted():
            return BlobFile(obstore.open_reader(self._store, path), most_at_once)

    def get_checked(self, path: str, sha256: str) -> bytes:
        """The whole object; BlobMissingError also where its SHA-256 is not `sha256`."""
        data = self.get(path)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise BlobMissingError("The stored image is not the one that was uploaded: its checksum differs.")
        return data

    def delete(self, *paths: str) -> None:
        """Remove objects; those that are not there are no error."""
        for path in paths:
            try:
                with _converted():
                    obstore.delete(self._store, path)
            except BlobMissingError:
                continue

    def folders(self, prefix: str = "") -> list[str]:
        """Names of the folders directly under `prefix`."""
        with _converted():
            found = obstore.list_with_delimiter(self._store, prefix or None)["common_prefixes"]
        return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found)

    def paths(self, prefix: str) -> list[str]:
        """Every object under `prefix`."""
        with _converted():
            return [meta["path"] for batch in obstore.list(self._store, prefix) for meta in batch]

    def names(self, folder: str) -> list[str]:
        """Names of the objects directly in `folder`, in no order; none where there is no such folder.

        Cheaper than `paths`, which asks the disk about each object. In S3: a request for each thousand of them.
        """
        if self._root is None:
            return [path.rsplit("/", 1)[-1] for path in self.paths(folder)]
        try:
            with _converted():
                return [name for name in os.listdir(self._root / folder) if not _STAGED.search(name)]
        except BlobMissingError:
            return []

    def drop_half_written(self, prefix: str) -> int:
        """Delete what writers that died left unfinished under `prefix`; how many. Nothing may be written there now.

        In a local folder only: what S3 holds of an unfinished upload is removed by a rule of the bucket.
        """
        if self._root is None:
            return 0
        with _converted():
            # obstore writes to `name#1` and renames; it lists and deletes no such file itself.
            found = [path for path in (self._root / prefix).glob("*") if _STAGED.search(path.name)]
            for path in found:
                path.unlink(missing_ok=True)
        return len(found)

    def drop_folder(self, prefix: str) -> None:
        """Remove the folder `prefix` if it is there and empty. S3 has no folders."""
        if self._root is None:
            return
        folder = self._root / prefix
        with _converted(), suppress(FileNotFoundError):
            if not any(folder.iterdir()):
                folder.rmdir()

    def free_bytes(self) -> int | None:
        """What the disk of a local store has left for us; None where there is no such limit (S3).

        BlobStoreUnavailableError where its folder cannot be reached.
        """
        if self._root is None:
            return None
        try:
            disk = os.statvfs(self._root)
        except OSError as error:
            raise BlobStoreUnavailableError("The image store cannot be read right now.") from error
        return disk.f_bavail * disk.f_frsize

    def check_writable(self) -> None:
        """BlobStoreUnavailableError unless a write goes through."""
        self.put(_PROBE, b"ok")

    def is_writable(self) -> bool:
        """Whether a write goes through."""
        try:
            self.check_writable()
        except BlobStoreUnavailableError:
            return False
        return True

    def exists(self, path: str) -> bool:
        """Whether there is such an object."""
        try:
            with _converted():
                obstore.head(self._store, path)
        except BlobMissingError:
            return False
        return True

    def _sync(self, path: str) -> None:
        if self._root is None:
            return
        file = self._root / path
        for target in (file, file.parent):
            _fsync(target)


class BlobFile(io.RawIOBase):
    """One object as a file to read and seek in. A read of more than `most_at_once` bytes is refused: ValueError.

    Who parses a stranger's file is told there how much to read.
    """

    def __init__(self, reader: "ReadableFile", most_at_once: int) -> None:
        super().__init__()
        self._reader = reader
        self._most = most_at_once

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def seekable(self) -> bool:
        """In any order."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes; all that are left, where that is no more than allowed."""
        if size is None or size < 0:
            size = self._most
        if size > self._most:
            raise ValueError("more is asked for than may be read at once")
        with _converted():
            return self._reader.read(size).to_bytes()

    def seek(self, offset: int, whence: int = 0) -> int:
        """As files do: OSError for a place before the beginning. The store is not asked."""
        return self._reader.seek(offset, whence)

    def tell(self) -> int:
        """As files do."""
        return self._reader.tell()


async def _watched(chunks: AsyncIterator[bytes], broken: list[Exception]) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            yield chunk
    except Exception as error:
        broken.append(error)
        raise


def _local(root: Path) -> LocalStore:
    try:
        root.mkdir(parents=True, exist_ok=True)
        return LocalStore(root)
    except OSError as error:
        raise SetupError(f"MEDISCAN_BLOB_URL: the folder {root} cannot be made or used") from error


def _link_new(target: Path, data: bytes) -> bool:
    """Under its name only once it is whole and on disk: a power cut leaves all of it or nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f"{target.name}#{secrets.randbits(63)}")  # obstore lists no such name
    try:
        staged.write_bytes(data)
        _fsync(staged)
        os.link(staged, target)
    except FileExistsError:
        return False
    finally:
        staged.unlink(missing_ok=True)
    _fsync(target.parent)
    return True


def _fsync(target: Path) -> None:
    handle = os.open(target, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _converted() -> Iterator[None]:
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise BlobMissingError("The stored object is not there.") from error
    except (BaseError, OSError) as error:
        raise BlobStoreUnavailableError("The image store cannot be read or written right now.") from error
