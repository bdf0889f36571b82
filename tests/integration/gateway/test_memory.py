"""What one request may cost the gateway's memory: STOW-RS bodies, DICOM bombs, and copies made while they come in."""

import struct
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus

import httpx
import pytest

from tests.integration.gateway.process import House
from tests.integration.gateway.test_dicomweb import TYPE
from tests.support import dicom_bombs, dicoms, memory

#: Most that a request may add to what the gateway holds when idle, in bytes. 100 MB is what docs/bad-input.md promises;
#: less than the largest upload also shows that none is held whole.
BOUND = 20_000_000
PARTS = 200
_PREFIX = b"--xYz\r\nContent-Type: application/dicom\r\n\r\n"


def line_ends() -> bytes:
    """An image whose pixels are all line ends: each may begin a boundary."""
    file = dicoms.dicom(dicoms.slope(1000, 1000, kind="uint16"), bits=16)
    return file[:-2_000_000] + b"\r\n" * 1_000_000


def largest() -> bytes:
    """Close to the most bytes that one upload may have."""
    return dicoms.dicom(dicoms.slope(3000, 3400))


def long_value() -> bytes:
    """A UID that would have to be replaced, of many megabytes."""
    file = dicoms.dicom()
    at = dicoms.pixels_at(file)
    value = b"1.2" * 4_000_000
    return file[:at] + struct.pack("<HH2sHI", 0x0040, 0xA124, b"UC", 0, len(value)) + value + file[at:]


BOMBS: dict[str, Callable[[], bytes]] = {
    "largest": largest,
    "deflated": lambda: dicom_bombs.deflated(400 << 20),
    "sequences without end": lambda: dicom_bombs.deep(500_000),
    "very many elements": lambda: dicom_bombs.many_elements(500_000),
    "very many items": lambda: dicom_bombs.many_items(20_000),
    "frames that lie": lambda: dicom_bombs.frames_that_lie(2_000_000_000),
    "sides that lie": lambda: dicom_bombs.sides_that_lie(dicoms.RLE, 5400),
    "fragments that lie": dicom_bombs.fragments_that_lie,
    "line ends": line_ends,
    "a long value": long_value,
}


@pytest.fixture(scope="module", params=["original", "deidentified"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    knobs = {"dicom_store": request.param, "dicom_uid_key": "k" * 32, "stow_max_instances": PARTS}
    with House(**knobs, upload_timeout_s=100) as running:
        running.http.timeout = httpx.Timeout(100)
        assert stow(running, [dicoms.dicom()]).is_success  # what it does once, it has done
        yield running


def stow(house: House, files: list[bytes]) -> httpx.Response:
    def pieces() -> Iterator[bytes]:
        for file in files:
            yield from (_PREFIX, file, b"\r\n")
        yield b"--xYz--\r\n"

    return house.http.post("/dicomweb/studies", content=pieces(), headers={"Content-Type": TYPE})


def cost(house: House, ask: Callable[[], httpx.Response]) -> tuple[int, int]:
    """The answer's status, and what the gateway held at most above what it held before, in bytes."""
    before = memory.resident(house.process.pid)
    memory.forget_peak(house.process.pid)
    answer = ask()
    return answer.status_code, memory.peak(house.process.pid) - before


def test_a_bomb_costs_the_gateway_no_more_than_the_bound(house: House) -> None:
    found = {}
    for name, make in BOMBS.items():
        file = make()
        found[name, "alone"] = cost(house, partial(house.submit, file))
        found[name, "stored"] = cost(house, partial(stow, house, [file]))
    assert {name: (status, most) for name, (status, most) in found.items() if most > BOUND} == {}
    assert {
        name: status for name, (status, _) in found.items() if status >= HTTPStatus.INTERNAL_SERVER_ERROR
    } == {}


def test_a_body_far_larger_than_the_bound_is_read_within_it(house: House) -> None:
    file = largest()
    own = dicoms.read(file).SOPInstanceUID.encode()
    files = [file.replace(own, own[:-3] + b"%03d" % number) for number in range(10)]
    assert sum(map(len, files)) > 10 * BOUND
    status, most = cost(house, lambda: stow(house, files))
    assert (status, most <= BOUND) == (200, True), most


def test_as_many_parts_as_may_be_are_read_within_it(house: House) -> None:
    files = [dicoms.dicom() for _ in range(PARTS)]
    status, most = cost(house, lambda: stow(house, files))
    assert (status, most <= BOUND) == (200, True), most
