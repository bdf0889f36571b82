"""DICOM files drawn by code: good ones in every transfer syntax that we read."""

import io
import struct
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gdcm  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, FileMetaDataset, config, dcmread, dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"

JPEG_BASELINE, JPEG_EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS, JPEG_LOSSLESS_FIRST = "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"
JPEG_LS, JPEG_LS_NEAR = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS, JPEG_2000 = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"
RLE = "1.2.840.10008.1.2.5"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG_ENDIAN = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"

#: The dataset's own.
AS_IT_IS = ""

#: Those that pydicom makes, and those that gdcm does.
_BY_PYDICOM = frozenset({RLE, JPEG_LS, JPEG_LS_NEAR, JPEG_2000_LOSSLESS, JPEG_2000})
_BY_GDCM = {
    JPEG_BASELINE: gdcm.TransferSyntax.JPEGBaselineProcess1,
    JPEG_EXTENDED: gdcm.TransferSyntax.JPEGExtendedProcess2_4,
    JPEG_LOSSLESS: gdcm.TransferSyntax.JPEGLosslessProcess14,
    JPEG_LOSSLESS_FIRST: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
}

Values = NDArray[Any]


def slope(rows: int = 48, columns: int = 64, *, high: int = 4095, kind: str = "uint16") -> Values:
    """Values from 0, top left, to `high`, bottom right: no two directions alike."""
    down, across = np.linspace(0, 0.7, rows)[:, None], np.linspace(0, 0.3, columns)[None, :]
    return ((down + across) * high).round().astype(kind)


def frames(count: int, **options: Any) -> Values:
    """As many slopes; frame n, from 1, is n times as bright as the first."""
    first = slope(**{"high": 4095 // count, **options})
    return np.stack([first * number for number in range(1, count + 1)])


def dataset(values: Values, *, bits: int = 12, **attributes: Any) -> Dataset:
    """An MR image with these stored values, (frames,) rows, columns (, samples); attributes by keyword."""
    with config.disable_value_validation():  # some are wrong on purpose
        return _dataset(values, bits, attributes)


def _dataset(values: Values, bits: int, attributes: dict[str, Any]) -> Dataset:
    made = Dataset()
    made.SOPClassUID = MR_IMAGE
    made.SOPInstanceUID, made.StudyInstanceUID, made.SeriesInstanceUID = (generate_uid() for _ in range(3))
    made.Modality, made.BodyPartExamined, made.AccessionNumber = "MR", "BRAIN", "A-17"
    made.PatientName, made.PatientID, made.StudyDate = "Test^Drawn", "T-1", "20260102"
    made.SeriesNumber, made.InstanceNumber = 1, 1
    is_colour = values.ndim > 2 and values.shape[-1] == 3
    has_frames = values.ndim == 3 + is_colour
    made.SamplesPerPixel = 3 if is_colour else 1
    made.PhotometricInterpretation = "RGB" if is_colour else "MONOCHROME2"
    if is_colour:
        made.PlanarConfiguration = 0
    if has_frames:
        made.NumberOfFrames = len(values)
    made.Rows, made.Columns = values.shape[1:3] if has_frames else values.shape[:2]
    made.BitsAllocated = values.dtype.itemsize * 8
    made.BitsStored = min(bits, made.BitsAllocated)
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(values.dtype.kind == "i")
    made.PixelData = values.tobytes()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    made["PixelData"].VR = "OW" if made.BitsAllocated > 8 else "OB"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def written(made: Dataset, syntax: str = EXPLICIT) -> bytes:
    """The file, in this transfer syntax."""
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    if syntax in _BY_PYDICOM:
        ratio = [4.0] if syntax == JPEG_2000 else None
        made.compress(UID(syntax), generate_instance_uid=False, j2k_cr=ratio)
    elif syntax in _BY_GDCM:
        return _compress(made, syntax)
    elif syntax != AS_IT_IS:
        made.file_meta.TransferSyntaxUID = UID(syntax)
        if syntax == BIG_ENDIAN and made.BitsAllocated > 8:
            made.PixelData = np.frombuffer(made.PixelData, "<u2").astype(">u2").tobytes()
    out = io.BytesIO()
    with config.disable_value_validation():
        dcmwrite(out, made, enforce_file_format=True)
    return out.getvalue()


def dicom(values: Values | None = None, syntax: str = EXPLICIT, **attributes: Any) -> bytes:
    """A file with these stored values; a slope of 12 bits unless given."""
    return written(dataset(slope() if values is None else values, **attributes), syntax)


def enhanced(count: int = 4) -> bytes:
    """An enhanced MR image: each frame with a rescale and a window of its own."""
    made = dataset(np.stack([slope() for _ in range(count)]), SOPClassUID=ENHANCED_MR_IMAGE)
    groups = []
    for number in range(1, count + 1):
        values, window = Dataset(), Dataset()
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = number, 0, "US"
        window.WindowCenter, window.WindowWidth = 2048 * number, 4096 * number // 2
        group = Dataset()
        group.PixelValueTransformationSequence, group.FrameVOILUTSequence = [values], [window]
        groups.append(group)
    made.PerFrameFunctionalGroupsSequence = groups
    return written(made)


def report() -> bytes:
    """A DICOM file that is no image."""
    made = Dataset()
    made.SOPClassUID = BASIC_TEXT_SR
    made.SOPInstanceUID, made.StudyInstanceUID, made.SeriesInstanceUID = (generate_uid() for _ in range(3))
    made.Modality = "SR"
    made.file_meta = FileMetaDataset()
    return written(made)


def read(file: bytes) -> Dataset:
    """As pydicom reads it."""
    return dcmread(io.BytesIO(file))


def _compress(made: Dataset, syntax: str) -> bytes:
    """With gdcm, which makes the JPEGs that pydicom does not; from file to file, as its own tools do."""
    with TemporaryDirectory() as folder:
        plain, packed = Path(folder, "plain.dcm"), Path(folder, "packed.dcm")
        plain.write_bytes(written(made))
        reader = gdcm.ImageReader()
        reader.SetFileName(str(plain))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(_BY_GDCM[syntax]))
        change.SetInput(reader.GetImage())
        assert change.Change(), f"gdcm does not make {syntax}"
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(packed))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return packed.read_bytes()


def pixels_at(file: bytes, syntax: str = EXPLICIT) -> int:
    """Where the last element Pixel Data begins."""
    return file.rindex(struct.pack(">HH" if syntax == BIG_ENDIAN else "<HH", 0x7FE0, 0x0010))
