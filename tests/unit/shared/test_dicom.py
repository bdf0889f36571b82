"""A DICOM file's stored values become what a viewer shows."""

import json
import os
import subprocess
from io import BytesIO
from shutil import which
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.tag import Tag
from pydicom.uid import UID, JPEGBaseline8Bit

from shared.errors import ImageError
from shared.image.decode import decode, decode_frames
from shared.image.dicom import chosen
from shared.image.picture import DecodedImage, Limits
from tests.support import dicoms

LIMITS = Limits(max_pixels=1_000_000, least_side=512, max_frames=8)
STRETCHED = "no window: darkest black, brightest white"


def decoded(file: bytes, wish: Any = "middle") -> DecodedImage:
    (picture,) = decode_frames(file, wish, LIMITS)
    return picture


def gray(file: bytes, wish: Any = "middle") -> Any:
    return np.asarray(decoded(file, wish).pixels).astype(int)


def refused(file: bytes, wish: Any = "middle", limits: Limits = LIMITS) -> str:
    with pytest.raises(ImageError) as error:
        list(decode_frames(file, wish, limits))
    return error.value.code


def header(file: bytes) -> dict[str, Any]:
    facts = decoded(file).dicom
    assert facts is not None
    found: dict[str, Any] = json.loads(facts.header)
    return found


# --- how pixels are encoded -------------------------------------------------------------------------------

EXACT = [dicoms.IMPLICIT, dicoms.EXPLICIT, dicoms.DEFLATED, dicoms.BIG_ENDIAN, dicoms.RLE]
EXACT += [dicoms.JPEG_LOSSLESS, dicoms.JPEG_LOSSLESS_FIRST, dicoms.JPEG_LS, dicoms.JPEG_2000_LOSSLESS]


@pytest.mark.parametrize("syntax", EXACT)
@pytest.mark.parametrize(
    ("kind", "bits"), [("uint8", 8), ("uint16", 12), ("uint16", 16), ("int16", 12), ("int16", 16)]
)
def test_lossless_encodings_of_every_depth_are_exact(syntax: str, kind: str, bits: int) -> None:
    high = 2**bits - 1
    values = dicoms.slope(high=high, kind="int32")
    stored = (values - 2 ** (bits - 1) if kind == "int16" else values).astype(kind)
    assert abs(gray(dicoms.dicom(stored, syntax, bits=bits)) - (values / high * 255).round()).max() <= 1


@pytest.mark.parametrize(
    ("syntax", "kind", "bits"),
    [
        (dicoms.JPEG_BASELINE, "uint8", 8),
        (dicoms.JPEG_LS_NEAR, "uint16", 12),
        (dicoms.JPEG_2000, "uint16", 12),
    ],
)
def test_lossy_encodings_are_close(syntax: str, kind: str, bits: int) -> None:
    values = dicoms.slope(high=2**bits - 1, kind=kind)
    assert abs(gray(dicoms.dicom(values, syntax, bits=bits)) - dicoms.slope(high=255).astype(int)).max() <= 4


def test_jpeg_of_12_bits_is_read(tmp_path: Any) -> None:
    program = which("dcmcjpeg")
    if program is None:
        reason = "no dcmcjpeg on the PATH (Debian: dcmtk)"
        if os.environ.get("SKIP_NOTHING"):
            pytest.fail(reason)
        pytest.skip(reason)
    plain, packed = tmp_path / "plain.dcm", tmp_path / "packed.dcm"
    plain.write_bytes(dicoms.dicom())
    subprocess.run([program, "+ee", "+un", plain, packed], check=True)
    file = packed.read_bytes()
    assert dicoms.read(file).file_meta.TransferSyntaxUID == dicoms.JPEG_EXTENDED
    assert abs(gray(file) - dicoms.slope(high=255).astype(int)).max() <= 2


@pytest.mark.parametrize("syntax", [dicoms.EXPLICIT, dicoms.RLE, dicoms.JPEG_LS, dicoms.JPEG_2000_LOSSLESS])
def test_colour_stays_colour(syntax: str) -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[:, :32, 0] = 200
    picture = decoded(dicoms.dicom(red, syntax, bits=8)).pixels
    assert picture.mode == "RGB"
    assert (np.asarray(picture) == red).all()


