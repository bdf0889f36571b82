"""Requests that no HTTP library would send, over a plain socket to the real server."""

import json
import re
import signal
import socket
import time
from collections.abc import Iterable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.protocol import HEAD_TIMEOUT_S, MAX_HEAD_BYTES
from tests.integration.gateway.process import House
from tests.support.fuzzing import searching
from tests.support.mutation import mutated
from tests.unit.gateway import images
from tests.unit.gateway.forms import CONTENT_TYPE, image_form

#: Hidden in a body or behind one: an answer to it (405) would mean that it was taken for a request.
SMUGGLED = b"PUT /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


def exchange(house: House, chunks: Iterable[bytes], *, half_close: bool = True) -> bytes:
    """Send, say that nothing more comes, and read all answers; a hang is a failure."""
    url = httpx.URL(house.url)
    answer = b""
    with socket.create_connection((url.host, url.port or 0), timeout=20) as connection:
        try:
            for chunk in chunks:
                connection.sendall(chunk)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused and closed before all of it was sent
        try:
            while data := connection.recv(65536):
                answer += data
        except ConnectionError:
            pass  # closed with something of ours unread
    return answer


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in _STATUS.findall(answer)]


def problem(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    found: dict[str, object] = json.loads(body)
    return found


def get(*headers: bytes, path: bytes = b"/healthz", version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join((b"GET " + path + b" " + version, b"Host: localhost", *headers, b"", b""))


def post(*headers: bytes, body: bytes = b"") -> bytes:
    lines = (
        b"POST /v1/jobs HTTP/1.1",
        b"Host: localhost",
        b"Content-Type: " + CONTENT_TYPE.encode(),
        *headers,
        b"",
        b"",
    )
    return b"\r\n".join(lines) + body


@pytest.mark.parametrize(
    "headers",
    [
        (b"Content-Length: 4", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", b"Content-Length: 4"),
        (b"Content-Length: 5", b"Content-Length: 60"),
        (b"Content-Length: 5, 60",),
        (b"Content-Length: +5",),
        (b"Content-Length: -5",),
        (b"Content-Length: 5 5",),
        (b"Content-Length: 0x5",),
        (b"Content-Length: 99999999999999999999999",),
        (b"Content-Length:\x0b5",),
        (b"Content-Length : 5",),
        (b"Transfer-Encoding: xchunked",),
        (b"Transfer-Encoding: chunked, identity",),
        (b"Transfer-Encoding: identity, chunked, x",),
        (b"Transfer-Encoding : chunked",),
        (b"Transfer-Encoding: chunked\x00",),
        (b"Transfer-Encoding:\x0bchunked",),
        (b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
        (b"X: y\rTransfer-Encoding: chunked",),
        (b" folded: x",),
        (b"X y: z",),
    ],
    ids=lambda headers: b" | ".join(headers).decode("latin-1"),
)
def test_a_body_of_doubtful_length_hides_no_request(house: House, headers: tuple[bytes, ...]) -> None:
    answer = exchange(house, [post(*headers, body=b"0\r\n\r\n" + SMUGGLED)])
    assert statuses(answer) == [400]
    assert problem(answer)["code"] in {"bad_http", "cut_off", "bad_multipart"}
    assert house.left_behind() == []


@pytest.mark.parametrize(
    "chunked",
    [
        b"-1\r\n",
        b"5;\r\nabc",
        b"FFFFFFFFFFFFFFFFF\r\n",
        b"0x5\r\nabcde\r\n0\r\n\r\n",
        b"5\nabcde\n0\n\n",
        b"zz\r\n",
        b"\r\n",
    ],
)
def test_a_malformed_chunk_is_refused(house: House, chunked: bytes) -> None:
    answer = exchange(house, [post(b"Transfer-Encoding: chunked", body=chunked + SMUGGLED)])
    assert set(statuses(answer)) == {400}
    assert b" 405 " not in answer
    assert house.left_behind() == []


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "bad_http"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "bad_http"),
        (get(path=b"/v1/jobs/\xff\xfe"), 400, "bad_http"),
        (get(version=b"HTTP/9.9"), 400, "bad_http"),
        (get(b"X: " + b"y" * MAX_HEAD_BYTES), 431, "headers_too_large"),
        (get(*[b"X: y"] * 10_000), 431, "headers_too_large"),
        (get(path=b"/" + b"a" * MAX_HEAD_BYTES), 431, "headers_too_large"),
    ],
    ids=["TLS", "HTTP/2", "path of bytes", "version", "long header", "many headers", "long path"],
)
def test_what_is_no_request_of_ours_is_refused_as_a_problem(
    house: House, request_bytes: bytes, status: int, code: str
) -> None:
    answer = exchange(house, [request_bytes])
    assert statuses(answer) == [status]
    assert problem(answer)["code"] == code


def test_headers_without_end_are_cut_off_and_not_kept(house: House) -> None:
    sent = 0

    def endless() -> Iterable[bytes]:
        nonlocal sent
        yield b"GET /healthz HTTP/1.1\r\nX: "
        while sent < 100 << 20:
            sent += 65536
            yield b"y" * 65536

    answer = exchange(house, endless())
    assert statuses(answer) in ([431], [])  # the answer may be lost with what was sent after it
    assert sent < 20 << 20
    assert house.http.get("/healthz").status_code == 200


def test_a_connection_that_asks_for_nothing_is_not_kept(house: House) -> None:
    url = httpx.URL(house.url)
    with socket.create_connection((url.host, url.port or 0), timeout=30) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert problem(answer)["code"] == "headers_timeout"


def test_what_came_while_the_gateway_stood_still_is_read(house: House) -> None:
    url, request = httpx.URL(house.url), get(b"Connection: close")
    with socket.create_connection((url.host, url.port or 0), timeout=30) as connection:
        connection.sendall(request[:5])
        assert house.http.get("/healthz").status_code == 200  # by now those are read
        house.process.send_signal(signal.SIGSTOP)
        connection.sendall(request[5:])
        time.sleep(HEAD_TIMEOUT_S + 0.5)
        house.process.send_signal(signal.SIGCONT)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert statuses(answer) == [200]


def test_an_ordinary_connection_serves_one_request_after_the_other(house: House) -> None:
    answer = exchange(house, [get(), get(), get(b"Connection: close")], half_close=False)
    assert statuses(answer) == [200, 200, 200]
    byte_by_byte = exchange(house, [bytes([one]) for one in get(b"Connection: close")], half_close=False)
    assert statuses(byte_by_byte) == [200]


#: All but a submission: no change to it makes one, so that nothing may ever be left behind.
CUT_OFF = image_form(images.png()[:-12], metadata=b'{"a": 1}', priority=b"stat")
ID = b"job_" + b"0" * 32
SOUND = st.sampled_from(
    [
        get(path=b"/v1/jobs/" + ID, version=b"HTTP/1.1"),
        get(b"If-None-Match: *", path=b"/v1/jobs/" + ID + b"/heatmap.png?x=1"),
        get(b"Authorization: Bearer x", path=b"/v1/models?limit=-1&cursor=%00"),
        get(path=b"/readyz"),
        get(path=b"/openapi.json"),
        post(b"Content-Length: 0"),
        post(b"Transfer-Encoding: chunked", body=b"5\r\nabcde\r\n0\r\n\r\n"),
        post(b"Content-Length: %d" % len(CUT_OFF), body=CUT_OFF),
        b"POST /v1/jobs/" + ID + b"/cancel HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    ]
)
TOKENS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"%2e%2e/",
    b"%00",
    b"%ff",
    b"?" * 50,
    b"Content-Length: 3\r\n",
    b":",
]
TOKENS += [
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: websocket\r\n",
    b"HEAD ",
    b"x" * 40_000,
]
TOKENS += [
    "ä".encode(),
    b"If-None-Match: \xff\r\n",
    b"Authorization: \xff\r\n",
    b"Connection: close\r\n",
    b"//",
    b"*",
    b"@",
]


@searching(120)
@given(request_bytes=mutated(SOUND, TOKENS), cut=st.integers(0, 400))
def test_nothing_that_is_sent_is_our_fault(house: House, request_bytes: bytes, cut: int) -> None:
    answer = exchange(house, [request_bytes[:cut], request_bytes[cut:]])
    found = statuses(answer)
    assert all(status < 500 or status == 503 for status in found)  # 503: /readyz, for no worker runs here
    if found and found[-1] >= 400 and found[-1] != 503:
        assert b"application/problem+json" in answer
    assert house.left_behind() == []
