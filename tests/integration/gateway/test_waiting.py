"""Long-polls at a real gateway: each is answered because of what happened to the job or to the house around it."""

import os
import resource
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from shared.names import JobRef, Key, Stage
from tests.integration.gateway.guarded import Guarded
from tests.integration.gateway.process import House
from tests.integration.gateway.test_follow import complete, forget, settle_ml
from tests.support.samples import fused_result, new_token
from tests.support.waiting import wait_until
from tests.unit.gateway import images

#: Of a job's whole life here; so long a wait never ends by itself while a test looks.
LONG_S = 60


class Waiting:
    """Requests that wait, each in a thread of its own."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._threads = ThreadPoolExecutor(64)
        self._http = httpx.Client(
            base_url=house.url,
            timeout=LONG_S + 30,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    def close(self) -> None:
        self._http.close()
        self._threads.shutdown()

    def get(self, ref: JobRef, *, wait: int = LONG_S, **headers: str) -> "Future[httpx.Response]":
        """`GET` with `wait`, under way once this returns."""
        before = self.subscribers(ref)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self._threads.submit(
            self._http.get, f"/v1/jobs/{ref.job_id}", params={"wait": wait}, headers=sent
        )
        if not before:
            wait_until(lambda: self.subscribers(ref) or answer.done(), what="the gateway listens")
        return answer

    def subscribers(self, ref: JobRef) -> int:
        """Gateways that listen for changes of the job."""
        with self.house.ledger_server.client() as client:
            ((_, count),) = client.pubsub_numsub(Key.changes(ref))
            return int(count)


@contextmanager
def requests_to(house: House) -> Iterator[Waiting]:
    made = Waiting(house)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def _patient_process() -> Iterator[House]:
    """Looks for changes that it was not told of only after the test is over: what comes, comes by a notice."""
    with House(wait_look_s=3600) as house:
        yield house


@pytest.fixture
def patient(_patient_process: House) -> House:
    _patient_process.reset()
    return _patient_process


@pytest.fixture
def waiting(patient: House) -> Iterator[Waiting]:
    with requests_to(patient) as made:
        yield made


def body(answer: "Future[httpx.Response]") -> Any:
    found = answer.result(LONG_S / 2)
    assert found.status_code == 200, found.text
    return found.json()


# --- what ends a wait -------------------------------------------------------------------------------------


def test_without_a_known_version_the_end_of_the_job_is_the_news(patient: House, waiting: Waiting) -> None:
    ref = patient.accepted(images.png())
    answer = waiting.get(ref)
    settle_ml(patient, ref)
    time.sleep(0.3)  # no news: the answer must not come of it
    assert not answer.done()
    fusion = patient.ledger.claim(ref, Stage.FUSION, token=new_token())
    assert fusion
    assert patient.ledger.complete(fusion, fused_result())
    assert body(answer)["state"] == "completed"


def test_with_a_known_version_each_change_is_news(patient: House, waiting: Waiting) -> None:
    ref = patient.accepted(images.png())
    known = patient.http.get(f"/v1/jobs/{ref.job_id}").headers["etag"]
    answer = waiting.get(ref, if_none_match=known)
    assert not answer.done()
    assert patient.ledger.claim(ref, Stage.ML, token=new_token())
    assert body(answer)["readings"]["ml"]["state"] == "claimed"
    assert answer.result().headers["etag"] != known


def test_another_version_than_the_known_one_is_answered_at_once(patient: House, waiting: Waiting) -> None:
    ref = patient.accepted(images.png())
    assert body(waiting.get(ref, if_none_match='"another"'))["state"] == "queued"


@pytest.mark.parametrize("is_archived", [False, True])
def test_a_job_that_is_over_is_answered_at_once(
    patient: House, waiting: Waiting, *, is_archived: bool
) -> None:
    ref = patient.accepted(images.png())
    complete(patient, ref)
    if is_archived:
        forget(patient, ref)
    first = waiting.get(ref)
    assert body(first)["state"] == "completed"
    again = waiting.get(ref, if_none_match=first.result().headers["etag"]).result(LONG_S / 2)
    assert again.status_code == 304
    assert waiting.subscribers(ref) == 0


def test_when_the_time_is_up_the_job_is_answered_as_it_stands(patient: House, waiting: Waiting) -> None:
    ref = patient.accepted(images.png())
    began = time.monotonic()
    answer = waiting.get(ref, wait=1)
    assert body(answer)["state"] == "queued"
    assert time.monotonic() - began >= 1
    etag = answer.result().headers["etag"]
    assert waiting.get(ref, wait=1, if_none_match=etag).result(LONG_S / 2).status_code == 304


def test_a_wait_may_be_a_preference(patient: House) -> None:
    ref = patient.accepted(images.png())

    def ask(**headers: str) -> httpx.Response:
        return patient.http.get(f"/v1/jobs/{ref.job_id}", headers=headers)

    assert ask(prefer="respond-async, Wait=1").headers["preference-applied"] == "wait=1"
    for unusable in ("wait=soon", "wait=-1", "wait", "await=1"):
        assert "preference-applied" not in ask(prefer=unusable).headers
    complete(patient, ref)
    assert ask(prefer="wait=99999").headers["preference-applied"] == "wait=60"


@pytest.mark.parametrize("wait", ["soon", "-1", "1.5", "1e3", "9" * 30])
def test_a_wait_that_is_no_number_of_seconds_is_refused(patient: House, wait: str) -> None:
    ref = patient.accepted(images.png())
    answer = patient.http.get(f"/v1/jobs/{ref.job_id}", params={"wait": wait})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_parameter")


def test_who_waits_for_no_job_is_told_at_once(patient: House, waiting: Waiting) -> None:
    ref = patient.accepted(images.png())
    stranger = JobRef("stranger", ref.job_id.replace(ref.job_id[-6:], "000000"))
    answer = patient.http.get(f"/v1/jobs/{stranger.job_id}", params={"wait": 30})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_job")


# --- many -------------------------------------------------------------------------------------------------


def test_one_notice_reaches_all_who_wait_over_one_connection(patient: House, waiting: Waiting) -> None:
    refs = [patient.accepted(images.png()) for _ in range(5)]
    answers = [waiting.get(ref) for ref in refs for _ in range(10)]
    assert [waiting.subscribers(ref) for ref in refs] == [1] * len(refs)
    for ref in refs:
        assert patient.ledger.cancel(ref)
    assert [body(answer)["state"] for answer in answers] == ["cancelled"] * 50
    wait_until(lambda: not any(map(waiting.subscribers, refs)), what="nobody listens any more")


def test_a_tenant_may_hold_so_many_waits_and_no_more() -> None:
    with House(max_waits_per_tenant=2) as house, requests_to(house) as waiting:
        first, second = house.accepted(images.png()), house.accepted(images.png())
        held = [waiting.get(first), waiting.get(second)]
        refused = house.http.get(f"/v1/jobs/{first.job_id}", params={"wait": 30})
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_waits")
        assert refused.headers["retry-after"] == "5"
        assert house.job(first)["state"] == "queued", "who does not wait is not refused"
        for ref in (first, second):
            house.ledger.cancel(ref)
        assert {body(answer)["state"] for answer in held} == {"cancelled"}
        third = house.accepted(images.png())
        assert house.http.get(f"/v1/jobs/{third.job_id}", params={"wait": 1}).status_code == 200


def test_a_gateway_holds_so_many_waits_and_no_more() -> None:
    with House(max_waits=1) as house, requests_to(house) as waiting:
        ref = house.accepted(images.png())
        answer = waiting.get(ref)
        refused = house.http.get(f"/v1/jobs/{ref.job_id}", params={"wait": 30})
        assert (refused.status_code, refused.json()["code"]) == (503, "waits_full")
        house.ledger.cancel(ref)
        assert body(answer)["state"] == "cancelled"


# --- who hangs up -----------------------------------------------------------------------------------------


def test_who_hangs_up_holds_nothing(patient: House, waiting: Waiting) -> None:
    ref = patient.accepted(images.png())
    url = httpx.URL(patient.url)
    with socket.create_connection((url.host, url.port or 80)) as caller:
        caller.sendall(
            f"GET /v1/jobs/{ref.job_id}?wait={LONG_S} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        )
        wait_until(lambda: waiting.subscribers(ref), what="the gateway listens")
    wait_until(lambda: not waiting.subscribers(ref), what="the gateway stops listening")
    wait_until(lambda: "499" in patient.log(), what="it is in the access log")
    assert "unexpected" not in patient.log()


# --- trouble ----------------------------------------------------------------------------------------------


def test_a_notice_lost_with_the_connection_is_made_up_for(patient: House, waiting: Waiting) -> None:
    ref = patient.accepted(images.png())
    answer = waiting.get(ref)
    with patient.ledger_server.client() as client:
        assert client.client_kill_filter(_type="pubsub") == 1
        client.client_kill_filter(_type="pubsub")
    patient.ledger.cancel(ref)
    assert body(answer)["state"] == "cancelled"


def test_a_wait_outlives_a_restart_of_the_ledger(patient: House, waiting: Waiting) -> None:
    ref = patient.accepted(images.png())
    answer = waiting.get(ref)
    patient.ledger_server.stop(kill=True)
    time.sleep(0.5)
    assert not answer.done()
    patient.ledger_server.start()
    wait_until(lambda: waiting.subscribers(ref), timeout_s=30, what="the gateway listens again")
    patient.ledger.cancel(ref)
    assert body(answer)["state"] == "cancelled"


def test_what_changed_while_the_ledger_was_away_is_seen_when_it_is_back(
    patient: House, waiting: Waiting
) -> None:
    ref = patient.accepted(images.png())
    answer = waiting.get(ref)
    os.kill(patient.process.pid, signal.SIGSTOP)
    try:
        patient.ledger.cancel(ref)
        patient.ledger_server.restart(kill=True)
    finally:
        os.kill(patient.process.pid, signal.SIGCONT)
    assert body(answer)["state"] == "cancelled"


def test_without_notices_versions_are_compared_now_and_then() -> None:
    with House(wait_look_s=0.3) as house, requests_to(house) as waiting:
        ref = house.accepted(images.png())
        answer = waiting.get(ref)
        with house.ledger_server.client() as client:
            client.execute_command("ACL", "SETUSER", "default", "resetchannels")
            client.client_kill_filter(_type="pubsub")
            with house.ledger_server.client() as quiet:
                # The very change, and no notice of it: as if the notice had been lost.
                quiet.hset(Key.job(ref), mapping={"state": "cancelled", "version": 99, "ended_at": 1})
        assert body(answer)["version"] == 99
        assert house.job(ref)["state"] == "cancelled", "plain reading needs no notices"


def test_a_gateway_that_stops_answers_who_waits() -> None:
    with House() as house, requests_to(house) as waiting:
        ref = house.accepted(images.png())
        answer = waiting.get(ref)
        house.process.terminate()
        assert body(answer)["state"] == "queued"
        assert house.process.wait(20) == 0
        assert "Cancel" not in house.log()


# --- whose job it is --------------------------------------------------------------------------------------


def test_another_tenants_job_cannot_be_waited_for(guarded: Guarded) -> None:
    ref = guarded.submit(guarded.key("theirs"))
    mine = guarded.key("mine")
    answer = guarded.ask("GET", f"/v1/jobs/{ref.job_id}?wait=30", mine)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_job")
    submit_only = guarded.key("theirs", scopes=("submit",))
    assert guarded.ask("GET", f"/v1/jobs/{ref.job_id}?wait=30", submit_only).status_code == 403


def test_a_usual_limit_on_open_files_is_no_limit_on_waits() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # what a process starts with on most systems
    try:
        with House(max_waits=2000) as house:
            allowed, _ = resource.prlimit(house.process.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert allowed >= 3024 or allowed == hard
