"""What a DICOM upload's first bytes say: which image it is, and where it belongs. Pixels are the workers' to decode."""

import re
from dataclasses import dataclass

from pydantic import ValidationError

from services.gateway import dicom_elements
from services.gateway.dicom_elements import HeaderError, elements, number, text
from shared.contracts import CODE_STRING, DicomSource
from shared.errors import BadUploadError

#: Columns (0028,0011): the last element that is looked at.
_LAST = 0x0028_0011
_ROWS, _COLUMNS, _FRAMES = 0x0028_0010, 0x0028_0011, 0x0028_0008
_IDENTIFIERS = {
    "sop_class_uid": 0x0008_0016,
    "sop_instance_uid": 0x0008_0018,
    "modality": 0x0008_0060,
    "study_instance_uid": 0x0020_000D,
    "series_instance_uid": 0x0020_000E,
    "transfer_syntax_uid": dicom_elements.TRANSFER_SYNTAX,
}
#: What a job can do without.
_ACCESSION, _BODY_PART = 0x0008_0050, 0x0018_0015
#: File meta information says the same as the dataset, in the group before.
_META_OF = {"sop_class_uid": 0x0002_0002, "sop_instance_uid": 0x0002_0003}


@dataclass(frozen=True)
class DicomHeader:
    """What the header promises; sides in pixels."""

    source: DicomSource
    width: int
    height: int


def read_dicom_header(head: bytes) -> DicomHeader:
    """Read a DICOM file's header from its first bytes; BadUploadError says what is wrong with it."""
    try:
        found = elements(head, until=_LAST, most_bytes=len(head))
    except HeaderError as error:
        said = f"The DICOM header is damaged, or has more than {len(head):,} bytes before the image's size."
        raise _refused("dicom_header_damaged", said) from error
    source = _source(found)
    width, height = _side(found, _COLUMNS, source), _side(found, _ROWS, source)
    if not width or not height:
        said = "The DICOM file is no image: it has no Rows and Columns."
        raise BadUploadError(said, code="dicom_not_an_image", status=415)
    return DicomHeader(source, width, height)


def named(head: bytes) -> dict[str, str]:
    """SOP class and SOP instance that the file meta information names, each where it is there and of a UID's form."""
    try:
        found = elements(head, until=0x0002_FFFF, most_bytes=0)
    except HeaderError:
        return {}
    uids = {name: text(found.get(tag, b"")) for name, tag in _META_OF.items()}
    return {name: uid for name, uid in uids.items() if uid and set(uid) <= set("0123456789.")}


def _source(found: dict[int, bytes]) -> DicomSource:
    frames = text(found.get(_FRAMES, b"")) or "1"
    try:
        return DicomSource(
            **{name: text(found.get(tag, b"")) for name, tag in _IDENTIFIERS.items()},
            accession_number=text(found.get(_ACCESSION, b"")) or None,
            body_part=_code(text(found.get(_BODY_PART, b""))),
            number_of_frames=int(frames) if frames.isdecimal() else 0,
        )
    except ValidationError as error:
        wrong = sorted({str(problem["loc"][0]) for problem in error.errors()})
        said = f"The DICOM header lacks these, or they are not what they must be: {', '.join(wrong)}."
        raise _refused("dicom_not_identified", said) from error


def _code(words: str) -> str | None:
    """Body Part Examined as a code; None where it is none, such as free text."""
    return words if re.fullmatch(CODE_STRING, words) else None


def _side(found: dict[int, bytes], tag: int, source: DicomSource) -> int | None:
    big_endian = source.transfer_syntax_uid == dicom_elements.BIG_ENDIAN
    return number(found.get(tag, b""), big_endian=big_endian)


def _refused(code: str, said: str) -> BadUploadError:
    return BadUploadError(said, code=code, status=422)
