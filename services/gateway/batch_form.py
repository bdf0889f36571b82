"""The form of a batch: many `image` parts or one `archive`, and the fields that all of them share, in any order."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from services.gateway.form import IMAGE, SubmissionForm
from shared.errors import BadUploadError, MediScanError, TooLargeError

ARCHIVE = "archive"


class BatchForm(SubmissionForm):
    """Reads one form, file by file. Use `next_file` and then `image_data` until it is None, until there is no more."""

    async def next_file(self) -> str | None:
        """`image` or `archive`, to be read next; None at the end. What is left of the file before is read past."""
        while (name := await self._next_part()) is not None:
            if name in {IMAGE, ARCHIVE}:
                self.image_ended = False
                return name
            await self._read_field(name)
        return None

    @property
    def fields(self) -> Mapping[str, bytes]:
        """Those that are read; all of them once there is no next file."""
        return self._fields


class OneOfMany:
    """One `image` part, as an upload reads a form. A fault of the form is `broken`; others are the image's own."""

    def __init__(self, form: BatchForm, max_bytes: int) -> None:
        self._form = form
        self._max_bytes = max_bytes
        self._size = 0
        self._sha256 = hashlib.sha256()
        self.broken: MediScanError | None = None

    @property
    def image_ended(self) -> bool:
        """Whether the part is read to its end."""
        return self._form.image_ended

    async def find_image(self) -> None:
        """It is found."""

    async def image_data(self) -> bytes | None:
        """The next bytes, None at the end; TooLargeError over the limit of one image."""
        data = await self._next()
        if self._size > self._max_bytes:
            raise too_large(self._max_bytes)
        return data

    async def rest(self) -> Mapping[str, bytes]:
        """Fields belong to the whole batch."""
        return {}

    async def digest(self) -> str:
        """Read what is left; SHA-256 of the whole part."""
        while await self._next() is not None:
            pass
        return self._sha256.hexdigest()

    async def _next(self) -> bytes | None:
        try:
            data = await self._form.image_data()
        except MediScanError as error:
            self.broken = error
            raise
        if data is not None:
            self._size += len(data)
            self._sha256.update(data)
        return data


class OneEntry:
    """One file out of a zip, as an upload reads a form."""

    def __init__(self, next_piece: Callable[[], Awaitable[bytes]]) -> None:
        """next_piece: empty at the end."""
        self._next_piece = next_piece
        self.image_ended = False
        self.broken: MediScanError | None = None

    async def find_image(self) -> None:
        """It is found."""

    async def image_data(self) -> bytes | None:
        """The next bytes, None at the end; BadUploadError, TooLargeError where it cannot be unpacked."""
        data = b"" if self.image_ended else await self._next_piece()
        self.image_ended = not data
        return data or None

    async def rest(self) -> Mapping[str, bytes]:
        """Fields belong to the whole batch."""
        return {}


class ArchiveStream:
    """The `archive` part on its way to the blob store, hashed."""

    def __init__(self, form: BatchForm) -> None:
        self._form = form
        self._sha256 = hashlib.sha256()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Its bytes; BadUploadError where it is empty."""
        is_empty = True
        while (data := await self._form.image_data()) is not None:
            is_empty = False
            self._sha256.update(data)
            yield data
        if is_empty:
            raise BadUploadError("The `archive` part is empty.", code="empty_archive")

    def digest(self) -> str:
        """SHA-256 of what was read."""
        return self._sha256.hexdigest()


def too_large(max_bytes: int) -> TooLargeError:
    """What is said to one image over the limit."""
    return TooLargeError(f"An image may have at most {max_bytes} bytes.", code="image_too_large")
