"""One image on its way in: facts, head, chunks."""

import hashlib

import pytest

from services.gateway.form import SubmissionForm
from services.gateway.logic import Submission
from services.gateway.upload import HEAD_BYTES, ImageUpload
from shared.errors import BadUploadError
from tests.support import dicoms
from tests.unit.gateway import images
from tests.unit.gateway.forms import image_form, open_form, receiver, run, settings, sliced


def opened(body: bytes) -> SubmissionForm:
    return open_form(receiver(sliced(body, 65536)), max_bytes=1 << 24)


async def receive(body: bytes) -> tuple[Submission | None, list[bytes]]:
    upload = ImageUpload(opened(body), settings(), "ward")
    head = await upload.begin()
    if upload.is_whole:
        return await upload.finish(), [head]
    return upload.submission, [chunk async for chunk in upload.chunks(head)]


def test_a_small_image_is_whole_after_its_head() -> None:
    image = images.png()
    new, chunks = run(receive(image_form(image, priority=b"stat")))
    assert chunks == [image]
    assert new is not None
    assert new.priority == "stat"
    assert new.image.model_dump() == {
        "media_type": "image/png",
        "sha256": hashlib.sha256(image).hexdigest(),
        "size_bytes": len(image),
        "width": 48,
        "height": 32,
        "dicom": None,
    }


def test_a_large_image_is_streamed_and_hashed() -> None:
    image = images.noise(3 * HEAD_BYTES)

    async def receiving() -> tuple[ImageUpload, bytes]:
        upload = ImageUpload(opened(image_form(image)), settings(), "ward")
        head = await upload.begin()
        assert not upload.is_whole
        assert len(head) < 2 * HEAD_BYTES
        return upload, b"".join([chunk async for chunk in upload.chunks(head)])

    upload, stored = run(receiving())
    assert stored == image
    assert upload.submission is not None
    assert upload.submission.image.sha256 == hashlib.sha256(image).hexdigest()


@pytest.mark.parametrize("size", [1000, 3 * HEAD_BYTES])
def test_a_cut_file_in_a_whole_form_is_refused(size: int) -> None:
    with pytest.raises(BadUploadError, match="cut off"):
        run(receive(image_form(images.noise(size)[:-12])))


def test_a_fault_after_a_large_image_is_raised_within_the_stream() -> None:
    body = image_form(images.noise(3 * HEAD_BYTES))[:-10]
    with pytest.raises(BadUploadError, match="closing boundary"):
        run(receive(body))


@pytest.mark.parametrize("syntax", [dicoms.IMPLICIT, dicoms.BIG_ENDIAN, dicoms.JPEG_LS])
def test_a_dicom_file_cut_off_between_two_elements_is_refused(syntax: str) -> None:
    file = dicoms.dicom(syntax=syntax)
    with pytest.raises(BadUploadError) as error:
        run(receive(image_form(file[: dicoms.pixels_at(file, syntax)])))
    assert error.value.code == "dicom_no_pixels"
    new, _ = run(receive(image_form(file)))
    assert new is not None


def test_what_is_deflated_is_left_to_the_decoder() -> None:
    new, _ = run(receive(image_form(dicoms.dicom(syntax=dicoms.DEFLATED))))
    assert new is not None
