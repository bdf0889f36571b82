"""DICOM Part 10 files: which frames are read, and how stored values become what a viewer shows.

In the decoding process only, and imported there with the first DICOM file: pydicom and numpy take 50 MB. Everything
pydicom stumbles over is converted by `shared.image.decode`, which calls this.
"""

import logging
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.utils import get_nr_frames

from shared.errors import ImageError
from shared.image.dicom_header import header_json
from shared.image.dicom_values import Shown, shown
from shared.image.picture import DecodedImage, DicomFacts, Limits, check_size, shrink

if TYPE_CHECKING:
    from shared.contracts import FrameWish

# What pydicom says of a file may quote the file. And a value that is not as it should be is no reason to say anything:
# it is one to refuse the file, where it is needed, or to leave the value out.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
config.settings.reading_validation_mode = config.IGNORE

#: What Image Type (0008,0008), value 2, says of a picture that was not made by examining the patient.
_SECONDARY = "SECONDARY"
#: Begins the UIDs of Secondary Capture Image Storage and its multi-frame kin.
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def pictures(file: bytes, wish: "FrameWish", limits: Limits) -> Iterator[DecodedImage]:
    """The frames that are wished for, the first with what the file says beside its pixels.

    ImageError codes: `dicom_not_an_image`, `dicom_no_such_frame`, `image_too_many_frames`, `image_too_many_pixels`,
    `dicom_pixels_unsupported`, `dicom_transfer_syntax_unsupported`.
    """
    dataset = _opened(file, limits)
    count = get_nr_frames(dataset, warn=False)
    facts: DicomFacts | None = _facts(dataset)
    for number in chosen(wish, count, limits.max_frames):
        yield _picture(shown(dataset, number), number, count, limits, facts)
        facts = None


def chosen(wish: "FrameWish", count: int, most: int) -> range:
    """The numbers, from 1, of the frames to read of `count`; ImageError where that cannot be done."""
    if wish == "all":
        if count > most:
            raise ImageError(
                f"The image has {count} frames; at most {most} are read.", code="image_too_many_frames"
            )
        return range(1, count + 1)
    number = (count + 1) // 2 if wish == "middle" else wish
    if number > count:
        raise ImageError(f"The image has no frame {number}: it has {count}.", code="dicom_no_such_frame")
    return range(number, number + 1)


def burned_in(dataset: Dataset) -> str:
    """Why writing may be part of the picture; empty where nothing says so.

    Burned In Annotation (0028,0301) has the last word. Without it a secondary capture or a secondary image is taken for
    a picture of a screen, which is where patients' names stand.
    """
    stated = str(dataset.get("BurnedInAnnotation") or "")
    if stated == "YES":
        return "its header says so"
    if stated == "NO":
        return ""
    image_type = dataset.get("ImageType") or ()
    kinds = [image_type] if isinstance(image_type, str) else list(image_type)
    is_secondary = str(dataset.get("SOPClassUID") or "").startswith(_SECONDARY_CAPTURE)
    return "it may be a picture of a screen" if is_secondary or _SECONDARY in kinds[1:2] else ""


def _opened(file: bytes, limits: Limits) -> Dataset:
    dataset = dcmread(BytesIO(file))
    if not dataset.get("Rows") or not dataset.get("Columns") or "PixelData" not in dataset:
        raise ImageError("The DICOM file is no image.", code="dicom_not_an_image")
    check_size(int(dataset.Columns), int(dataset.Rows), limits)
    return dataset


def _facts(dataset: Dataset) -> DicomFacts:
    return DicomFacts(header_json(dataset), str(dataset.get("Modality") or ""), burned_in(dataset))


def _picture(
    values: Shown, number: int, count: int, limits: Limits, facts: DicomFacts | None
) -> DecodedImage:
    picture = values.picture
    frame, notes = (number, (f"frame {number} of {count}",)) if count > 1 else (None, ())
    pixels = shrink(picture, lambda part: part, limits.least_side)
    return DecodedImage(pixels, *picture.size, notes=(*notes, *values.notes), frame=frame, dicom=facts)
