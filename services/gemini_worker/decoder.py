"""Decodes for all of a worker's readings, one image at a time, and is never waited for beyond a reading's budget."""

from services.gemini_worker.failure import ReadingFailedError
from services.gemini_worker.image import encode_bare
from services.gemini_worker.settings import GeminiWorkerSettings
from shared.contracts import UnavailableReason
from shared.image import decoder
from shared.image.decoder import DecodeTimeoutError


class Decoder:
    """May be used from several threads at once.

    One process decodes for all: eight images of 30 megapixels at once are more than a container of 1 GiB has.
    """

    def __init__(self, settings: GeminiWorkerSettings) -> None:
        self._max_side_px = settings.gemini_max_image_side_px
        self._decoder = decoder.Decoder(
            settings, max_pixels=settings.gemini_max_image_pixels, least_side=self._max_side_px
        )

    def prepare(self, data: bytes, *, timeout_s: float) -> bytes:
        """The image as it may be sent; ReadingFailedError (BUSY) when its turn is not over after `timeout_s`.

        ImageError where it cannot be decoded.
        """
        try:
            pixels = self._decoder.decode(data, timeout_s=timeout_s).pixels
        except DecodeTimeoutError:
            raise ReadingFailedError(
                UnavailableReason.BUSY, "There was no time left to ask Gemini once the image was prepared."
            ) from None
        return encode_bare(pixels, max_side_px=self._max_side_px)
