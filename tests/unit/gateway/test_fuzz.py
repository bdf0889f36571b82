"""Searches for input that the gateway's parsers answer with anything but a value or a refusal."""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from services.gateway.body import check_declared
from services.gateway.image_header import TAIL_BYTES, ImageHeader, check_end, read_header
from services.gateway.logic import submission
from services.gateway.lookup import own_reference
from services.gateway.metadata import parse_metadata
from services.gateway.multipart import boundary_of
from shared.contracts import DicomSource, Metadata
from shared.errors import CallerError
from shared.names import Blob, blob_path, client_id_path, digest
from tests.support import dicom_bombs, dicoms
from tests.support.fuzzing import searching
from tests.support.mutation import mutated
from tests.support.samples import image_facts
from tests.unit.gateway import images
from tests.unit.gateway.forms import BOUNDARY, form, open_form, part, receiver, run, settings, sliced

MAX_PIXELS = 30_000_000
MARK = BOUNDARY.encode()

#: What means something in a multipart body.
TOKENS = [
    *(b"\r\n", b"\n", b"\r", b"--", b"--" + MARK, b"\r\n--" + MARK, b"--" + MARK + b"--", b"\r\n\r\n", b"\0"),
    *(
        b"Content-Disposition: form-data; name=",
        b'"image"',
        b"; filename*=utf-8''%ff",
        b"Content-Length: 9\r\n",
    ),
    *(b"Content-Transfer-Encoding: base64\r\n", b'name="', b";;;", b"=", b": ", b"\xff\xfe", b"x" * 9000),
]

NAMES = st.sampled_from(["image", "metadata", "priority", "model", "", "IMAGE", 'a"b', "ä"])
CONTENTS = st.one_of(
    st.binary(max_size=40),
    st.lists(st.sampled_from(TOKENS), max_size=4).map(b"".join),
    st.just(images.png()),
)
FORMS = st.lists(st.builds(part, NAMES, CONTENTS), max_size=10).map(lambda parts: form(*parts))

T = TypeVar("T")


def tried(call: Callable[[], T]) -> T | CallerError:
    """What it returns, or how it refuses; any other error is what is being looked for."""
    try:
        return call()
    except CallerError as error:
        return error


Outcome = tuple[bytes, Mapping[str, bytes]] | None


def outcome(chunks: list[bytes]) -> Outcome:
    """The image and the fields of a form, None where it is refused."""

    async def reading() -> tuple[bytes, Mapping[str, bytes]]:
        opened = open_form(receiver(chunks))
        await opened.find_image()
        image = b""
        while (data := await opened.image_data()) is not None:
            image += data
        return image, await opened.rest()

    found = tried(lambda: run(reading()))
    if isinstance(found, CallerError):
        assert 400 <= found.status < 500
        return None
    return found


@searching(60)
@given(body=mutated(FORMS, TOKENS), data=st.data())
def test_a_form_means_the_same_in_whatever_pieces_it_comes(body: bytes, data: st.DataObject) -> None:
    whole = outcome([body])
    assert outcome(sliced(body, 1)) == whole
    cut = data.draw(st.integers(0, len(body)))
    assert outcome([body[:cut], body[cut:]]) == whole


@searching(30)
@given(image=CONTENTS, name=st.sampled_from(["metadata", "priority"]), value=CONTENTS)
def test_a_well_formed_part_comes_out_as_it_went_in(image: bytes, name: str, value: bytes) -> None:
    if MARK in image + value or len(value) > 16:
        return
    assert outcome([form(part(name, value), part("image", image))]) == (image, {name: value})


@searching(200)
@given(st.text(max_size=200).map(lambda text: text.encode("latin-1", "replace").decode("latin-1")))
@example("multipart/form-data; boundary*=utf-8''%00")
@example("multipart/form-data; boundary=" + "x" * 71)
@example('multipart/form-data; boundary="')
def test_a_content_type_names_a_boundary_or_is_refused(text: str) -> None:
    for content_type in (text, "multipart/form-data;" + text, "multipart/form-data; boundary=" + text):
        found = tried(partial(boundary_of, content_type))
        assert found.status in {400, 415} if isinstance(found, CallerError) else 0 < len(found) <= 70


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
)
JSON_TOKENS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b":",
    b"\\ud800",
    b"\\u0000",
    b"1e999",
    b"-0",
    b"NaN",
    b"9" * 30,
]
JSON_TOKENS += [
    b"9" * 4400,
    b"[" * 4000,
    b'{"a":' * 800,
    b"\xef\xbb\xbf",
    b"\xff",
    b"\\",
    b"Infinity",
    b"\r\n",
]


