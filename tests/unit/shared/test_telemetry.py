"""A log line is one JSON object with known fields and nothing that a caller attached by mistake."""

import contextvars
import json
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from shared.names import JobRef, new_job_id
from shared.settings import Settings
from shared.telemetry import FIELDS, about, configure, note


@pytest.fixture(autouse=True)
def _own_root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, sys.excepthook
    yield
    sys.excepthook = hook
    root.handlers[:] = handlers
    root.setLevel(level)


def logged(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one line on standard error."""
    [line] = capsys.readouterr().err.splitlines()
    parsed = json.loads(line)
    assert isinstance(parsed, dict)
    return parsed


def test_a_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(log_format="json"), "fusion")

    logging.getLogger("a.b").warning("gave up on %s", "two\nlines")

    line = logged(capsys)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "service": "fusion",
        "logger": "a.b",
        "message": "gave up on two\nlines",
    }


@pytest.mark.parametrize("field", FIELDS)
def test_a_known_field_is_attached(capsys: pytest.CaptureFixture[str], field: str) -> None:
    configure(Settings(log_format="json"), "fusion")

    logging.getLogger().warning("x", extra={field: 7})

    assert logged(capsys)[field] == 7


@pytest.mark.parametrize("log_format", ["json", "text"])
@pytest.mark.parametrize("field", ["metadata", "patient", "filename_given", "password"])
def test_an_unknown_field_is_dropped(capsys: pytest.CaptureFixture[str], log_format: str, field: str) -> None:
    configure(Settings(log_format=log_format), "fusion")

    logging.getLogger().warning("x", extra={field: "Jane Doe"})

    assert "Jane Doe" not in capsys.readouterr().err


def test_an_exception_stays_on_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(log_format="json"), "fusion")

    try:
        int("broke")
    except ValueError:
        logging.getLogger().exception("failed")

    assert logged(capsys)["exception"].endswith("'broke'")


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(log_level="WARNING", log_format="json"), "fusion")

    logging.getLogger().info("x")

    assert capsys.readouterr().err == ""


def test_configuring_again_does_not_repeat_lines(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        configure(Settings(log_format="json"), "fusion")

    logging.getLogger().warning("x")

    assert logged(capsys)["message"] == "x"


def test_auto_is_json_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(), "fusion")

    logging.getLogger().warning("x")

    assert logged(capsys)["message"] == "x"


def test_auto_is_text_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    configure(Settings(), "fusion")

    logging.getLogger().warning("gave up", extra={"job": "default/job_1"})

    assert capsys.readouterr().err.endswith(" fusion WARNING gave up job=default/job_1\n")


@pytest.mark.parametrize("form", ["json", "text"])
def test_secrets_are_struck_out_whoever_logs_them(capsys: pytest.CaptureFixture[str], form: str) -> None:
    configure(Settings(log_format=form, redis_url='redis://u:pass"w%C3%B6rd@host/0'), "fusion")
    error = ValueError('cannot reach redis://u:pass"wörd@host')
    logging.getLogger("library").error("lost %s", 'redis://u:pass"w%C3%B6rd@host/0', exc_info=error)
    said = capsys.readouterr().err
    assert said.count("***") == 2
    assert "pass" not in said


def test_an_uncaught_error_is_a_log_line_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(log_format="json", redis_url="redis://u:hunter2@host/0"), "fusion")
    sys.excepthook(ValueError, ValueError("hunter2 is refused"), None)
    line = logged(capsys)
    assert line["level"] == "critical"
    assert "*** is refused" in line["exception"]


def test_what_a_line_is_about_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(log_format="json"), "fusion")
    ref = JobRef("ward-7", new_job_id())

    with about(job=ref, stage="ml"), about(attempt=2):
        logging.getLogger("library").warning("x")

    line = logged(capsys)
    assert (line["tenant"], line["job"], line["stage"], line["attempt"]) == (*ref, "ml", 2)
    logging.getLogger().warning("y")
    assert not {"job", "tenant", "stage", "attempt"} & set(logged(capsys))


def test_threads_do_not_mix_up_what_they_are_about(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(log_format="json"), "fusion")
    begun, may_end = threading.Event(), threading.Event()

    def other() -> None:
        with about(job=JobRef("other", new_job_id())):
            begun.set()
            may_end.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    begun.wait(10)
    logging.getLogger().warning("x")
    may_end.set()
    thread.join()
    assert "job" not in logged(capsys)


def test_what_is_noted_holds_for_the_rest_of_the_task(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(log_format="json"), "gateway")

    def request() -> None:
        note(key="k1")
        logging.getLogger().warning("x")

    contextvars.copy_context().run(request)
    assert logged(capsys)["key"] == "k1"
    logging.getLogger().warning("y")
    assert "key" not in logged(capsys)
