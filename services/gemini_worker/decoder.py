"""Decodes for all of a worker's readings, one image at a time, and is never waited for beyond a reading's budget."""

import threading
from concurrent.futures import ThreadPoolExecutor

from services.gemini_worker.failure import ReadingFailedError
from services.gemini_worker.image import prepare_image
from services.gemini_worker.settings import GeminiWorkerSettings
from shared.contracts import UnavailableReason


class Decoder:
    """May be used from several threads at once.

    One thread decodes for all: each of eight kept its own 200 MB of malloc's after an image of 30 megapixels, which
    is more than a container of 1 GiB has.
    """

    def __init__(self, settings: GeminiWorkerSettings) -> None:
        self._max_side_px = settings.gemini_max_image_side_px
        self._max_pixels = settings.gemini_max_image_pixels
        self._lock = threading.Lock()
        self._thread = _thread()

    def prepare(self, data: bytes, *, timeout_s: float) -> bytes:
        """`prepare_image`; ReadingFailedError (BUSY) when its turn is not over after `timeout_s`."""
        with self._lock:
            thread = self._thread
            work = thread.submit(
                prepare_image, data, max_side_px=self._max_side_px, max_pixels=self._max_pixels
            )
        try:
            return work.result(timeout_s)
        except TimeoutError:
            if not work.cancel():
                self._replace(thread)
            raise ReadingFailedError(
                UnavailableReason.BUSY, "There was no time left to ask Gemini once the image was prepared."
            ) from None

    def _replace(self, stuck: ThreadPoolExecutor) -> None:
        """An image that takes this long must not hold up the others; a thread cannot be stopped, only left behind."""
        with self._lock:
            if self._thread is stuck:
                stuck.shutdown(wait=False, cancel_futures=False)
                self._thread = _thread()


def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="decode")
