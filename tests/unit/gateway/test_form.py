"""Reading the submission form, in whatever pieces it arrives."""

from collections.abc import Mapping

import pytest
from starlette.types import Message

from services.gateway.body import check_declared
from services.gateway.form import SubmissionForm
from services.gateway.multipart import boundary_of
from shared.errors import BadUploadError, CallerError
from tests.unit.gateway.forms import (
    BOUNDARY,
    form,
    image_form,
    open_form,
    part,
    receiver,
    run,
    sliced,
)

DISCONNECT: Message = {"type": "http.disconnect"}


async def read_all(opened: SubmissionForm) -> tuple[bytes, Mapping[str, bytes]]:
    await opened.find_image()
    image = b""
    while (data := await opened.image_data()) is not None:
        image += data
    return image, await opened.rest()


def read(body: bytes, *, size: int = 65536, **limits: int) -> tuple[bytes, Mapping[str, bytes]]:
    async def reading() -> tuple[bytes, Mapping[str, bytes]]:
        return await read_all(open_form(receiver(sliced(body, size)), **limits))

    return run(reading())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_the_pieces_it_arrives_in_do_not_matter(size: int) -> None:
    image = bytes(range(256)) + b"\r\n--" + BOUNDARY.encode()[:-1] + b"\r\n" * 3
    body = form(part("metadata", b"{}"), part("image", image, "x.png"), part("priority", b"stat"))
    assert read(body, size=size) == (image, {"metadata": b"{}", "priority": b"stat"})


def test_the_image_alone_is_a_form() -> None:
    assert read(image_form(b"pixels")) == (b"pixels", {})


def test_what_follows_the_closing_boundary_is_ignored() -> None:
    assert read(image_form(b"pixels") + b"epilogue")[0] == b"pixels"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (form(part("priority", b"stat")), "missing_image"),
        (form(part("file", b"pixels", "scan.png")), "unexpected_part"),
        (form(part("IMAGE", b"pixels", "scan.png")), "unexpected_part"),
        (form(part("image", b"a"), part("image", b"b")), "more_than_one_image"),
        (form(part("priority", b"stat"), part("priority", b"stat"), part("image", b"")), "duplicate_part"),
        (form(part("image", b""), part("metadata", b"{}"), part("metadata", b"{}")), "duplicate_part"),
        (image_form(b"", metadata=b" " * 65), "metadata_too_large"),
        (image_form(b"pixels")[:-20], "upload_incomplete"),
        (b"no boundary at all", "bad_multipart"),
        (f"--{BOUNDARY}\r\n\r\npixels\r\n--{BOUNDARY}--".encode(), "bad_multipart"),
        (f"--{BOUNDARY}\r\nContent-Disposition: attachment\r\n\r\nx".encode(), "bad_multipart"),
        (f"--{BOUNDARY}\r\nX: {'y' * 9000}\r\n\r\n".encode(), "bad_multipart"),
        (f"--{BOUNDARY}\r\n".encode() + b"X: y\r\n" * 1000, "bad_multipart"),
    ],
)
def test_what_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(BadUploadError) as refused:
        read(body)
    assert refused.value.code == code
    assert 400 <= refused.value.status < 500


def test_a_flood_of_parts_is_cut_short_even_within_one_chunk() -> None:
    flood = form(*[part("image", b"")] * 9)
    with pytest.raises(BadUploadError) as refused:
        read(flood)
    assert refused.value.code in {"too_many_parts", "more_than_one_image"}


def test_a_body_over_the_limit_is_cut_off_while_it_arrives() -> None:
    with pytest.raises(CallerError, match="at most 1000 bytes") as refused:
        read(image_form(b"x" * 2000), size=100, max_bytes=1000)
    assert refused.value.status == 413


def test_a_caller_who_goes_away_is_noticed() -> None:
    async def reading() -> None:
        await read_all(open_form(receiver([image_form(b"x" * 500)[:300]], DISCONNECT)))

    with pytest.raises(BadUploadError, match="closed"):
        run(reading())


def test_a_caller_who_dawdles_is_given_up() -> None:
    async def reading() -> None:
        receive = receiver([image_form(b"x" * 500)[:300], b""], {"type": "http.request", "more_body": True})
        await read_all(open_form(receive, timeout_s=0.05))

    with pytest.raises(BadUploadError, match="too long") as refused:
        run(reading())
    assert refused.value.status == 408


@pytest.mark.parametrize(
    ("content_type", "status", "code"),
    [
        ("", 415, "not_multipart"),
        ("application/json", 415, "not_multipart"),
        ("multipart/mixed; boundary=x", 415, "not_multipart"),
        ("multipart/form-data", 400, "bad_multipart"),
        ("multipart/form-data; boundary=", 400, "bad_multipart"),
        (f"multipart/form-data; boundary={'x' * 71}", 400, "bad_multipart"),
    ],
)
def test_a_content_type_that_is_no_form(content_type: str, status: int, code: str) -> None:
    with pytest.raises(BadUploadError) as refused:
        boundary_of(content_type)
    assert (refused.value.status, refused.value.code) == (status, code)


def test_the_boundary_may_be_quoted() -> None:
    assert boundary_of('multipart/form-data; boundary="a b"') == b"a b"


def test_what_the_headers_give_away_is_refused_at_once() -> None:
    check_declared({"content-length": "1000"}, 1000)
    check_declared({"transfer-encoding": "chunked"}, 1000)
    with pytest.raises(CallerError, match="at most"):
        check_declared({"content-length": "1001"}, 1000)
    for headers in ({}, {"content-length": "0"}):
        with pytest.raises(BadUploadError, match="no body"):
            check_declared(headers, 1000)
