"""The page of a gateway that takes keys: it asks for one, and lets go of it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.integration.gateway.guarded import Guarded
from tests.integration.gateway.process import House
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

    asked.get_by_label("API key").fill(token)
    asked.get_by_role("button").click()
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
