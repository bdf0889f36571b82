"""What the ledger says of the whole house, and that its price does not depend on how much there is."""

import pytest

from shared.contracts import CircuitState, UnavailableReading, UnavailableReason
from shared.ledger import House, Lane
from shared.ledger.house import slots
from shared.names import Key, Priority, Stage
from tests.support.jobs import Jobs
from tests.support.samples import SKIPPED, fused_result, new_job, new_ref


def lane(house: House, stage: Stage, priority: Priority = Priority.ROUTINE) -> Lane:
    [found] = [one for one in house.lanes if (one.stage, one.priority) == (stage, priority)]
    return found


def test_an_empty_house(jobs: Jobs) -> None:
    house = jobs.ledger.house()
    assert {(one.waiting, one.claimed, one.oldest_waiting_s) for one in house.lanes} == {(0, 0, None)}
    assert len(house.lanes) == len(Stage) * len(Priority)
    assert house.workers == dict.fromkeys(Stage, ())
    assert (house.live_jobs, house.ended_last_minute, house.dead_letters) == (0, 0, 0)
    assert house.circuit.state is CircuitState.CLOSED
    assert house.memory.used > 0
    assert house.memory.limit is None
    assert not house.reaper_alive


def test_open_work_is_counted_by_stage_and_priority(jobs: Jobs) -> None:
    jobs.create(priority=Priority.STAT, gemini_skipped=SKIPPED)
    for _ in range(2):
        jobs.create()
    jobs.claim(jobs.create(), Stage.ML)
    jobs.fusable()
    house = jobs.ledger.house()
    ml, stat = lane(house, Stage.ML), lane(house, Stage.ML, Priority.STAT)
    assert (ml.waiting, ml.claimed, stat.waiting, stat.claimed) == (2, 1, 1, 0)
    assert lane(house, Stage.GEMINI).waiting == 3
    assert lane(house, Stage.GEMINI, Priority.STAT).waiting == 0
    assert lane(house, Stage.FUSION).waiting == 1
    assert house.live_jobs == 5


def test_the_first_in_line_waits_since_it_was_submitted_and_fusion_since_the_second_reading(
    jobs: Jobs,
) -> None:
    old = jobs.create()
    jobs.redis.zadd(Key.work(Stage.ML, Priority.ROUTINE), {str(old): jobs.number(old, "created_at") - 50})
    jobs.create()
    assert lane(jobs.ledger.house(), Stage.ML).oldest_waiting_s == pytest.approx(50, abs=20)
    ref = jobs.fusable()
    since = jobs.redis.zscore(Key.work(Stage.FUSION, Priority.ROUTINE), str(ref))
    assert since == pytest.approx(jobs.number(ref, "gemini.settled_at"))


def test_what_is_held_longest_is_told_beside_what_waits_longest(jobs: Jobs) -> None:
    for _ in range(2):
        jobs.claim(jobs.create(), Stage.ML)
    work = Key.work(Stage.ML, Priority.ROUTINE)
    first = str(jobs.redis.zrange(work, 0, 0)[0])
    jobs.redis.zadd(work, {first: -(jobs.now() - 100)})
    found = lane(jobs.ledger.house(), Stage.ML)
    assert found.oldest_claimed_s == pytest.approx(100, abs=20)
    assert found.oldest_waiting_s is None


def test_a_stage_that_is_given_back_waits_again(jobs: Jobs) -> None:
    claim = jobs.claim(jobs.create(gemini_skipped=SKIPPED), Stage.ML)
    jobs.ledger.put_off(claim)
    found = lane(jobs.ledger.house(), Stage.ML)
    assert (found.waiting, found.claimed) == (1, 0)


def test_what_ended_is_counted_for_a_minute_and_by_how_it_ended(jobs: Jobs) -> None:
    for _ in range(3):
        jobs.complete(jobs.fusable())
    jobs.ledger.cancel(jobs.create())
    house = jobs.ledger.house()
    assert house.ended_last_minute == 4
    assert (house.counters["ended:completed"], house.counters["ended:cancelled"]) == (3, 1)
    assert {(one.waiting, one.claimed) for one in house.lanes} == {(0, 0)}
    window = int(jobs.now() // 10)
    jobs.redis.delete(Key.DRAIN)
    jobs.redis.hset(Key.DRAIN, mapping={str(window - 3): 5, str(window - 8): 100, str(window + 9): 100})
    assert jobs.ledger.house().ended_last_minute == 5
    jobs.ledger.cancel(jobs.create())
    # The first of a window forgets what is older than a minute, or from a time before the clock was set back.
    assert {str(window - 8), str(window + 9)} & set(jobs.redis.hkeys(Key.DRAIN)) == set()


def test_a_result_without_gemini_is_counted_once_by_its_reason(jobs: Jobs) -> None:
    ref = jobs.create()
    jobs.settle(ref, Stage.ML)
    blocked = UnavailableReading(reason=UnavailableReason.BLOCKED, detail="")
    jobs.ledger.settle(jobs.claim(ref, Stage.GEMINI), blocked)
    alone = fused_result(fallback={"reason": "blocked", "detail": ""})
    claim = jobs.claim(ref, Stage.FUSION)
    for _ in range(2):  # a lost reply
        assert jobs.ledger.complete(claim, alone)
    assert jobs.ledger.house().counters["fallback:blocked"] == 1
    assert not [name for name in jobs.ledger.counters() if name.startswith("fallback:n")]


def test_workers_tell_their_slots(jobs: Jobs) -> None:
    jobs.ledger.heartbeat(Stage.ML, "ml@a", 4)
    jobs.ledger.heartbeat(Stage.ML, "ml@b", 2)
    jobs.ledger.heartbeat(Stage.ML, "ml@gone", 8)
    jobs.redis.zadd(Key.workers(Stage.ML), {"ml@gone 8": jobs.now() - 60})
    assert sorted(jobs.ledger.house().workers[Stage.ML]) == [2, 4]
    assert sorted(jobs.ledger.nodes(Stage.ML)) == ["ml@a", "ml@b"]
    assert slots("ml@old-release") == 0


def test_models_and_what_is_left_undone(jobs: Jobs) -> None:
    jobs.ledger.offer_models({"a/1": "{}", "b/2": "{}"}, default="b/2")
    jobs.ledger.note_lost([new_ref()])
    jobs.ledger.reaper_beat()
    house = jobs.ledger.house()
    assert (house.models, house.default_model) == (("a/1", "b/2"), "b/2")
    assert (house.dead_letters, house.counters["lost"], house.reaper_alive) == (1, 1, True)


def test_it_costs_the_same_however_much_there_is(jobs: Jobs) -> None:
    def commands() -> dict[str, int]:
        jobs.redis.config_resetstat()
        jobs.ledger.house()
        found = jobs.redis.info("commandstats")
        return {name: told["calls"] for name, told in found.items() if name != "cmdstat_config|resetstat"}

    jobs.ledger.house()  # connects
    few = commands()
    for _ in range(20):
        jobs.ledger.create(new_ref(), new_job())
    assert commands() == few
    assert not few.keys() & {"cmdstat_keys", "cmdstat_scan", "cmdstat_zrange", "cmdstat_hscan"}
    assert sum(few.values()) < 50
