"""`GET /v1/cluster`: the house for its operators, and nothing of a tenant in it."""

import time

from shared.contracts import ClusterView
from shared.names import Priority, Stage
from tests.integration.gateway.guarded import Guarded
from tests.integration.gateway.process import House
from tests.support.samples import new_token
from tests.support.waiting import wait_until
from tests.unit.gateway import images

#: For so long an answer is given again.
_KEPT_S = 1.1


def shown(house: House) -> ClusterView:
    """As of now."""
    time.sleep(_KEPT_S)
    answer = house.http.get("/v1/cluster")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return ClusterView.model_validate_json(answer.content)


def test_an_operator_sees_queues_workers_and_what_fills_up(house: House) -> None:
    ref = house.accepted(images.png(), priority="stat")
    house.accepted(images.png())
    assert house.ledger.claim(ref, Stage.ML, token=new_token())
    house.ledger.heartbeat(Stage.ML, "ml@a", 3)
    house.ledger.offer_models({"m/1": "{}"}, default="m/1")
    seen = shown(house)
    queues = {(one.stage, one.priority): one for one in seen.queues}
    assert len(queues) == len(Stage) * len(Priority)
    assert queues[Stage.ML, Priority.STAT].claimed == 1
    assert queues[Stage.ML, Priority.ROUTINE].waiting == 1
    assert queues[Stage.ML, Priority.ROUTINE].oldest_waiting_s is not None
    assert seen.messages == {Stage.ML: 2, Stage.GEMINI: 0, Stage.FUSION: 0}
    assert (seen.workers[Stage.ML].nodes, seen.workers[Stage.ML].slots) == (1, 3)
    assert seen.live_jobs == 2
    assert seen.ledger_memory.used_bytes > 0
    assert seen.blobs.state == "ok"
    assert seen.blobs.free_bytes
    assert [(model.id, model.is_default) for model in seen.models] == [("m/1", True)]


def test_many_who_look_cost_what_one_costs(house: House) -> None:
    first = shown(house)
    assert all(house.http.get("/v1/cluster").json()["at"] == _at(first) for _ in range(3))


def _at(view: ClusterView) -> str:
    return str(view.model_dump(mode="json")["at"])


def test_without_a_broker_the_rest_is_still_seen(house: House) -> None:
    house.broker_server.stop(kill=True)
    seen = shown(house)
    assert seen.messages is None
    assert seen.queues


def test_without_a_ledger_there_is_nothing_to_see(house: House) -> None:
    house.ledger_server.stop(kill=True)
    time.sleep(_KEPT_S)
    answer = house.http.get("/v1/cluster")
    assert (answer.status_code, answer.json()["code"]) == (503, "ledger_unavailable")


def test_it_takes_the_scope_admin_and_names_no_job_and_no_tenant(guarded: Guarded) -> None:
    theirs = guarded.key(tenant="ward-7", scopes=("submit", "read"))
    ref = guarded.submit(theirs)
    assert guarded.ask("GET", "/v1/cluster", theirs).status_code == 403
    assert guarded.ask("GET", "/v1/cluster", None).status_code == 401
    operator = guarded.key(tenant="house", scopes=("admin",))
    wait_until(lambda: guarded.ask("GET", "/v1/cluster", operator).json()["live_jobs"] == 1, timeout_s=10)
    answer = guarded.ask("GET", "/v1/cluster", operator)
    assert ref.job_id not in answer.text
    assert "ward-7" not in answer.text
