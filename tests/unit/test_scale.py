"""docs/scale.md says what the simulation says, and the simulation what is known of queues."""

import random
import statistics
from dataclasses import replace

import pytest

from benchmarks.scale import PAGE, RATES, Clock, Cores, Costs, LedgerServer, in_page, plan, simulate, table

_COSTS = Costs.load()


def test_the_page_holds_the_table_of_the_measured_costs() -> None:
    page = PAGE.read_text()
    assert in_page(page, table(_COSTS)) == page, "python -m benchmarks.scale --write"


@pytest.mark.parametrize("rate", RATES)
def test_nobody_is_planned_busier_than_there_is_room_for(rate: int) -> None:
    house = plan(rate, _COSTS)
    here = rate / house.cells
    assert here * _COSTS.gateway_s <= 0.6 * house.gateway
    assert here * _COSTS.ml_s <= 0.6 * house.ml
    assert here * (_COSTS.fusion_s + _COSTS.reaper_s) <= 0.6 * house.fusion
    assert here * max(_COSTS.ledger_s, _COSTS.broker_s) <= 0.6 + 1e-9


def test_a_house_that_is_too_small_does_not_keep_up() -> None:
    house = plan(100, _COSTS)
    fits = simulate(house, _COSTS, jobs=3000)
    late = simulate(replace(house, rate=house.rate * 4), _COSTS, jobs=3000)
    assert max(fits) * 4 < max(late)


def test_one_core_queues_as_theory_has_it() -> None:
    """M/M/1: the mean time in the system is 1 / (service rate - arrival rate)."""
    clock, draw, took = Clock(), random.Random(3), []
    core, at = Cores(clock, 1, 1.0, draw), 0.0
    for _ in range(40_000):
        at += draw.expovariate(0.5)
        clock.at(at, lambda at=at: core.visit(lambda: took.append(clock.now - at)))  # type: ignore[misc]
    clock.run()
    assert statistics.mean(took) == pytest.approx(2.0, rel=0.1)


def test_a_ledger_waits_for_its_disk_once_for_all_that_came_together() -> None:
    clock, done = Clock(), []
    ledger = LedgerServer(clock, 1e-9, 1.0, random.Random(1))
    for number in range(10):
        clock.at(0.1 * number, lambda: ledger.visit(lambda: done.append(round(clock.now, 3))))
    clock.run()
    # The first alone; the nine that came meanwhile with one write.
    assert done == [1.0] + [2.0] * 9