def test_a_jpeg_in_ybr_becomes_rgb() -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[:, :32, 0] = 200
    made = dicoms.dataset(red, bits=8)
    out = BytesIO()
    Image.fromarray(red).save(out, "JPEG", quality=95)
    made.PixelData, made["PixelData"].is_undefined_length = encapsulate([out.getvalue()]), True
    made.PhotometricInterpretation = "YBR_FULL_422"
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    picture = decoded(dicoms.written(made, dicoms.AS_IT_IS))
    assert picture.notes == ("YBR_FULL_422 converted to RGB",)
    assert abs(np.asarray(picture.pixels)[24, 8].astype(int) - [200, 0, 0]).max() < 8


def test_a_palette_is_applied() -> None:
    made = dicoms.dataset(np.array([[0, 1], [2, 3]], np.uint8), bits=8)
    made.PhotometricInterpretation = "PALETTE COLOR"
    tables = {"Red": [0, 0xFF00, 0, 0], "Green": [0, 0, 0xFF00, 0], "Blue": [0, 0, 0, 0xFF00]}
    for colour, table in tables.items():
        setattr(made, f"{colour}PaletteColorLookupTableDescriptor", [4, 0, 16])
        setattr(made, f"{colour}PaletteColorLookupTableData", np.array(table, "<u2").tobytes())
    picture = decoded(dicoms.written(made))
    assert picture.notes == ("palette applied",)
    assert np.asarray(picture.pixels).tolist() == [[[0, 0, 0], [254, 0, 0]], [[0, 254, 0], [0, 0, 254]]]


# --- what values mean -------------------------------------------------------------------------------------


def test_a_window_is_applied_as_the_standard_says() -> None:
    values = np.array([[0, 1000, 1500, 2000, 4000]], np.uint16)
    picture = decoded(dicoms.dicom(values, WindowCenter=1500, WindowWidth=1000))
    assert picture.notes == ("window applied",)
    # PS3.3, C.11.2.1.2.1: ((x - (c - 0.5)) / (w - 1) + 0.5) over the whole range, 0 and full outside.
    assert np.asarray(picture.pixels).tolist() == [[0, 0, 128, 255, 255]]


def test_the_first_of_several_windows_counts() -> None:
    one = gray(dicoms.dicom(WindowCenter=1000, WindowWidth=500))
    assert (gray(dicoms.dicom(WindowCenter=[1000, 3000], WindowWidth=[500, 100])) == one).all()


def test_rescale_comes_before_the_window() -> None:
    stored = np.array([[0, 1024, 1064, 1104, 2048]], np.uint16)
    file = dicoms.dicom(stored, RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=80)
    assert decoded(file).notes == ("values rescaled", "window applied")
    assert gray(file)[0].tolist() == [0, 0, 129, 255, 255]


def test_signed_values_are_windowed() -> None:
    values = np.array([[-1000, 0, 40, 80, 1000]], np.int16)
    assert gray(dicoms.dicom(values, WindowCenter=40, WindowWidth=80))[0].tolist() == [0, 0, 129, 255, 255]


def test_a_negative_slope_turns_dark_and_bright_about() -> None:
    values = np.array([[0, 100, 200]], np.uint16)
    assert gray(dicoms.dicom(values, RescaleSlope=-1, RescaleIntercept=200))[0].tolist() == [255, 128, 0]


def test_monochrome1_is_inverted() -> None:
    plain, turned = dicoms.dicom(), dicoms.dicom(PhotometricInterpretation="MONOCHROME1")
    assert (gray(turned) == 255 - gray(plain)).all()
    assert decoded(turned).notes == (STRETCHED, "MONOCHROME1 inverted")


