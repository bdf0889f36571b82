"""Names that processes must agree on, and text from outside that must not pass for one."""

import re
import time

import pytest

from shared.names import (
    DEFAULT_TENANT,
    KEYS_FOLDER,
    TASK_OF_STAGE,
    Blob,
    JobRef,
    Key,
    Stage,
    blob_path,
    is_job_id,
    is_tenant,
    job_hour,
    new_job_id,
)

_ID = "job_019a0000000000112233445566778899"

HOSTILE = (
    "",
    "/",
    _ID,
    f"/{_ID}",
    f"default/{_ID}/",
    f"default/{_ID}\n",
    f"default/{_ID} ",
    f"default//{_ID}",
    f"../{_ID}",
    f"default/../{_ID}",
    f"Default/{_ID}",
    f"-default/{_ID}",
    f"de:fault/{_ID}",
    f"de*/{_ID}",
    f"default\x00/{_ID}",
    f"{'a' * 64}/{_ID}",
    f"default/{_ID.upper()}",
    f"default/{_ID[:-1]}",
    f"default/{_ID}0",
    f"default/{_ID[:-1]}g",
    f"default/{_ID[:-1]}\N{ARABIC-INDIC DIGIT ONE}",
    f"default/job_ffffffffffff{'0' * 20}",
)


def test_no_tenant_is_called_like_a_folder_of_the_house() -> None:
    assert not is_tenant(KEYS_FOLDER)
    assert is_tenant(DEFAULT_TENANT)


# --- job ids ----------------------------------------------------------------------------------------------


def test_a_new_job_id_has_the_form_of_one() -> None:
    assert re.fullmatch(r"job_[0-9a-f]{32}", new_job_id())
    assert is_job_id(new_job_id())


def test_a_job_id_begins_with_the_time_it_was_made() -> None:
    before = time.time_ns() // 1_000_000

    made_at = int(new_job_id()[4:16], 16)

    assert before <= made_at <= time.time_ns() // 1_000_000


def test_job_ids_do_not_repeat() -> None:
    assert len({new_job_id() for _ in range(10_000)}) == 10_000


def test_the_hour_of_a_job_id_is_utc() -> None:
    assert job_hour(f"job_{1_767_229_199_999:012x}{'0' * 20}") == "2026010100"


@pytest.mark.parametrize("first", "0123456789abcd")
def test_every_well_formed_job_id_has_an_hour(first: str) -> None:
    latest = f"job_{first}{'f' * 31}"

    assert is_job_id(latest)
    assert len(job_hour(latest)) == 10


@pytest.mark.parametrize("first", "ef")
def test_a_job_id_dated_after_the_end_of_dates_is_malformed(first: str) -> None:
    assert not is_job_id(f"job_{first}{'f' * 31}")


# --- references -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tenant", ["default", "a", "0", "st-mary-2", "a" * 63])
def test_a_reference_is_read_back_from_its_text(tenant: str) -> None:
    ref = JobRef(tenant, new_job_id())

    assert JobRef.parse(str(ref)) == ref


@pytest.mark.parametrize("text", HOSTILE)
def test_a_malformed_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a job reference"):
        JobRef.parse(text)


# --- what is made from them -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blob", "name"), [("IMAGE", "image"), ("PREVIEW", "preview.jpg"), ("RECORD", "json")]
)
def test_a_blob_lies_under_its_tenant_and_hour(blob: str, name: str) -> None:
    assert blob_path(JobRef("default", _ID), Blob[blob]) == f"default/{job_hour(_ID)}/{_ID}.{name}"


def test_keys_of_different_tenants_and_jobs_differ() -> None:
    refs = [JobRef(tenant, job_id) for tenant in ("a", "b") for job_id in (_ID, new_job_id())]

    assert len({Key.job(ref) for ref in refs}) == 4


def test_every_stage_has_a_task_of_its_own() -> None:
    assert set(TASK_OF_STAGE) == set(Stage)
    assert len(set(TASK_OF_STAGE.values())) == len(Stage)


@pytest.mark.parametrize(("stage", "task"), TASK_OF_STAGE.items())
def test_a_task_is_named_after_its_service(stage: Stage, task: str) -> None:
    assert re.fullmatch(rf"mediscan\.{stage}\.[a-z]+", task)
