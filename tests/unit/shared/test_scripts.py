"""The scripts hold the very tables and knobs that Python tests: there is no second copy that could drift."""

import re
from importlib.resources import files

import pytest

from shared.job_state import JOB_TRANSITIONS, SETTLED, STAGE_TRANSITIONS, TERMINAL
from shared.ledger import scripts
from shared.ledger.ledger import _SCRIPTS
from shared.settings import Settings

Parsed = dict[str, set[str]]


def line_of(name: str, script: str) -> str:
    """What is assigned to a generated local."""
    found = re.search(rf"^local {name} = \{{(.*)\}}$", script, re.MULTILINE)
    assert found is not None
    return found.group(1)


def lua_set(text: str) -> set[str]:
    return set(re.findall(r"(\w+) = true", text))


def lua_table(text: str) -> Parsed:
    return {state: lua_set(after) for state, after in re.findall(r"(\w+) = \{([^}]*)\}", text)}


@pytest.mark.parametrize("name", _SCRIPTS)
def test_the_job_table_in_lua_is_the_one_in_python(name: str) -> None:
    script = scripts.build(name, Settings())

    assert lua_table(line_of("JOB", script)) == JOB_TRANSITIONS


@pytest.mark.parametrize("name", _SCRIPTS)
def test_the_stage_table_in_lua_is_the_one_in_python(name: str) -> None:
    script = scripts.build(name, Settings())

    assert lua_table(line_of("STAGE", script)) == STAGE_TRANSITIONS


@pytest.mark.parametrize(("name", "members"), [("TERMINAL", TERMINAL), ("SETTLED", SETTLED)])
def test_the_sets_in_lua_are_those_in_python(name: str, members: frozenset[str]) -> None:
    assert lua_set(line_of(name, scripts.build("reap", Settings()))) == members


def test_every_knob_a_script_reads_is_given() -> None:
    given = set(re.findall(r"(\w+) = ", line_of("KNOB", scripts.build("reap", Settings()))))
    lua = "".join(file.read_text() for file in files("shared.ledger").joinpath("lua").iterdir())

    assert set(re.findall(r"KNOB\.(\w+)", lua)) <= given
    assert {f"{stage}_lease_s" for stage in ("ml", "gemini", "fusion")} <= given


def test_a_knob_has_the_value_of_the_setting() -> None:
    script = scripts.build("create", Settings(gemini_grace_s=1.25))

    assert "gemini_grace_s = 1.25," in line_of("KNOB", script)


def test_every_lua_file_is_registered() -> None:
    names = {file.name.removesuffix(".lua") for file in files("shared.ledger").joinpath("lua").iterdir()}

    assert names == {*_SCRIPTS, "prelude", "limits"}
