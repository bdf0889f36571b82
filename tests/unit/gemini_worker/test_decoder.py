"""One thread decodes for all readings, and none waits for it for longer than it may."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.gemini_worker import decoder
from services.gemini_worker.decoder import Decoder
from services.gemini_worker.failure import ReadingFailedError
from services.gemini_worker.settings import GeminiWorkerSettings
from shared.contracts import UnavailableReason
from tests.support.images import scan
from tests.support.waiting import wait_until


class Jammed:
    """Stands in for the decoding library on an image that it does not come back from."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.begun: list[bytes] = []

    def __call__(self, data: bytes, *, max_side_px: int, max_pixels: int) -> bytes:
        self.begun.append(data)
        if data == b"stuck":
            self.free.wait()
        return data


@pytest.fixture
def jammed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jammed]:
    jam = Jammed()
    monkeypatch.setattr(decoder, "prepare_image", jam)
    yield jam
    jam.free.set()


def test_an_image_is_prepared() -> None:
    settings = GeminiWorkerSettings(gemini_max_image_side_px=64)
    assert Decoder(settings).prepare(scan(), timeout_s=30).startswith(b"\x89PNG")


def test_an_image_that_is_never_ready_is_given_up_and_the_next_ones_are_not(jammed: Jammed) -> None:
    decoding = Decoder(GeminiWorkerSettings())
    with pytest.raises(ReadingFailedError) as caught:
        decoding.prepare(b"stuck", timeout_s=0.1)
    assert caught.value.reason is UnavailableReason.BUSY
    assert decoding.prepare(b"next", timeout_s=30) == b"next"


def test_an_image_whose_turn_never_comes_is_not_decoded_later(jammed: Jammed) -> None:
    decoding = Decoder(GeminiWorkerSettings())
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(decoding.prepare, b"stuck", timeout_s=30)
        wait_until(lambda: jammed.begun == [b"stuck"])
        with pytest.raises(ReadingFailedError):
            decoding.prepare(b"impatient", timeout_s=0.1)
        jammed.free.set()
        assert first.result(30) == b"stuck"
    assert decoding.prepare(b"next", timeout_s=30) == b"next"
    assert jammed.begun == [b"stuck", b"next"]
