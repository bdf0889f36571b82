"""What a caller asks for when it asks to wait, and when the answer is there."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from services.gateway import lookup
from services.gateway.logic import etag, is_news
from services.gateway.notices import Notices, Watch
from services.gateway.resources import open_resources
from services.gateway.wait_slots import WaitSlots
from services.gateway.waiting import look_again, preferred_wait_s
from shared.errors import HouseFullError, LedgerUnavailableError, TooManyError
from shared.job_state import TERMINAL, JobState
from shared.job_view import view
from shared.names import Key
from tests.support.samples import new_ref
from tests.unit.gateway.forms import run, settings
from tests.unit.shared.test_job_view import QUEUED, ended


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, None),
        ("wait=30", 30),
        ("WAIT = 30", 30),
        ('wait="30"', 30),
        ("wait=30; foo=bar", 30),
        ("respond-async, wait=100, handling=lenient", 100),
        ("wait=1, wait=2", 1),
        ("wait", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=9999999999", None),
        ("await=30", None),
        ("wait=\u0663", None),
    ],
)
def test_the_preferred_wait(prefer: str | None, seconds: int | None) -> None:
    assert preferred_wait_s(prefer) == seconds


@pytest.mark.parametrize("state", JobState)
def test_what_is_news(state: JobState) -> None:
    is_over = state in TERMINAL
    job = view(ended(state) if is_over else replace(QUEUED, state=state))
    assert is_news(job, None) == is_over
    assert is_news(job, etag(job)) == is_over
    assert is_news(job, "W/" + etag(job)) == is_over
    assert is_news(job, '"another"')


def test_slots_are_given_back_whatever_happens() -> None:
    slots = WaitSlots(most=2, most_of_tenant=1)
    with pytest.raises(ZeroDivisionError), slots.one("a"):
        raise ZeroDivisionError
    with slots.one("a"), slots.one("b"):
        with pytest.raises(TooManyError) as of_tenant, slots.one("a"):
            pass
        assert of_tenant.value.status == 429
        with pytest.raises(HouseFullError) as of_house, slots.one("c"):
            pass
        assert of_house.value.status == 503
    with slots.one("a"):
        pass


def watching() -> Watch:
    watch = Watch(QUEUED.ref)
    watch.known_version = QUEUED.version
    return watch


def test_a_ledger_that_is_away_is_waited_for_until_the_time_is_up(tmp_path: Path) -> None:
    held = open_resources(settings(redis_url=f"unix://{tmp_path}/nobody", blob_url=f"file://{tmp_path}"))
    seen, watch = view(QUEUED), watching()
    look = partial(lookup.look, held, QUEUED.ref)
    later, now = time.monotonic() + 600, time.monotonic()
    try:
        assert run(look_again(held, watch, look, seen, later)) == seen
        assert watch.known_version is None, "or nobody would wake it once the ledger is back"
        with pytest.raises(LedgerUnavailableError):
            run(look_again(held, watch, look, seen, now))
        held.notices.stop()
        assert run(look_again(held, watch, look, seen, now)) == seen
    finally:
        held.close()


def test_who_waits_for_the_end_is_not_woken_by_what_comes_before() -> None:
    async def woken_by(said: str) -> tuple[bool, bool]:
        notices, ref = Notices(settings()), new_ref()
        with notices.watch(ref) as every, notices.watch(ref, for_end=True) as end:
            notices.note(Key.changes(ref), said)
            return await every.woken(0), await end.woken(0)

    assert run(woken_by("running")) == (True, False)
    assert run(woken_by("completed")) == (True, True)
    assert run(woken_by("erased")) == (True, True)
