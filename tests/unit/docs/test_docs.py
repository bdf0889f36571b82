"""The documents say what the code does."""

import re
from pathlib import Path

import pytest

from services.gateway.events import EVENT_TYPES
from shared.circuit_state import CIRCUIT_TRANSITIONS
from shared.contracts import CircuitState, UnavailableReason
from shared.job_state import JOB_TRANSITIONS, STAGE_TRANSITIONS, JobState
from tests.support import settings_page

ROOT = Path(__file__).parents[3]
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
GEMINI = (ROOT / "docs/gemini.md").read_text()

#: Pages whose paths and links must exist.
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_settings_page_lists_every_setting() -> None:
    assert (ROOT / "docs/settings.md").read_text() == settings_page.page()


def test_job_diagram_is_the_table_of_transitions() -> None:
    drawn = set(re.findall(r"^ +(\w+) --> (\w+)$", diagram("job"), re.MULTILINE))
    assert drawn == {(state.value, to.value) for state, after in JOB_TRANSITIONS.items() for to in after}


def test_job_diagram_starts_and_ends_where_jobs_do() -> None:
    text = diagram("job")
    assert re.findall(r"\[\*\] --> (\w+)", text) == [JobState.QUEUED]
    ends = {state.value for state, after in JOB_TRANSITIONS.items() if not after}
    assert set(re.findall(r"(\w+) --> \[\*\]", text)) == ends


def test_circuit_diagram_is_the_table_of_transitions() -> None:
    drawn = set(re.findall(r"^ +(\w+) --> (\w+)$", diagram("circuit", GEMINI), re.MULTILINE))
    assert drawn == {(state.value, to.value) for state, after in CIRCUIT_TRANSITIONS.items() for to in after}
    assert re.findall(r"\[\*\] --> (\w+)", diagram("circuit", GEMINI)) == [CircuitState.CLOSED]


def test_every_reason_for_no_second_reading_is_explained() -> None:
    table = GEMINI[GEMINI.index("## Why there is no second reading") :]
    explained = {
        reason for row in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for reason in row.split("`")
    }
    of_ml = {UnavailableReason.MODEL_NOT_INSTALLED, UnavailableReason.MODALITY_MISMATCH}
    assert set(UnavailableReason) - of_ml <= explained


def test_every_event_is_explained() -> None:
    page = (ROOT / "docs/api.md").read_text()
    assert [name for name in EVENT_TYPES if f"`{name}`" not in page] == []


def test_stage_diagram_is_the_table_of_transitions() -> None:
    drawn = set(re.findall(r"^ +(\w+) --> (\w+)$", diagram("stage"), re.MULTILINE))
    assert drawn == {(state.value, to.value) for state, after in STAGE_TRANSITIONS.items() for to in after}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_named_in_the_text_exist(page: Path) -> None:
    named = re.findall(
        r"`((?:services|shared|embedded|tests|docs|requirements)/[\w./-]*\w/?)`", page.read_text()
    )
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_make_targets_named_in_the_text_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"`make ([a-z0-9-]+)", page.read_text())}
    assert named <= targets


def diagram(name: str, page: str = ARCHITECTURE) -> str:
    """The Mermaid state diagram under the heading `name`."""
    found = re.search(rf"<!-- {name} states -->\n```mermaid\nstateDiagram-v2\n(.*?)```", page, re.DOTALL)
    assert found, f"no diagram of {name} states"
    return found.group(1)
