"""The image part on its way to the blob store: hashed, counted, its header and its end checked."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from services.gateway.image_header import TAIL_BYTES, ImageHeader, check_end, read_header
from services.gateway.logic import Submission, submission
from services.gateway.settings import GatewaySettings
from shared.contracts import DicomSource, ImageFacts

#: Read before anything is stored: header problems are found in it, and a smaller image is one write.
HEAD_BYTES = 1 << 20


class ImageSource(Protocol):
    """Where the image comes from: a form, or one item of a batch."""

    @property
    def image_ended(self) -> bool:
        """Whether the image is read to its end."""
        ...

    async def find_image(self) -> None:
        """Read up to the image."""
        ...

    async def image_data(self) -> bytes | None:
        """The next bytes of the image, None at its end."""
        ...

    async def rest(self) -> Mapping[str, bytes]:
        """Read what follows the image; the fields beside it."""
        ...


class ImageUpload:
    """One submission being received. `begin` first; then `finish` if `is_whole`, else drain `chunks`."""

    def __init__(self, form: ImageSource, settings: GatewaySettings) -> None:
        self._form = form
        self._settings = settings
        self._sha256 = hashlib.sha256()
        self._size_bytes = 0
        self._tail = b""
        self._header: ImageHeader | None = None
        self._head = b""
        #: What to record, once the whole body is received and found right.
        self.submission: Submission | None = None

    @property
    def source(self) -> DicomSource | None:
        """Where a DICOM image belongs, once it has begun."""
        return self._header.dicom if self._header else None

    @property
    def is_whole(self) -> bool:
        """Whether the head was all of the image."""
        return self._form.image_ended

    async def begin(self) -> bytes:
        """Read and return the image's first bytes; BadUploadError where they are not those of a readable image.

        Called again it returns them again.
        """
        if self._header is not None:
            return self._head
        await self._form.find_image()
        head = bytearray()
        while len(head) < HEAD_BYTES and (data := await self._next()) is not None:
            head += data
        self._head = bytes(head)
        self._header = read_header(self._head, self._settings.max_pixels)
        return self._head

    async def chunks(self, head: bytes) -> AsyncIterator[bytes]:
        """The whole image. Any fault of the body is raised before the end, so that a store keeps nothing of it."""
        yield head
        while (data := await self._next()) is not None:
            yield data
        await self.finish()

    async def finish(self) -> Submission:
        """Check the image's end and the rest of the form; what to record."""
        if self._header is None:
            raise RuntimeError("begin() comes first")
        check_end(self._header.media_type, self._tail)
        fields = await self._form.rest()
        self.submission = submission(self._facts(self._header), fields, self._settings)
        return self.submission

    async def _next(self) -> bytes | None:
        data = await self._form.image_data()
        if data is not None:
            self._sha256.update(data)
            self._size_bytes += len(data)
            self._tail = (self._tail + data[-TAIL_BYTES:])[-TAIL_BYTES:]
        return data

    def _facts(self, header: ImageHeader) -> ImageFacts:
        return ImageFacts(
            media_type=header.media_type,
            sha256=self._sha256.hexdigest(),
            size_bytes=self._size_bytes,
            width=header.width,
            height=header.height,
            dicom=header.dicom,
        )
