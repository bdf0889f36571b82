"""Both clients through a proxy that misbehaves: what passes is outlived, and nothing is done twice."""

import gc
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

import mediscan
from tests.fake_gemini.http import head_bytes, page_bytes
from tests.support.images import scan
from tests.support.trouble import Mischief, Trouble


def refusal(status: int, *headers: str) -> bytes:
    """A short answer with these header lines."""
    lines = [f"HTTP/1.1 {status} No", *headers, "Content-Length: 0", "Connection: close", "", ""]
    return "\r\n".join(lines).encode()


def events(*pieces: str) -> bytes:
    """An event stream that ends after these."""
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    return (head + "".join(pieces)).encode()


@pytest.fixture
def client(trouble: Trouble, connect: Callable[..., Any]) -> Any:
    return connect(trouble.url, retry_for=20, attempt_for=2)


def test_a_submission_outlives_everything_and_keeps_its_key(client: Any, trouble: Trouble) -> None:
    trouble.script = [
        Mischief.CUT,
        refusal(503, "Retry-After: 0"),
        page_bytes(502, "<h1>Bad gateway</h1>"),
        Mischief.CUT_ANSWER,
        Mischief.LOSE_ANSWER,
        Mischief.HANG,
    ]
    job = client.submit(scan(), metadata={"n": 1})
    assert job.wait(timeout=30).state == "completed"
    keys = {request.headers["idempotency-key"] for request in trouble.requests if request.method == "POST"}
    assert len(keys) == 1
    assert len(trouble.requests) >= 7


def test_retry_after_is_waited_for(client: Any, trouble: Trouble) -> None:
    trouble.script = [refusal(429, "Retry-After: 1")]
    client.models()
    first, second = trouble.requests
    assert second.received_at - first.received_at >= 1


def test_a_quota_for_tomorrow_is_said_at_once(client: Any, trouble: Trouble) -> None:
    trouble.script = [refusal(429, "Retry-After: 80000")]
    with pytest.raises(mediscan.RateLimitedError) as caught:
        client.models()
    assert caught.value.retry_after_s == 80000
    assert len(trouble.requests) == 1


def test_an_answer_in_drips_does_not_hold_us_up(connect: Callable[..., Any], trouble: Trouble) -> None:
    trouble.script = [Mischief.DRIP] * 50
    began = time.monotonic()
    with pytest.raises(mediscan.UnreachableError, match="took too long"):
        connect(trouble.url, retry_for=4, attempt_for=2).models()
    # Seconds of patience, not the minutes that the drips would take; generous, for machines are busy.
    assert time.monotonic() - began < 60


def test_a_proxy_that_stays_broken(connect: Callable[..., Any], trouble: Trouble) -> None:
    trouble.script = [page_bytes(503, "<h1>Maintenance</h1>")] * 50
    with pytest.raises(mediscan.UnavailableError) as caught:
        connect(trouble.url, retry_for=1).get("job_1")
    assert (caught.value.code, caught.value.status) == ("http_503", 503)
    assert len(trouble.requests) > 1


def test_something_else_at_the_address(client: Any, trouble: Trouble) -> None:
    trouble.script = [page_bytes(200, "<h1>Welcome</h1>")]
    with pytest.raises(mediscan.UnexpectedAnswerError):
        client.models()


def test_the_key_is_sent_and_follows_no_redirect(connect: Callable[..., Any], trouble: Trouble) -> None:
    trouble.script = [refusal(307, f"Location: {trouble.url}/v1/models")]
    with pytest.raises(mediscan.UnexpectedAnswerError):
        connect(trouble.url, "ms_secret").models()
    assert [request.headers["authorization"] for request in trouble.requests] == ["Bearer ms_secret"]


def test_events_go_on_after_a_cut(client: Any, trouble: Trouble) -> None:
    trouble.script = [
        events("retry: 10\n\n", 'id: a\nevent: queued\ndata: {"position": 1}\n\n', "id: b\nevent: ml.st"),
        refusal(503, "Retry-After: 0"),
        events("id: b\nevent: ml.started\ndata: {}\n\n", "id: c\nevent: completed\ndata: {}\n\n"),
    ]
    assert [event.type for event in client.events("job_1")] == ["queued", "ml.started", "completed"]
    seen = [request.headers.get("last-event-id") for request in trouble.requests]
    assert seen == [None, "a", "a"]
    assert {request.target for request in trouble.requests} == {"/v1/jobs/job_1/events"}


def test_events_given_up_midway_leave_no_connection(client: Any, trouble: Trouble) -> None:
    trouble.script = [events('id: a\nevent: queued\ndata: {"position": 1}\n\n'), head_bytes(200, 0)]
    following = iter(client.events("job_1"))
    assert next(following).type == "queued"
    with pytest.raises(mediscan.UnexpectedAnswerError):
        next(following)


def test_a_wait_outlives_the_gateways_absence(client: Any, trouble: Trouble) -> None:
    job = client.submit(scan())
    trouble.script = [Mischief.CUT, refusal(502), Mischief.LOSE_ANSWER]
    assert job.wait(timeout=30).state == "completed"
    assert len(trouble.requests) >= 5


def test_the_mischief_itself_leaves_no_connection_behind() -> None:
    """Warnings are errors here, and an open end that the garbage collector finds is one."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for _ in range(10):
            with Trouble(f"http://127.0.0.1:{silent.getsockname()[1]}") as trouble:
                trouble.script = [Mischief.HANG, Mischief.NONE]
                where = ("127.0.0.1", int(trouble.url.rpartition(":")[2]))
                clients = [socket.create_connection(where) for _ in range(20)]
                for client in clients[:2]:
                    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            for client in clients:
                client.close()
    del trouble
    gc.collect()
