"""What the worker makes of an upload, and of a decoder that has no time for it."""

import io
import os
import signal

import pytest
from PIL import Image, ImageStat

from services.gemini_worker.decoder import Decoder
from services.gemini_worker.failure import ReadingFailedError
from services.gemini_worker.settings import GeminiWorkerSettings
from shared.contracts import UnavailableReason
from shared.errors import ImageError
from tests.support import bombs, dicoms, writing
from tests.support.images import encoded, scan


@pytest.fixture
def decoding() -> Decoder:
    return Decoder(GeminiWorkerSettings(gemini_max_image_side_px=64))


def test_an_image_is_prepared(decoding: Decoder) -> None:
    with Image.open(io.BytesIO(decoding.prepare(scan(256), timeout_s=30))) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (64, 64))


def test_an_image_that_cannot_be_decoded_says_so(decoding: Decoder) -> None:
    with pytest.raises(ImageError, match="pixels"):
        decoding.prepare(bombs.huge_png(20_000), timeout_s=30)


def test_of_several_frames_the_one_wished_for_is_prepared(decoding: Decoder) -> None:
    file = dicoms.dicom(dicoms.frames(3), WindowCenter=2048, WindowWidth=4096)
    means = []
    for number in (1, 3):
        with Image.open(io.BytesIO(decoding.prepare(file, number, timeout_s=30))) as picture:
            means.append(ImageStat.Stat(picture).mean[0])
    assert means[1] == pytest.approx(3 * means[0], rel=0.05)


def test_a_picture_that_writing_may_be_part_of_stays_in_the_house(decoding: Decoder) -> None:
    with pytest.raises(ReadingFailedError, match="stays in the house") as kept:
        decoding.prepare(dicoms.dicom(BurnedInAnnotation="YES"), timeout_s=30)
    assert kept.value.reason is UnavailableReason.BURNED_IN_TEXT


@pytest.mark.parametrize(
    ("policy", "file", "is_sent"),
    [
        ("detect", dicoms.dicom(BurnedInAnnotation="YES"), False),
        ("tag", dicoms.dicom(BurnedInAnnotation="YES"), False),
        ("off", dicoms.dicom(BurnedInAnnotation="YES"), True),
        ("detect", encoded(next(writing.with_writing())), False),
        ("tag", encoded(next(writing.with_writing())), True),
        ("off", encoded(next(writing.with_writing())), True),
        ("detect", encoded(writing.phantom(256)), True),
    ],
)
def test_what_stays_in_the_house_is_a_setting(policy: str, file: bytes, is_sent: bool) -> None:
    made = Decoder(GeminiWorkerSettings(gemini_burned_in_text=policy))
    if is_sent:
        assert made.prepare(file, timeout_s=30)
        return
    with pytest.raises(ReadingFailedError) as kept:
        made.prepare(file, timeout_s=30)
    assert kept.value.reason is UnavailableReason.BURNED_IN_TEXT


def test_an_image_that_is_never_ready_is_given_up_and_the_next_ones_are_not(decoding: Decoder) -> None:
    assert decoding.prepare(scan(), timeout_s=30)
    assert decoding._decoder._child is not None
    os.kill(decoding._decoder._child._process.pid, signal.SIGSTOP)
    with pytest.raises(ReadingFailedError) as caught:
        decoding.prepare(scan(), timeout_s=0.1)
    assert caught.value.reason is UnavailableReason.BUSY
    assert decoding.prepare(scan(), timeout_s=30)
