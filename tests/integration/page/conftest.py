"""One real cluster with a fake Gemini, and one real browser, for all tests of a module."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from embedded.phantom import draw_phantom
from tests.fake_gemini import Behaviour, FakeGemini
from tests.support.browser import Visit, chromium, program
from tests.support.bundles import copy_bundle, copy_committed
from tests.support.cluster import Cluster

#: The shipped model under another version: it abstains from drawn pictures, where the default one here decides.
DOUBTING = "9.9.9"

MakeVisit = Callable[..., Visit]


@pytest.fixture(scope="module")
def gemini() -> Iterator[FakeGemini]:
    program()  # nothing is started where there is no browser
    with FakeGemini() as fake:
        yield fake


@pytest.fixture(scope="module")
def cluster(gemini: FakeGemini, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    models = tmp_path_factory.mktemp("models")
    copy_committed(models)
    copy_bundle(models, DOUBTING)
    settings = {
        "GEMINI_ENABLED": "true",
        "GEMINI_API_KEY": "test-key",
        "GEMINI_BASE_URL": gemini.base_url,
        "GEMINI_GRACE_S": "20",
        "GEMINI_TIMEOUT_S": "15",
        "MODELS_DIR": str(models),
    }
    with Cluster(**settings) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Closed with the module: while it is open no other test may run an event loop in this thread.
    with chromium() as running:
        yield running


@pytest.fixture
def make_visit(browser: Browser, cluster: Cluster) -> Iterator[MakeVisit]:
    """Opens tabs. None of them may have complained, or asked another host for anything."""
    visits: list[Visit] = []

    def make(**context: Any) -> Visit:
        visits.append(Visit(browser, cluster.url, **context))
        return visits[-1]

    yield make
    for visit in visits:
        visit.close()
        assert visit.complaints == []
        assert visit.strangers == set()


@pytest.fixture
def visit(make_visit: MakeVisit, gemini: FakeGemini) -> Visit:
    """A tab of a usual size, and a Gemini that agrees."""
    gemini.behave(Behaviour(classification="Positive", p_positive=0.9))
    return make_visit(viewport={"width": 1280, "height": 900})


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_phantom(tmp_path_factory.mktemp("pictures") / "phantom.png")


def settle(page: Page) -> None:
    """Return once the part of the page that was asked for stands there."""
    page.wait_for_load_state("networkidle")
    expect(page.get_by_text("One moment …")).to_have_count(0)
    expect(page.get_by_role("heading", level=1).first).to_be_visible()
