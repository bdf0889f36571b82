"""Decodes for all of a worker's readings, one image at a time, and is never waited for beyond a reading's budget."""

from services.gemini_worker.burned_in import shows_writing
from services.gemini_worker.failure import ReadingFailedError
from services.gemini_worker.image import encode_bare
from services.gemini_worker.settings import GeminiWorkerSettings
from shared.contracts import FrameWish, UnavailableReason
from shared.image import decoder
from shared.image.decoder import DecodeTimeoutError
from shared.image.picture import DecodedImage


class Decoder:
    """May be used from several threads at once.

    One process decodes for all: eight images of 30 megapixels at once are more than a container of 1 GiB has.
    """

    def __init__(self, settings: GeminiWorkerSettings) -> None:
        self._max_side_px = settings.gemini_max_image_side_px
        self._policy = settings.gemini_burned_in_text
        self._decoder = decoder.Decoder(
            settings, max_pixels=settings.gemini_max_image_pixels, least_side=self._max_side_px
        )

    def prepare(self, data: bytes, frame: FrameWish = "middle", *, timeout_s: float) -> bytes:
        """The image as it may be sent, of several frames the one wished for.

        ReadingFailedError: BUSY when its turn is not over after `timeout_s`, BURNED_IN_TEXT where it may not be sent.
        ImageError where it cannot be decoded.
        """
        try:
            decoded = self._decoder.decode(data, frame, timeout_s=timeout_s)
        except DecodeTimeoutError:
            raise ReadingFailedError(
                UnavailableReason.BUSY, "There was no time left to ask Gemini once the image was prepared."
            ) from None
        if why := self._why_kept(decoded):
            said = f"Writing may be part of the picture, so that it stays in the house: {why}."
            raise ReadingFailedError(UnavailableReason.BURNED_IN_TEXT, said)
        return encode_bare(decoded.pixels, max_side_px=self._max_side_px)

    def _why_kept(self, decoded: DecodedImage) -> str:
        """Why the picture may not be sent, as one phrase; empty where it may."""
        if self._policy == "off":
            return ""
        if decoded.dicom is not None and decoded.dicom.burned_in:
            return decoded.dicom.burned_in
        return "its pixels look like it" if self._policy == "detect" and shows_writing(decoded.pixels) else ""
