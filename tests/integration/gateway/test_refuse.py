"""Everything a caller can get wrong: the right 4xx, a sentence, no stack trace, and nothing left behind."""

import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.gateway.conftest import MAX_UPLOAD_BYTES
from tests.integration.gateway.process import House
from tests.support.waiting import wait_until
from tests.unit.gateway import images
from tests.unit.gateway.forms import BOUNDARY, CONTENT_TYPE, form, image_form, part

GOOD = images.png()
LARGE = images.noise(2 << 20)


def post(house: House, body: bytes, content_type: str = CONTENT_TYPE) -> httpx.Response:
    return house.http.post("/v1/jobs", content=body, headers={"content-type": content_type})


def assert_refused(house: House, answer: httpx.Response, status: int, code: str) -> None:
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == f"/problems/{code}"
    assert problem["instance"] == "/v1/jobs"
    assert problem["detail"].endswith(".")
    assert "Traceback" not in answer.text + house.log()
    assert house.left_behind() == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        pytest.param(b"", 400, "empty_body", id="empty body"),
        pytest.param(form(), 400, "missing_image", id="no parts"),
        pytest.param(image_form(b""), 400, "empty_image", id="empty image"),
        pytest.param(form(part("file", GOOD, "x.png")), 400, "unexpected_part", id="wrong part name"),
        pytest.param(form(part("priority", b"stat")), 400, "missing_image", id="no image"),
        pytest.param(
            form(part("image", GOOD, "a"), part("image", GOOD, "b")),
            400,
            "more_than_one_image",
            id="two files",
        ),
        pytest.param(
            form(part("image", LARGE, "a"), part("image", GOOD, "b")),
            400,
            "more_than_one_image",
            id="second file after a streamed one",
        ),
        pytest.param(image_form(b"%PDF-1.7"), 415, "unsupported_image", id="unknown type"),
        pytest.param(image_form(images.animated_png()), 415, "animated_image", id="animated PNG"),
        pytest.param(image_form(images.mpo()), 415, "animated_image", id="MPO"),
        pytest.param(image_form(images.bomb()), 422, "too_many_pixels", id="100-megapixel bomb"),
        pytest.param(image_form(images.text_bomb()), 422, "image_header_damaged", id="text bomb"),
        pytest.param(image_form(GOOD[:-20]), 422, "image_truncated", id="truncated PNG"),
        pytest.param(image_form(LARGE[:-20]), 422, "image_truncated", id="truncated streamed PNG"),
        pytest.param(image_form(images.jpeg()[:-20]), 422, "image_truncated", id="truncated JPEG"),
        pytest.param(image_form(GOOD[:20]), 422, "image_header_damaged", id="truncated header"),
        pytest.param(image_form(GOOD)[:-30], 400, "upload_incomplete", id="truncated form"),
        pytest.param(image_form(LARGE)[:-30], 400, "upload_incomplete", id="truncated streamed form"),
        pytest.param(image_form(GOOD, priority=b"urgent"), 422, "bad_priority", id="bad priority"),
        pytest.param(image_form(GOOD, metadata=b"[1]"), 422, "bad_metadata", id="metadata a list"),
        pytest.param(image_form(GOOD, metadata=b'{"a":{}}'), 422, "bad_metadata", id="metadata nested"),
        pytest.param(image_form(GOOD, metadata=b"ward 7"), 422, "bad_metadata", id="metadata not JSON"),
        pytest.param(image_form(GOOD, metadata=b'{"a":NaN}'), 422, "bad_metadata", id="metadata NaN"),
        pytest.param(
            image_form(GOOD, metadata=b'{"a":1,"a":2}'), 422, "bad_metadata", id="metadata duplicate"
        ),
        pytest.param(
            form(part("image", LARGE, "a"), part("metadata", b"[]")),
            422,
            "bad_metadata",
            id="bad metadata after a streamed image",
        ),
        pytest.param(
            form(part("metadata", b"{}"), part("metadata", b"{}"), part("image", GOOD, "a")),
            400,
            "duplicate_part",
            id="metadata twice",
        ),
        pytest.param(
            image_form(GOOD, metadata=b'{"a":"' + b"x" * 5000 + b'"}'),
            422,
            "metadata_too_large",
            id="big metadata",
        ),
        pytest.param(
            f"--{BOUNDARY}\r\n".encode() + b"A: b\r\n" * 100_000, 400, "bad_multipart", id="many headers"
        ),
        pytest.param(form(*[part("", b"")] * 20_000), 400, "too_many_parts", id="many parts"),
        pytest.param(b"\0" * 1000, 400, "bad_multipart", id="no boundary in it"),
        pytest.param(image_form(GOOD + bytes(MAX_UPLOAD_BYTES)), 413, "body_too_large", id="over the limit"),
    ],
)
def test_a_bad_form_is_refused_and_leaves_nothing(house: House, body: bytes, status: int, code: str) -> None:
    assert_refused(house, post(house, body), status, code)


@pytest.mark.parametrize(
    ("content_type", "status", "code"),
    [
        ("image/png", 415, "not_multipart"),
        ("application/x-www-form-urlencoded", 415, "not_multipart"),
        ("multipart/form-data", 400, "bad_multipart"),
        ("multipart/form-data; boundary=another", 400, "bad_multipart"),
    ],
)
def test_a_body_that_is_no_form_is_refused(house: House, content_type: str, status: int, code: str) -> None:
    assert_refused(house, post(house, image_form(GOOD), content_type), status, code)


def test_a_chunked_body_is_cut_off_at_the_limit(house: House) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield form(part("image", LARGE, "x"))[: -len(BOUNDARY) - 8]
        while sent < 100 * MAX_UPLOAD_BYTES:
            sent += 65536
            yield bytes(65536)

    answer = house.http.post("/v1/jobs", content=endless(), headers={"content-type": CONTENT_TYPE})
    assert_refused(house, answer, 413, "body_too_large")
    assert answer.headers["connection"] == "close"
    assert sent < 20 * MAX_UPLOAD_BYTES


def connect(house: House, *headers: str) -> socket.socket:
    """A connection on which a request has begun."""
    url = httpx.URL(house.url)
    connection = socket.create_connection((url.host, url.port or 0), timeout=5)
    lines = ("POST /v1/jobs HTTP/1.1", "Host: localhost", f"Content-Type: {CONTENT_TYPE}", *headers, "", "")
    connection.sendall("\r\n".join(lines).encode())
    return connection


def read_to_end(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_length_over_the_limit_is_refused_before_the_body_comes(house: House) -> None:
    with connect(house, f"Content-Length: {MAX_UPLOAD_BYTES + 1}") as connection:
        answer = read_to_end(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in answer
    assert house.left_behind() == []


@pytest.mark.parametrize("sent", [300, 1_500_000])
def test_a_client_that_goes_away_leaves_nothing(house: House, sent: int) -> None:
    before = house.log().count('"status": 400')
    with connect(house, f"Content-Length: {len(image_form(LARGE))}") as connection:
        connection.sendall(image_form(LARGE)[:sent])
        time.sleep(0.1)  # until the gateway has begun to store what it will have to drop
    wait_until(lambda: house.log().count('"status": 400') > before, what="the gateway noticed")
    assert house.left_behind() == []
    assert "Traceback" not in house.log()


def test_a_client_that_dawdles_is_cut_off(house: House) -> None:
    with connect(house, f"Content-Length: {len(image_form(LARGE))}") as connection:
        connection.sendall(image_form(LARGE)[:1_500_000])
        answer = read_to_end(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert house.left_behind() == []
