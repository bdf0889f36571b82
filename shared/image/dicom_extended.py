"""JPEG of 12 bits (Process 4), which none of pydicom's own plugins takes: through gdcm, as a plugin of pydicom's.

Unsigned gray only: what gdcm makes of signed values differs from what was stored.
"""

import gdcm  # type: ignore[import-untyped]
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import JPEGExtended12Bit

#: By transfer syntax, as pydicom looks for what a plugin needs.
DECODER_DEPENDENCIES = {JPEGExtended12Bit: ("gdcm>=3.0.10",)}
_MOST_BITS = 12
_PIXEL_DATA = 0x7FE0, 0x0010


def is_available(uid: str) -> bool:
    """Whether this can decode `uid`."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(source: bytes, runner: DecodeRunner) -> bytes:
    """The values of one frame, 16 bits each."""
    if runner.samples_per_pixel > 1 or runner.pixel_representation or runner.bits_stored > _MOST_BITS:
        raise NotImplementedError("unsigned gray of at most 12 bits")
    # All of it in one function: gdcm does not keep alive what an object of its own refers to.
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(source)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(*_PIXEL_DATA))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((runner.columns, runner.rows, 1))
    image.SetDataElement(element)
    gray = gdcm.PhotometricInterpretation.MONOCHROME2
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gray))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, runner.bits_stored, runner.bits_stored - 1, 0))
    runner.set_option("bits_allocated", 16)
    values: str = image.GetBuffer()
    return values.encode("utf-8", "surrogateescape")
