"""More work than a caller or the house may have: refused before the body is read, with how long to wait."""

import asyncio
import math
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager

import httpx
import pytest

from shared.names import Blob, JobRef, blob_path
from tests.integration.gateway.process import House
from tests.support.samples import new_job, new_ref
from tests.support.valkey import Server
from tests.support.waiting import wait_until
from tests.unit.gateway import images
from tests.unit.gateway.forms import CONTENT_TYPE, image_form

GOOD = images.png()
#: Streamed to the blob store, not kept whole.
LARGE = images.noise(2 << 20)
#: Much longer than a gateway rides out an absence of the ledger: the server may be at it before the gateway is asked.
_LOADING_S = 20


def assert_refused(answer: httpx.Response, status: int, code: str) -> int:
    """The wait in seconds that it asks for."""
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    wait = int(answer.headers["retry-after"])
    assert wait >= 1
    return wait


@contextmanager
def connection(house: House) -> Iterator[socket.socket]:
    """A connection to the gateway, to send a request in pieces."""
    url = httpx.URL(house.url)
    with closing(socket.create_connection((url.host, url.port), timeout=10)) as opened:
        yield opened


def head(body: bytes) -> bytes:
    """A submission up to its body."""
    lines = (
        "POST /v1/jobs HTTP/1.1",
        "Host: localhost",
        f"Content-Type: {CONTENT_TYPE}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join([*lines, "", ""]).encode()


def answer_on(opened: socket.socket) -> bytes:
    """All that is answered, up to where the gateway closes."""
    received = b""
    while chunk := opened.recv(65536):
        received += chunk
    return received


# --- the house and its tenants ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def _small_house() -> Iterator[House]:
    with House(max_live_jobs=4, max_live_jobs_per_tenant_share=0.5) as house:
        yield house


@pytest.fixture
def small(_small_house: House) -> House:
    """A house of four unfinished jobs, two of them ours."""
    _small_house.reset()
    return _small_house


def fill(house: House, tenant: str, jobs: int) -> list[JobRef]:
    """Jobs of somebody else."""
    refs = [new_ref(tenant) for _ in range(jobs)]
    for ref in refs:
        house.ledger.create(ref, new_job())
    return refs


def test_a_tenant_with_its_share_is_refused_until_one_of_its_jobs_ends(small: House) -> None:
    first = small.accepted(GOOD)
    small.accepted(GOOD)

    assert assert_refused(small.submit(GOOD), 429, "tenant_full") == 5
    assert len(small.files()) == 2

    small.http.post(f"/v1/jobs/{first.job_id}/cancel")
    small.accepted(GOOD)


def test_a_flood_of_one_tenant_leaves_room_for_another(small: House) -> None:
    fill(small, "flood", 2)

    small.accepted(GOOD)


@pytest.mark.parametrize("image", [GOOD, LARGE], ids=["small", "streamed"])
def test_a_full_house_refuses_and_stores_nothing(small: House, image: bytes) -> None:
    (ref, *_) = fill(small, "a", 2) + fill(small, "b", 2)

    assert_refused(small.submit(image), 503, "house_full")
    assert small.files() == []

    small.ledger.cancel(ref)
    small.accepted(image)


def test_a_refusal_needs_no_body(small: House) -> None:
    fill(small, "a", 4)
    with connection(small) as opened:
        opened.sendall(head(image_form(LARGE)))

        assert answer_on(opened).startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize("image", [GOOD, LARGE], ids=["small", "streamed"])
def test_a_house_that_fills_during_an_upload_discards_it(small: House, image: bytes) -> None:
    body = image_form(image)
    with connection(small) as opened:
        opened.sendall(head(body) + body[:-100])
        admitted = "cmdstat_evalsha"  # the ledger has been asked; from then on only `create` can refuse
        with small.ledger_server.client() as client:
            wait_until(lambda: client.info("commandstats").get(admitted, {}).get("calls", 0) >= 1)
        fill(small, "a", 4)
        opened.sendall(body[-100:])

        assert b'"code":"house_full"' in answer_on(opened)
    assert small.files() == []


def test_the_wait_follows_the_rate_at_which_jobs_end(small: House) -> None:
    for ref in fill(small, "a", 50):
        small.ledger.cancel(ref)
    fill(small, "a", 4)

    assert assert_refused(small.submit(GOOD), 503, "house_full") == 1


def test_a_refused_upload_is_not_counted_as_live(small: House) -> None:
    assert small.submit(b"no image").status_code == 415

    assert small.ledger.live_jobs() == {}


# --- rate and quota ---------------------------------------------------------------------------------------


def test_the_rate_limit_says_what_is_left_and_when_to_come_back() -> None:
    with House(rate_per_minute=3) as house:
        accepted = [house.submit(GOOD) for _ in range(2)]
        bad = house.submit(b"no image")
        refused = house.submit(GOOD)

        assert [answer.status_code for answer in accepted] == [202, 202]
        assert {answer.headers["ratelimit-policy"] for answer in (*accepted, bad, refused)} == {
            '"minute";q=3;w=60'
        }
        assert [answer.headers["ratelimit"].split(";t=")[0] for answer in (*accepted, bad, refused)] == [
            '"minute";r=2',
            '"minute";r=1',
            '"minute";r=0',
            '"minute";r=0',
        ]
        assert bad.status_code == 415
        assert assert_refused(refused, 429, "rate_limited") <= 20
        assert len(house.files()) == 2
        # Looking is free.
        assert house.http.get(accepted[0].headers["location"]).status_code == 200


def test_the_daily_quota_counts_accepted_jobs() -> None:
    with House(daily_quota=2) as house:
        house.submit(b"no image")
        left = [house.submit(GOOD).headers["ratelimit"].split(";t=")[0] for _ in range(2)]
        refused = house.submit(GOOD)

        assert left == ['"day";r=1', '"day";r=0']
        wait = assert_refused(refused, 429, "quota_exceeded")
        until_midnight = 86400 - house.ledger_time() % 86400
        assert wait == pytest.approx(math.ceil(until_midnight), abs=60)
        assert len(house.files()) == 2


def test_without_limits_no_header_speaks_of_them(house: House) -> None:
    assert not [name for name in house.submit(GOOD).headers if name.startswith("ratelimit")]


# --- room -------------------------------------------------------------------------------------------------


def test_uploads_beyond_what_the_gateway_receives_at_once_are_refused() -> None:
    with House(max_concurrent_uploads=1) as house, connection(house) as opened:
        body = image_form(LARGE)
        opened.sendall(head(body) + body[:1000])
        wait_until(lambda: house.submit(GOOD).status_code == 503)

        assert_refused(house.submit(LARGE), 503, "uploads_full")
        assert house.http.get("/healthz").is_success
        opened.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: house.submit(GOOD).status_code == 202)


