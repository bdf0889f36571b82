"""The picture with the heatmap over it, as Secondary Capture: what every viewer can show. Pure.

What it is, and is not, stands in the picture itself, under the anatomy and never over it.
"""

from typing import Any

import numpy as np
from highdicom.sc import SCImage
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset

from services.fusion.dicom.coded import common, ended
from services.fusion.dicom.source import Source
from shared.contracts import FusedResult, JobView, MlReading
from shared.dicom_results import DicomResult
from shared.heatmap import overlay as heatmap

#: A narrower picture is enlarged: else the words would not fit.
_LEAST_WIDTH = 384
_MARGIN = 8
_BACKGROUND, _INK = (0, 0, 0), (235, 235, 235)
#: ITU-T T.81: how the preview was compressed.
_JPEG = "ISO_10918_1"


def overlay(job: JobView, ml: MlReading, result: FusedResult, source: Source, preview: bytes) -> Dataset:
    """The overlay of one finished job. preview: JPEG, as the ML worker made it."""
    picture = _captioned(heatmap(preview, ml.cam), _lines(ml, result))
    pixels = np.asarray(picture, dtype=np.uint8)
    made = SCImage(
        pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        study_instance_uid=source.dataset.StudyInstanceUID,
        **_patient(source.dataset),
        **common(job, source, DicomResult.OVERLAY, ml),
    )
    made.copy_patient_and_study_information(source.dataset)
    made["PatientOrientation"].value = None  # of a picture that is mostly a caption, nobody can say
    source.mark_side(made)
    _say_when(made, job)
    _say_from_what(made, source)
    _say_what_was_lost(made, pixels.nbytes, len(preview))
    return made


def _patient(source: Dataset) -> dict[str, Any]:
    return {
        "patient_id": source.PatientID,
        "patient_name": source.PatientName,
        "patient_birth_date": source.PatientBirthDate,
        "patient_sex": source.PatientSex,
        "accession_number": source.AccessionNumber,
        "study_id": source.StudyID,
        "study_date": source.StudyDate,
        "study_time": source.StudyTime,
        "referring_physician_name": source.ReferringPhysicianName,
    }


def _lines(ml: MlReading, result: FusedResult) -> tuple[str, ...]:
    frame = f", frame {ml.frame}" if ml.frame else ""
    said = result.label or "no decision"
    return (
        "MediScan: research, not a diagnosis",
        f"{said}, P(positive) {result.p_positive:.2f}{frame}"
        + (", needs review" if result.needs_review else ""),
        f"Grad-CAM of {ml.model.name} {ml.model.version}",
    )


def _captioned(picture: Image.Image, lines: tuple[str, ...]) -> Image.Image:
    scale = -(-_LEAST_WIDTH // picture.width)
    if scale > 1:
        picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.BICUBIC)
    width = picture.width
    size = max(14, width // 28)
    font = ImageFont.load_default(size)
    line_height = size + size // 3
    band = 2 * _MARGIN + line_height * len(lines)
    canvas = Image.new("RGB", (width, picture.height + band), _BACKGROUND)
    canvas.paste(picture)
    draw = ImageDraw.Draw(canvas)
    for row, line in enumerate(lines):
        draw.text((_MARGIN, picture.height + _MARGIN + row * line_height), line, fill=_INK, font=font)
    return canvas


def _say_when(made: Dataset, job: JobView) -> None:
    at = ended(job)
    made.DateOfSecondaryCapture, made.TimeOfSecondaryCapture = at.date(), at.time()


def _say_from_what(made: Dataset, source: Source) -> None:
    made.SourceImageSequence = [source.reference()]
    made.DerivationDescription = "Grad-CAM of a machine's reading over the image. Research, not a diagnosis."
    # A name that was in the picture is still in it.
    if "BurnedInAnnotation" in source.dataset:
        made.BurnedInAnnotation = source.dataset.BurnedInAnnotation


def _say_what_was_lost(made: Dataset, pixel_bytes: int, preview_bytes: int) -> None:
    made.LossyImageCompression = "01"
    made.LossyImageCompressionRatio = round(max(1.0, pixel_bytes / preview_bytes), 2)
    made.LossyImageCompressionMethod = _JPEG