def test_a_voi_table_is_applied() -> None:
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [4, 10, 8], [0, 85, 170, 255]
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    file = dicoms.dicom(np.array([[0, 10, 11, 12, 13, 99]], np.uint16), VOILUTSequence=[table])
    assert decoded(file).notes == ("VOI table applied",)
    assert gray(file)[0].tolist() == [0, 0, 85, 170, 255, 255]


def test_a_window_that_cannot_be_is_ignored_and_said() -> None:
    for wrong in ({"WindowWidth": 0}, {"WindowWidth": 10, "VOILUTFunction": "UNKNOWN"}):
        picture = decoded(dicoms.dicom(WindowCenter=1500, **wrong))
        assert picture.notes == ("unusable window ignored; darkest black, brightest white",)
        assert np.asarray(picture.pixels).max() == 255


def test_padding_does_not_count_as_the_darkest() -> None:
    values = np.array([[-2000, 100, 200, 300]], np.int16)
    assert gray(dicoms.dicom(values, bits=16, PixelPaddingValue=-2000))[0].tolist() == [0, 0, 128, 255]


def test_a_large_image_is_reduced_and_keeps_its_size_in_words() -> None:
    picture = decode(dicoms.dicom(dicoms.slope(600, 900)), max_pixels=10**6, least_side=100)
    assert (picture.width, picture.height) == (900, 600)
    assert picture.pixels.size == (100, 67)


# --- frames -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "count", "numbers"),
    [("middle", 1, [1]), ("middle", 2, [1]), ("middle", 3, [2]), ("middle", 24, [12]), (4, 4, [4])],
)
def test_which_frame_is_read(wish: Any, count: int, numbers: list[int]) -> None:
    assert list(chosen(wish, count, 1)) == numbers


@pytest.mark.parametrize("syntax", [dicoms.EXPLICIT, dicoms.RLE, dicoms.JPEG_LOSSLESS])
def test_a_frame_is_the_one_asked_for(syntax: str) -> None:
    file = dicoms.dicom(dicoms.frames(4), syntax, WindowCenter=2048, WindowWidth=4096)
    means = [gray(file, number).mean() for number in (1, 2, 3, 4)]
    assert means == pytest.approx([means[0] * number for number in (1, 2, 3, 4)], rel=0.05)
    assert decoded(file).frame == 2
    assert decoded(file, 3).notes == ("frame 3 of 4", "window applied")


def test_all_frames_come_one_by_one_and_the_header_once() -> None:
    pictures = list(decode_frames(dicoms.dicom(dicoms.frames(3)), "all", LIMITS))
    assert [picture.frame for picture in pictures] == [1, 2, 3]
    assert [picture.dicom is not None for picture in pictures] == [True, False, False]


def test_each_frame_of_an_enhanced_image_is_shown_by_its_own_groups() -> None:
    pictures = [
        np.asarray(one.pixels).astype(int) for one in decode_frames(dicoms.enhanced(3), "all", LIMITS)
    ]
    # Frame n is rescaled by n, and its window lies n times as high: they look the same.
    assert abs(pictures[0] - pictures[1]).max() <= 1
    assert abs(pictures[0] - pictures[2]).max() <= 1


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (dicoms.report(), "dicom_not_an_image"),
        (dicoms.dicom(dicoms.slope(1001, 1000)), "image_too_many_pixels"),
        (dicoms.dicom(Rows=49), "image_unreadable"),
        (dicoms.dicom(BitsAllocated=32), "dicom_pixels_unsupported"),
        (dicoms.dicom(PhotometricInterpretation="HSV"), "dicom_pixels_unsupported"),
        (dicoms.dicom()[:-500], "image_unreadable"),
    ],
)
def test_what_is_refused(file: bytes, code: str) -> None:
    assert refused(file) == code


def test_an_encoding_that_is_not_read_is_named() -> None:
    made = dicoms.read(dicoms.dicom(None, dicoms.RLE))
    made.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.100")  # MPEG2
    out = BytesIO()
    made.save_as(out)
    assert refused(out.getvalue()) == "dicom_transfer_syntax_unsupported"


