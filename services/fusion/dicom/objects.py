"""Job, header and preview in, DICOM files out. Pure: the same job gives the same objects."""

import io
import warnings
from collections.abc import Mapping

from pydicom import config, dcmwrite
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from services.fusion.dicom.coded import ended
from services.fusion.dicom.overlay import overlay
from services.fusion.dicom.parametric_map import parametric_map
from services.fusion.dicom.report import report
from services.fusion.dicom.source import Source, read_source
from shared.contracts import JobView, MlReading
from shared.dicom_results import DicomResult, tracking_uid
from shared.errors import ImageError

# A scanner's header may break a rule that a PACS never minded, such as the length of a name. What identifies the
# patient is sent on as it came: refused, or mended by us, it would no longer match.
config.settings.writing_validation_mode = config.IGNORE
config.settings.reading_validation_mode = config.IGNORE


def objects(job: JobView, header: bytes, preview: bytes | None) -> Mapping[DicomResult, bytes]:
    """What a finished job adds to the study of its image; ImageError where there is nothing to make it from.

    header: in the DICOM JSON model. preview: JPEG, or None where it is lost: then there is no overlay. The map is left
    out where the image has no place in space.
    """
    ml, result = job.readings.ml, job.result
    if not isinstance(ml, MlReading) or result is None:
        raise ImageError("This job has no result.")
    source = read_source(job, header)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about names without a ^, and other habits of scanners
        made = {
            DicomResult.SR: report(job, ml, result, source),
            DicomResult.OVERLAY: overlay(job, ml, result, source, preview) if preview else None,
            DicomResult.MAP: parametric_map(job, ml, source),
        }
        return {kind: _written(one, job, source) for kind, one in made.items() if one is not None}


def _settle(_: Dataset, element: DataElement, job: JobView) -> None:
    """What highdicom takes from the clock or from chance is taken from the job."""
    if element.keyword == "ContributionDateTime":
        element.value = ended(job).strftime("%Y%m%d%H%M%S")
    if element.keyword == "DimensionOrganizationUID":
        element.value = tracking_uid(job.id, "dimensions")


def _written(made: Dataset, job: JobView, source: Source) -> bytes:
    source.mark_deidentified(made)
    made.walk(lambda dataset, element: _settle(dataset, element, job))
    made.InstanceCreationDate, made.InstanceCreationTime = ended(job).date(), ended(job).time()
    out = io.BytesIO()
    dcmwrite(out, made, enforce_file_format=True)
    return out.getvalue()
