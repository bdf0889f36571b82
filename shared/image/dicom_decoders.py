"""Which library decodes a DICOM frame, and whether there is memory for it before it begins.

pydicom would take gdcm first. That needs twice the memory of the others, and of memory that it does not get it dies,
process and all; so it decodes only what no other can. OpenJPEG does not die, and says that the image is damaged.
"""

from typing import Any

from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import (
    JPEG2000Decoder,
    JPEG2000LosslessDecoder,
    JPEGBaseline8BitDecoder,
    JPEGExtended12BitDecoder,
    JPEGLSLosslessDecoder,
    JPEGLSNearLosslessDecoder,
    get_decoder,
)
from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from shared.errors import ImageError
from shared.image.memory import spare_bytes

JPEGExtended12BitDecoder.add_plugin("gdcm, 12 bits", ("shared.image.dicom_extended", "decode_frame"))
for _decoder, _plugins in {
    JPEGBaseline8BitDecoder: ("gdcm",),
    JPEGLSLosslessDecoder: ("gdcm",),
    JPEGLSNearLosslessDecoder: ("gdcm",),
    JPEG2000LosslessDecoder: ("gdcm", "pillow"),
    JPEG2000Decoder: ("gdcm", "pillow"),
}.items():
    for _plugin in _plugins:
        _decoder.remove_plugin(_plugin)

#: What decoding takes at its peak, result included: bytes a sample, and the same for each byte of a sample. Measured on
#: 9 megapixels, by what the process had asked for (VmPeak), and rounded up to a quarter. Pillow and pydicom's own
#: decoders raise MemoryError themselves.
_CHARLS, _OPENJPEG, _GDCM = (0.0, 3.0), (4.25, 2.0), (0.0, 9.0)
_COSTS: dict[str, tuple[float, float]] = {
    JPEGExtended12Bit: _GDCM,
    JPEGLossless: _GDCM,
    JPEGLosslessSV1: _GDCM,
    JPEGLSLossless: _CHARLS,
    JPEGLSNearLossless: _CHARLS,
    JPEG2000Lossless: _OPENJPEG,
    JPEG2000: _OPENJPEG,
}


def decoded(dataset: Dataset, number: int) -> NDArray[Any]:
    """The stored values of frame `number`, from 1: rows, columns (, samples).

    ImageError code `dicom_transfer_syntax_unsupported`; MemoryError where it would need more memory than is left.
    """
    syntax = str(dataset.file_meta.get("TransferSyntaxUID") or "")
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        said = "The pixels are encoded in a way that cannot be read."
        raise ImageError(said, code="dicom_transfer_syntax_unsupported") from error
    if needed_bytes(dataset, syntax) > spare_bytes():
        raise MemoryError("no room for the decoder")
    values, _ = decoder.as_array(dataset, index=number - 1)
    return values


def needed_bytes(dataset: Dataset, syntax: str) -> float:
    """What decoding one frame of it takes; 0 where the decoder itself says that there is not enough."""
    of_sample, of_byte = _COSTS.get(syntax, (0.0, 0.0))
    samples: int = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("SamplesPerPixel") or 1)
    return samples * (of_sample + of_byte * int(dataset.BitsAllocated) / 8)