def test_a_full_disk_takes_no_job_and_hides_none() -> None:
    with House(min_free_blob_bytes=1 << 62) as house:
        (ref,) = fill(house, "default", 1)

        assert assert_refused(house.submit(GOOD), 503, "blob_store_full") == 60
        assert house.files() == []
        assert house.job(ref)["state"] == "queued"


# --- the ledger -------------------------------------------------------------------------------------------


def replica(house: House) -> Callable[[], object]:
    with house.ledger_server.client() as client:
        client.replicaof("127.0.0.1", 1)

    def undo() -> None:
        with house.ledger_server.client() as client:
            client.replicaof("NO", "ONE")

    return undo


def little_memory(house: House) -> Callable[[], object]:
    with house.ledger_server.client() as client:
        client.config_set("maxmemory", int(client.info("memory")["used_memory"] * 1.1))

    def undo() -> None:
        with house.ledger_server.client() as client:
            client.config_set("maxmemory", 0)

    return undo


@pytest.mark.parametrize("image", [GOOD, LARGE], ids=["small", "streamed"])
@pytest.mark.parametrize(
    ("trouble", "code"),
    [(replica, "ledger_unavailable"), (little_memory, "ledger_full")],
    ids=["read-only", "little memory left"],
)
def test_a_ledger_that_takes_no_new_job_is_told_before_the_upload(
    house: House, trouble: Callable[[House], Callable[[], object]], code: str, image: bytes
) -> None:
    undo = trouble(house)
    try:
        wait_until(lambda: house.submit(image).status_code == 503)
        house.reset_files()
        assert_refused(house.submit(image), 503, code)
        assert house.files() == []
        with connection(house) as opened:  # and before a byte of it is sent
            opened.sendall(head(image_form(image)))
            assert f'"code":"{code}"'.encode() in answer_on(opened)
    finally:
        undo()

    wait_until(lambda: house.submit(image).status_code == 202, what="jobs are taken again")


async def answer_to_slow(house: House, body: bytes) -> httpx.Response:
    """Of a client that goes on sending for a while after it has been answered, and only then reads."""

    async def pieces() -> AsyncIterator[bytes]:
        third = len(body) // 3
        for start in (0, third, 2 * third):
            yield body[start : start + third] if start < 2 * third else body[start:]
            await asyncio.sleep(0.4)

    headers = {"content-type": CONTENT_TYPE, "content-length": str(len(body))}
    async with httpx.AsyncClient(base_url=house.url, timeout=60) as client:
        return await client.post("/v1/jobs", content=pieces(), headers=headers)


@pytest.mark.parametrize("image", [GOOD, LARGE], ids=["small", "large"])
def test_who_is_refused_in_the_middle_of_an_upload_can_read_why(small: House, image: bytes) -> None:
    small.accepted(GOOD)
    small.accepted(GOOD)

    assert_refused(asyncio.run(answer_to_slow(small, image_form(image))), 429, "tenant_full")


def logged_commands(server: Server) -> int:
    """How many the server will carry out again when it starts."""
    return sum(path.read_bytes().count(b"\r\n*") for path in server.folder.glob("appendonlydir/*.incr.aof"))


def test_a_loading_ledger_is_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(10):
        house.accepted(GOOD)
    kept = len(house.files())
    house.ledger_server.stop()
    monkeypatch.setattr(house.http, "timeout", 60)  # a server that loads may leave a question unanswered
    delay_us = _LOADING_S * 1_000_000 // logged_commands(house.ledger_server)
    loading = threading.Thread(target=house.ledger_server.start, args=("--key-load-delay", str(delay_us)))
    loading.start()
    try:
        refused = house.submit(GOOD)
        assert_refused(refused, 503, "ledger_unavailable")
        assert len(house.files()) == kept
    finally:
        loading.join()

    wait_until(lambda: house.submit(GOOD).status_code == 202, timeout_s=60, what="jobs are taken again")


def test_a_ledger_restarted_empty_begins_at_nothing(small: House) -> None:
    ref = small.accepted(GOOD)
    small.accepted(GOOD)
    small.ledger_server.stop()
    shutil.rmtree(small.ledger_server.folder / "appendonlydir")
    small.ledger_server.start()

    small.accepted(GOOD)
    assert small.ledger.live_jobs() == {"default": 1}
    assert small.http.get(f"/v1/jobs/{ref.job_id}").status_code == 404
    assert small.blobs.get(blob_path(ref, Blob.IMAGE)) == GOOD
