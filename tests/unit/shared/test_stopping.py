"""A worker's end is explained, unless somebody asked for it."""

import logging

import pytest
from celery.signals import worker_shutting_down

from shared.stopping import explained


@pytest.mark.parametrize("error", [SystemExit(3), ValueError("no word of this")])
def test_an_end_by_itself_is_logged_with_its_status(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(type(error)), explained():
        raise error
    (record,) = caplog.records
    assert record.levelno == logging.CRITICAL
    assert record.getMessage().endswith(("status 3", "status ValueError"))


def test_returning_is_an_end_too_and_no_success(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SystemExit) as end, explained():
        pass
    assert end.value.code == 1
    assert "status 0" in caplog.text


def test_celery_giving_up_is_no_success(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SystemExit) as end, explained():
        raise SystemExit(0)
    assert end.value.code == 1
    assert "status 0" in caplog.text


def test_an_end_that_was_asked_for_is_not(caplog: pytest.LogCaptureFixture) -> None:
    def stop() -> None:
        worker_shutting_down.send(sender="ml@host", sig="SIGTERM", how="warm", exitcode=0)
        raise SystemExit(0)

    with pytest.raises(SystemExit), explained():
        stop()
    assert caplog.records == []