@searching(300)
@given(mutated(JSON.map(lambda value: json.dumps(value).encode()), JSON_TOKENS))
def test_metadata_can_be_given_back_or_is_refused(text: bytes) -> None:
    found = tried(lambda: parse_metadata(text, 32))
    if isinstance(found, CallerError):
        assert found.code == "bad_metadata"
        return
    stored = TypeAdapter(Metadata).dump_json(TypeAdapter(Metadata).validate_python(found))
    assert json.loads(stored) == found


@searching(100)
@given(
    st.dictionaries(
        st.sampled_from(["priority", "metadata", "model", "prior_job_id"]),
        st.binary(max_size=128),
        max_size=4,
    )
)
def test_fields_make_a_submission_or_are_refused(fields: dict[str, bytes]) -> None:
    made = tried(lambda: submission(image_facts(), fields, settings()))
    assert made.status == 422 if isinstance(made, CallerError) else made.image == image_facts()


IMAGES = st.sampled_from(
    [images.png(mode) for mode in ("1", "L", "P", "RGBA", "I;16")]
    + [images.jpeg(mode) for mode in ("L", "RGB", "CMYK")]
    + [
        images.jpeg(progressive=True),
        images.jpeg(exif=b"Exif\0\0broken"),
        images.animated_png(),
        images.mpo(),
    ]
)
IMAGE_TOKENS = [
    b"\xff\xd8",
    b"\xff\xc0",
    b"\xff\xc2",
    b"\xff\xda",
    b"\xff\xe1",
    b"\xff\xd9",
    b"\xff\xff",
    b"IHDR",
]
IMAGE_TOKENS += [
    b"IDAT",
    b"acTL",
    b"zTXt",
    b"iCCP",
    b"MPF\0",
    b"Exif\0\0",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x80",
]


def whole(file: bytes) -> ImageHeader:
    header = read_header(file, MAX_PIXELS)
    check_end(header.media_type, file[-TAIL_BYTES:])
    return header


@searching(400)
@given(mutated(IMAGES, IMAGE_TOKENS))
def test_an_image_header_is_read_or_refused(file: bytes) -> None:
    header = tried(lambda: whole(file))
    if isinstance(header, CallerError):
        assert header.status in {400, 415, 422}
        return
    assert header.width >= 1
    assert header.height >= 1
    assert header.width * header.height <= MAX_PIXELS


DICOM = st.sampled_from(
    [
        dicoms.dicom(None, syntax)
        for syntax in (dicoms.IMPLICIT, dicoms.EXPLICIT, dicoms.DEFLATED, dicoms.BIG_ENDIAN)
    ]
    + [dicoms.enhanced(1), dicoms.report(), dicom_bombs.deep(2)]
)
DICOM_TOKENS = [
    b"\x28\0\x10\0",
    b"\x28\0\x11\0US\x02\0",
    b"\x20\0\x0d\0UI\x04\x001.2\0",
    b"\x08\0\x60\0CS\x02\0MR",
]
DICOM_TOKENS += [
    b"\xfe\xff\x00\xe0",
    b"\xfe\xff\x0d\xe0\0\0\0\0",
    b"\xfe\xff\xdd\xe0\0\0\0\0",
    b"SQ\0\0\xff\xff\xff\xff",
]


@searching(400)
@given(mutated(DICOM, DICOM_TOKENS))
def test_a_dicom_header_is_read_or_refused(file: bytes) -> None:
    header = tried(lambda: whole(file))
    if isinstance(header, CallerError):
        assert header.status in {400, 415, 422}
        return
    assert header.dicom is not None
    assert DicomSource.model_validate_json(header.dicom.model_dump_json()) == header.dicom
    assert 1 <= header.width * header.height <= MAX_PIXELS


@searching(200)
@given(st.text(max_size=60) | st.from_regex(r"job_[0-9a-f]{32}", fullmatch=True))
@example("job_" + "f" * 32)
@example("job_" + "0" * 32)
@example("job_" + "0" * 32 + "\n")
@example("job_" + "٣" * 32)
def test_a_job_id_leads_to_a_path_of_its_own_or_is_refused(text: str) -> None:
    ref = tried(lambda: own_reference("default", text))
    if isinstance(ref, CallerError):
        assert ref.code == "malformed_job_id"
    elif ref is None:
        path = client_id_path("default", digest(text))
        assert re.fullmatch("_clients/default/[0-9a-f]{64}", path)
        assert not text.lower().startswith("job_")
    else:
        path = blob_path(ref, Blob.IMAGE)
        assert path.count("/") == 2
        assert path.endswith(f"/{text}.image")


@searching(100)
@given(st.dictionaries(st.sampled_from(["content-length", "transfer-encoding"]), st.text(max_size=30)))
@example({"content-length": "9" * 5000})
@example({"content-length": "²"})
@example({"content-length": "٣"})
def test_declared_lengths_are_judged_without_an_error(headers: dict[str, str]) -> None:
    refused = tried(lambda: check_declared(headers, 1000))
    assert refused is None or refused.status in {400, 413}
