"""Finished jobs over drawn DICOM images."""

import io
from dataclasses import replace
from typing import Any

from shared.contracts import DicomSource, JobView
from shared.job_view import view
from tests.support.dicom_study import Slice, drawn
from tests.support.samples import gemini_reading, image_facts, ml_reading
from tests.unit.shared.test_job_view import COMPLETED

#: The evidence is up on the right of the picture, as the phantom's lesion is.
CAM = tuple(tuple(2.0 if (row, column) == (2, 4) else 0.1 for column in range(7)) for row in range(7))


def finished(image: Slice, facts: DicomSource | None = None, **changed: Any) -> JobView:
    """A completed job over this image. changed: fields of the record."""
    given = {
        "image": image_facts(
            media_type="application/dicom",
            width=image.dataset.Columns,
            height=image.dataset.Rows,
            dicom=facts or image.facts,
        ),
        "ml": ml_reading(cam=CAM, body_part=("BRAIN", "HEAD")),
        "gemini": gemini_reading(),
        **changed,
    }
    return view(replace(COMPLETED, **given))


def preview() -> bytes:
    """As the ML worker keeps it."""
    out = io.BytesIO()
    drawn().save(out, "JPEG", quality=90)
    return out.getvalue()
