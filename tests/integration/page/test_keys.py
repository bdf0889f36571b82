"""The page of a gateway that takes keys: it asks for one, lets go of it, and shows an operator what is his."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.integration.gateway.guarded import Guarded
from tests.integration.gateway.process import House
from tests.integration.gateway.test_dead_letters import died
from tests.integration.page.conftest import settle
from tests.support.browser import Visit


@pytest.fixture
def house() -> Iterator[House]:
    with House(auth="keys", key_cache_s=1) as house:
        yield house


@pytest.fixture
def visit(browser: Browser, house: House) -> Iterator[Visit]:
    tab = Visit(browser, house.url)
    yield tab
    tab.close()
    assert tab.complaints == []
    assert tab.strangers == set()


def test_a_key_is_asked_for_kept_in_the_tab_and_forgotten(visit: Visit, house: House) -> None:
    key = Guarded(house).key("ward-7")
    ref, token = Guarded(house).submit(key), key.text
    page = visit.open(f"/jobs/{ref.job_id}")
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("This gateway takes API keys")
    asked.get_by_label("API key").fill("mediscan_nonsense")
    asked.get_by_role("button").click()
    expect(asked.get_by_label("API key")).to_have_value("")

    log_in(page, token)
    expect(page.get_by_text(ref.job_id).first).to_be_visible()
    page.reload()
    expect(page.get_by_text(ref.job_id).first).to_be_visible()

    assert token not in page.url
    assert visit.context.cookies() == []
    assert token not in str(page.evaluate("JSON.stringify(localStorage)"))
    assert token in str(page.evaluate("JSON.stringify(sessionStorage)"))
    page.get_by_role("button", name="Forget key").click()
    settle(page)
    assert page.evaluate("sessionStorage.length") == 0


def test_a_job_that_waits_tells_its_place_in_line(visit: Visit, house: House) -> None:
    guarded = Guarded(house)
    key = guarded.key()
    first, second = guarded.submit(key), guarded.submit(key)
    page = visit.open(f"/jobs/{second.job_id}")
    log_in(page, key.text)
    expect(page.get_by_role("region", name="Answer")).to_contain_text("Place 2 in line")
    house.ledger.cancel(first)
    expect(page.get_by_role("region", name="Answer")).to_contain_text("Place 1 in line")


def test_an_operator_sees_the_house_and_replays_a_dead_letter(visit: Visit, house: House) -> None:
    guarded = Guarded(house)
    key = guarded.key("ward-7")
    ref = died(guarded, key)
    page = visit.open("/operate")
    log_in(page, key.text)
    expect(page.get_by_role("region", name="Overview")).to_contain_text("Dead letters1")
    expect(page.get_by_role("region", name="Table of queues")).to_contain_text("none")
    dead = page.get_by_role("region", name="Dead letters")
    expect(dead).to_contain_text("ml_gave_up")
    dead.get_by_role("button", name=f"Replay {ref.job_id}").click()
    expect(dead).to_contain_text("Read again as job_")
    expect(page.get_by_role("region", name="Overview")).to_contain_text("Dead letters0")


def test_who_is_no_operator_is_told_so(visit: Visit, house: House) -> None:
    page = visit.open("/operate")
    log_in(page, Guarded(house).key(scopes=("submit", "read")).text)
    expect(page.get_by_role("alert")).to_contain_text("This key does not have the scope `admin`.")
    expect(page.get_by_role("region", name="Dead letters")).to_have_count(0)


def log_in(page: Page, token: str) -> None:
    """Answer the question for a key."""
    page.get_by_role("dialog").get_by_label("API key").fill(token)
    page.get_by_role("button", name="Use this key").click()