def test_frames_that_are_not_there_are_refused() -> None:
    file = dicoms.dicom(dicoms.frames(3))
    assert refused(file, 4) == "dicom_no_such_frame"
    assert refused(file, "all", LIMITS._replace(max_frames=2)) == "image_too_many_frames"


# --- the header -------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    file, needed = dicoms.dicom(dicoms.slope(), dicoms.JPEG_2000_LOSSLESS), 48 * 64 * 8.25
    monkeypatch.setattr("shared.image.dicom_decoders.spare_bytes", lambda: needed - 1)
    assert refused(file) == "image_too_large_for_memory"
    monkeypatch.setattr("shared.image.dicom_decoders.spare_bytes", lambda: needed)
    assert decoded(file).width == 64


def test_gdcm_decodes_only_what_no_other_can() -> None:
    for syntax in (*EXACT, dicoms.JPEG_BASELINE, dicoms.JPEG_LS_NEAR, dicoms.JPEG_2000):
        others = set(get_decoder(UID(syntax)).available_plugins) - {"gdcm"}
        if others:
            assert "gdcm" not in get_decoder(UID(syntax)).available_plugins, syntax


def test_the_header_says_who_and_where_in_the_json_model() -> None:
    made = dicoms.dataset(dicoms.slope())
    found = header(dicoms.written(made))
    assert found["0020000D"] == {"vr": "UI", "Value": [made.StudyInstanceUID]}
    assert found["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Test^Drawn"}]}
    assert found["00080005"]["Value"] == ["ISO_IR 192"]
    assert Dataset.from_json(found).Rows == 48


def test_other_characters_are_read() -> None:
    found = header(dicoms.dicom(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Ä"))
    assert found["00100010"]["Value"] == [{"Alphabetic": "Müller^Ä"}]


def test_pixels_private_attributes_and_bulk_are_not_in_it() -> None:
    inner = Dataset()
    inner.Rows = 3
    inner.add_new(Tag(0x0011, 0x1001), "LO", "private")
    inner.ICCProfile = bytes(4000)
    made = dicoms.dataset(dicoms.slope(), ReferencedImageSequence=[inner], OtherPatientIDs="kept")
    made.add_new(Tag(0x0009, 0x1001), "LO", "private")
    made.add_new(Tag(0x6000, 0x3000), "OW", bytes(400))
    made.ICCProfile = bytes(4000)
    found = header(dicoms.written(made))
    assert {"7FE00010", "00091001", "60003000", "00282000"} & set(found) == set()
    assert found["00081140"]["Value"] == [{"00280010": {"vr": "US", "Value": [3]}}]


def test_a_header_too_long_loses_its_longest_elements_first() -> None:
    found = header(dicoms.dicom(None, dicoms.IMPLICIT, ImageComments="x" * 300_000, StudyDescription="kept"))
    assert "00204000" not in found
    assert found["00081030"]["Value"] == ["kept"]


def test_a_value_that_is_none_is_left_out() -> None:
    made = dicoms.dataset(dicoms.slope())
    file = dicoms.written(made).replace(b"20260102", b"no date!")
    assert Dataset.from_json(header(file)).PatientID == "T-1"


# --- writing in the picture -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "is_burned_in"),
    [
        ({}, False),
        ({"BurnedInAnnotation": "YES"}, True),
        ({"BurnedInAnnotation": "NO", "ImageType": ["DERIVED", "SECONDARY"]}, False),
        ({"ImageType": ["ORIGINAL", "PRIMARY"]}, False),
        ({"ImageType": ["DERIVED", "PRIMARY"]}, False),
        ({"ImageType": ["DERIVED", "SECONDARY"]}, True),
        ({"SOPClassUID": dicoms.SECONDARY_CAPTURE}, True),
        ({"SOPClassUID": dicoms.SECONDARY_CAPTURE, "BurnedInAnnotation": "NO"}, False),
    ],
)
def test_whether_writing_may_be_part_of_the_picture(attributes: dict[str, Any], is_burned_in: bool) -> None:
    facts = decoded(dicoms.dicom(**attributes)).dicom
    assert facts is not None
    assert bool(facts.burned_in) is is_burned_in
