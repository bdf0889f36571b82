"""The image part on its way to the blob store: hashed, counted, its header and its end checked.

Where the house keeps de-identified copies, a DICOM file becomes one here, and what is hashed and counted is the copy.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from services.gateway.deidentified.rewriter import DeflatedError, NoPixelsError, Rewriter
from services.gateway.deidentified.uids import Remap, remapping
from services.gateway.dicom_elements import HeaderError
from services.gateway.image_header import TAIL_BYTES, ImageHeader, check_end, read_header
from services.gateway.logic import Submission, submission
from services.gateway.pixel_mark import PixelMark, no_pixels
from services.gateway.settings import GatewaySettings
from shared.contracts import DicomSource, ImageFacts
from shared.errors import BadUploadError

#: Read before anything is stored: header problems are found in it, and a smaller image is one write.
HEAD_BYTES = 1 << 20
#: Rewritten at once, before others have their turn: a few milliseconds where it is all of small elements.
_STEP_BYTES = 32 * 1024


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

    def __init__(self, form: ImageSource, settings: GatewaySettings, tenant: str) -> None:
        self._form = form
        self._settings = settings
        self._remap = _remapping(settings, tenant)
        self._rewriter: Rewriter | None = None
        self._sha256 = hashlib.sha256()
        self._size_bytes = 0
        self._tail = b""
        self._header: ImageHeader | None = None
        self._head = b""
        self._pixels: PixelMark | None = None
        #: What to record, once the whole body is received and found right.
        self.submission: Submission | None = None

    @property
    def source(self) -> DicomSource | None:
        """Where a DICOM image belongs at its sender's, once it has begun."""
        return self._header.dicom if self._header else None

    @property
    def kept_source(self) -> DicomSource | None:
        """Where it belongs in what is kept of it."""
        source, remap = self.source, self._remap
        if source is None or remap is None:
            return source
        uids = {name: remap(getattr(source, name)) for name in _MAPPED}
        return source.model_copy(update={**uids, "accession_number": None, "deidentified": True})

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
        while len(head) < HEAD_BYTES and (data := await self._form.image_data()) is not None:
            head += data
        first = bytes(head)
        del head
        self._header = read_header(first, self._settings.max_pixels)
        if self._header.dicom is not None:
            if self._remap is None:
                self._pixels = PixelMark(self._header.dicom.transfer_syntax_uid)
            else:
                self._rewriter = Rewriter(self._remap)  # looks for the pixels itself
        copy = await self._copied(first)
        self._head = self._counted(copy + self._rest_of_copy() if self.is_whole else copy)
        return self._head

    async def chunks(self, head: bytes) -> AsyncIterator[bytes]:
        """The whole image. Any fault of the body is raised before the end, so that a store keeps nothing of it."""
        yield head
        while (data := await self._form.image_data()) is not None:
            yield self._counted(await self._copied(data))
        if rest := self._rest_of_copy():
            yield self._counted(rest)
        await self.finish()

    async def finish(self) -> Submission:
        """Check the image's end and the rest of the form; what to record."""
        if self._header is None:
            raise RuntimeError("begin() comes first")
        check_end(self._header.media_type, self._tail)
        if self._pixels is not None:
            self._pixels.check()
        fields = await self._form.rest()
        self.submission = submission(self._facts(self._header), fields, self._settings)
        return self.submission

    async def _copied(self, data: bytes) -> bytes:
        """What is kept of the next bytes."""
        if self._rewriter is None:
            return data
        left, copy = bytearray(data), bytearray()
        with _said_of_header():
            while left:
                copy += self._rewriter.feed(left[:_STEP_BYTES])
                del left[:_STEP_BYTES]
                await asyncio.sleep(0)
        return bytes(copy)

    def _rest_of_copy(self) -> bytes:
        with _said_of_header():
            return self._rewriter.close() if self._rewriter else b""

    def _counted(self, data: bytes) -> bytes:
        self._sha256.update(data)
        self._size_bytes += len(data)
        self._tail = (self._tail + data[-TAIL_BYTES:])[-TAIL_BYTES:]
        if self._pixels is not None:
            self._pixels.feed(data)
        return data

    def _facts(self, header: ImageHeader) -> ImageFacts:
        return ImageFacts(
            media_type=header.media_type,
            sha256=self._sha256.hexdigest(),
            size_bytes=self._size_bytes,
            width=header.width,
            height=header.height,
            dicom=self.kept_source,
        )


#: Identifiers of a DICOM image that are replaced in its de-identified copy.
_MAPPED = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")


def _remapping(settings: GatewaySettings, tenant: str) -> Remap | None:
    if settings.dicom_store == "original":
        return None
    return remapping(settings.dicom_uid_key.get_secret_value(), tenant)


@contextmanager
def _said_of_header() -> Iterator[None]:
    try:
        yield
    except DeflatedError as error:
        said = "A deflated DICOM file is not taken here, where only de-identified copies are kept."
        raise BadUploadError(said, code="dicom_deflated", status=415) from error
    except NoPixelsError as error:
        raise no_pixels() from error
    except HeaderError as error:
        said = "The DICOM file is damaged or cut off, and no de-identified copy can be made of it."
        raise BadUploadError(said, code="dicom_header_damaged", status=422) from error
