"""A study of MR slices, drawn by code: what a scanner sends, and nobody's picture."""

import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from shared.contracts import DicomSource

_COLUMNS, _ROWS = 256, 192
SPACING = (0.9, 0.8)
THICKNESS = 5.0
#: Axial, with the head a little turned.
ORIENTATION = (0.9848, 0.1736, 0.0, -0.1736, 0.9848, 0.0)


@dataclass(frozen=True)
class Slice:
    """One image of a study."""

    dataset: Dataset
    file: bytes

    @property
    def facts(self) -> DicomSource:
        """As the gateway notes it."""
        found = self.dataset
        return DicomSource(
            study_instance_uid=found.StudyInstanceUID,
            series_instance_uid=found.SeriesInstanceUID,
            sop_instance_uid=found.SOPInstanceUID,
            sop_class_uid=found.SOPClassUID,
            transfer_syntax_uid=found.file_meta.TransferSyntaxUID,
            accession_number=found.AccessionNumber,
            modality=found.Modality,
            body_part=found.BodyPartExamined,
        )

    @property
    def header(self) -> bytes:
        """As the decoding process keeps it."""
        bare = {tag: value for tag, value in self.dataset.to_json_dict().items() if tag != "7FE00010"}
        return json.dumps(bare).encode()


def study(slices: int = 3, **changed: Any) -> list[Slice]:
    """A series of axial slices of a phantom. changed: attributes by keyword."""
    common = {
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "FrameOfReferenceUID": generate_uid(),
    }
    return [_slice(number, {**common, **changed}) for number in range(slices)]


def drawn(number: int = 1) -> Image.Image:
    """The phantom's slice: skull, ventricles, and a lesion in the middle slices."""
    image = Image.new("L", (_COLUMNS, _ROWS), 2)
    pen = ImageDraw.Draw(image)
    pen.ellipse((40, 8, 216, 184), fill=150)
    pen.ellipse((48, 16, 208, 176), fill=35)
    pen.ellipse((54, 22, 202, 170), fill=110)
    pen.ellipse((66, 32, 190, 160), fill=130)
    pen.ellipse((106, 74, 124, 118), fill=45)
    pen.ellipse((132, 74, 150, 118), fill=45)
    if number % 3 == 1:
        pen.ellipse((150, 46, 184, 76), fill=225)
    return image.filter(ImageFilter.GaussianBlur(1.5))


def _slice(number: int, given: dict[str, Any]) -> Slice:
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword, value in {**_usual(number), **given}.items():
        setattr(found, keyword, value)
    found.PixelData = (np.asarray(drawn(number), dtype=np.uint16) * 16).tobytes()
    found["PixelData"].VR = "OW"
    out = io.BytesIO()
    dcmwrite(out, found, enforce_file_format=True)
    return Slice(found, out.getvalue())


def _usual(number: int) -> dict[str, Any]:
    return {
        "SOPClassUID": MRImageStorage,
        "SOPInstanceUID": generate_uid(),
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": "Phantom^Käthe",
        "PatientID": "P-4711",
        "PatientBirthDate": "19700102",
        "PatientSex": "O",
        "StudyID": "S17",
        "StudyDate": "20260102",
        "StudyTime": "101112",
        "StudyDescription": "Drawn head",
        "AccessionNumber": "A-2026-17",
        "ReferringPhysicianName": "Nobody^N",
        "Modality": "MR",
        "BodyPartExamined": "BRAIN",
        "Manufacturer": "Phantom",
        "SeriesNumber": 3,
        "InstanceNumber": number + 1,
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "SE"],
        "ScanningSequence": "SE",
        "SequenceVariant": "NONE",
        "ScanOptions": None,
        "MRAcquisitionType": "2D",
        "EchoTime": 12,
        "EchoTrainLength": 1,
        "RepetitionTime": 500,
        "PositionReferenceIndicator": None,
        "PatientPosition": "HFS",
        "ImagePositionPatient": [-100.0, -80.0, number * 6.0],
        "ImageOrientationPatient": list(ORIENTATION),
        "PixelSpacing": list(SPACING),
        "SliceThickness": THICKNESS,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": _ROWS,
        "Columns": _COLUMNS,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "WindowCenter": 2048,
        "WindowWidth": 4096,
    }
