"""The command line against the real cluster."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_gemini.http import head_bytes
from tests.integration.mediscan.shell import environment, on_terminal, run, spawn
from tests.support.cluster import Cluster
from tests.support.dicoms import dicom, frames
from tests.support.images import broken_inside, scan
from tests.support.trouble import Trouble

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def image(tmp_path: Path) -> str:
    path = tmp_path / "scan.png"
    path.write_bytes(scan())
    return str(path)


@pytest.fixture
def job_id(cluster: Cluster) -> str:
    return str(cluster.run(scan(), metadata='{"ward": 7}')["id"])


def test_submit_prints_a_job_and_does_not_wait(cluster: Cluster, image: str) -> None:
    done = run(cluster.url, "submit", image, "--metadata", "ward=7", "--priority", "stat")
    assert (done.exit_code, done.stderr) == (0, "")
    job = cluster.job(done.stdout.split()[0])
    assert (job["metadata"], job["priority"]) == ({"ward": 7}, "stat")


def test_submit_and_wait(cluster: Cluster, image: str) -> None:
    done = run(cluster.url, "submit", "--wait", "--json", image, image)
    assert done.exit_code == 0
    jobs = [json.loads(line) for line in done.stdout.splitlines()]
    assert [job["state"] for job in jobs] == ["completed", "completed"]
    assert "100%" in done.stderr


def test_the_frames_of_a_dicom_file_and_the_writing_in_it(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "several.dcm"
    file.write_bytes(dicom(frames(3)))
    done = run(cluster.url, "submit", "--wait", "--json", "--frame", "all", "--burned-in-text", str(file))
    assert done.exit_code == 0, done.stderr
    job = json.loads(done.stdout)
    assert job["image"]["dicom"]["frame"] == "all"
    assert len(job["readings"]["ml"]["frames"]) == 3
    one = json.loads(run(cluster.url, "submit", "--wait", "--json", "--frame", "2", str(file)).stdout)
    assert one["readings"]["ml"]["frame"] == 2


def test_an_image_from_standard_input(cluster: Cluster) -> None:
    done = run(cluster.url, "submit", "-", stdin=scan())
    assert done.exit_code == 0
    assert cluster.job(done.stdout.split()[0])["image"]["size_bytes"] == len(scan())


def test_the_worst_of_several_is_the_status(cluster: Cluster, image: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(broken_inside())
    done = run(cluster.url, "submit", "--wait", image, str(broken))
    assert done.exit_code == 1
    good, bad = done.stdout.splitlines()
    assert "completed" in good
    assert "image_unreadable" in bad


def test_status_result_and_models(cluster: Cluster, job_id: str, tmp_path: Path) -> None:
    assert run(cluster.url, "status", job_id).stdout.split()[:2] == [job_id, "completed"]
    heatmap = tmp_path / "heat.png"
    done = run(cluster.url, "result", job_id, "--save", str(heatmap))
    assert done.exit_code == 0
    for part in (
        "Risk",
        "[#",
        "Needs review",
        "ML reading",
        "Gemini reading",
        "doubt",
        "ward: 7",
        "Not a diagnosis",
    ):
        assert part in done.stdout
    assert heatmap.read_bytes().startswith(b"\x89PNG")
    bundle = tmp_path / "result.json"
    assert run(cluster.url, "result", job_id, "--fhir", str(bundle)).exit_code == 0
    assert json.loads(bundle.read_text())["resourceType"] == "Bundle"
    as_json = run(cluster.url, "result", job_id, "--json")
    assert json.loads(as_json.stdout) == cluster.job(job_id)
    assert "(default)" in run(cluster.url, "models").stdout
    (model,) = [json.loads(line) for line in run(cluster.url, "models", "--json").stdout.splitlines()]
    assert model["is_default"]


def test_watch_ends_with_the_job(cluster: Cluster, image: str) -> None:
    job_id = run(cluster.url, "submit", image).stdout.split()[0]
    done = run(cluster.url, "watch", job_id)
    assert done.exit_code == 0
    assert done.stdout.startswith(f"{job_id}  completed")


def test_watch_shows_events_as_they_come(cluster: Cluster, trouble: Trouble, job_id: str) -> None:
    stream = (
        b'id: 1\nevent: queued\ndata: {"position": 3}\n\n'
        b'id: 2\nevent: ml.done\ndata: {"label": "Positive", "p_positive": 0.87}\n\n'
        b'id: 3\nevent: completed\ndata: {"state": "completed"}\n\n'
    )
    answer = head_bytes(200, len(stream), "text/event-stream") + stream
    trouble.script = [answer]
    lines = run(trouble.url, "watch", job_id).stderr.splitlines()
    assert [line.split()[1] for line in lines] == ["queued", "ml.done", "completed"]
    assert "position=3" in lines[0]
    trouble.script = [answer]
    events = [json.loads(line) for line in run(trouble.url, "watch", job_id, "--json").stdout.splitlines()]
    assert [event["event"] for event in events] == ["queued", "ml.done", "completed"]


def test_watch_falls_back_to_asking(cluster: Cluster, trouble: Trouble, job_id: str) -> None:
    trouble.script = [head_bytes(404, 0)]
    done = run(trouble.url, "watch", job_id)
    assert (done.exit_code, done.stdout.split()[1]) == (0, "completed")
    assert [request.target.partition("?")[0] for request in trouble.requests] == [
        f"/v1/jobs/{job_id}/events",
        f"/v1/jobs/{job_id}",
    ]


def test_what_is_not_over_in_time(cluster: Cluster, image: str) -> None:
    cluster.signal("ml_worker", signal.SIGSTOP)
    try:
        late = run(cluster.url, "submit", "--wait", "--timeout", "1s", image)
        job_id = run(cluster.url, "submit", image).stdout.split()[0]
        unwaited = run(cluster.url, "result", "--no-wait", job_id)
        called_off = run(cluster.url, "cancel", job_id)
    finally:
        cluster.signal("ml_worker", signal.SIGCONT)
    assert (late.exit_code, unwaited.exit_code) == (5, 5)
    assert "still to come" in unwaited.stdout
    assert (called_off.exit_code, called_off.stdout.split()[1]) == (0, "cancelled")
    assert run(cluster.url, "result", job_id).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["submit", "nothing.png"], 2, "nothing.png"),
        (["submit", "a", "b", "--client-id", "x"], 2, "one file"),
        (["submit", "-", "--metadata", "oops"], 2, "name=value"),
        (["submit", "-", "--frame", "0"], 2, "a number from 1"),
        (["submit", "-", "--frame", "last"], 2, "a number from 1"),
        (["delete", "job_1"], 2, "--yes"),
        (["status", "job_1"], 4, "(malformed_job_id)"),
        (["submit", "-"], 4, "("),
    ],
)
def test_mistakes_are_named(cluster: Cluster, arguments: list[str], status: int, said: str) -> None:
    done = run(cluster.url, *arguments, stdin=b"no image")
    assert (done.exit_code, done.stdout) == (status, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_nobody_there_is_one_line(tmp_path: Path) -> None:
    done = spawn(NOWHERE, "--retry-for", "0.2", "models", folder=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("\n") == 1
    assert "MEDISCAN_URL" in done.stderr


def test_a_script_gets_plain_lines(cluster: Cluster, image: str, tmp_path: Path) -> None:
    done = spawn(cluster.url, "submit", "--wait", image, folder=tmp_path)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr
    assert done.stdout.count("\n") == 1
    assert done.stderr.splitlines()[-1] == f"100%  {image}: completed"


def test_a_person_gets_a_bar_and_colours(cluster: Cluster, image: str, job_id: str, tmp_path: Path) -> None:
    status, seen = on_terminal(cluster.url, "submit", "--wait", image, folder=tmp_path)
    assert status == 0
    assert "━" in seen
    # The bar is gone at the end; what stays is the answer.
    assert "completed" in seen.rsplit("\x1b[2K", 1)[1]
    status, seen = on_terminal(cluster.url, "result", job_id, folder=tmp_path)
    assert "[\x1b[3" in seen


def test_delete_asks_a_person(cluster: Cluster, job_id: str, tmp_path: Path) -> None:
    # Nobody answers: the terminal's input ends.
    command = ["delete", job_id]
    assert spawn(cluster.url, *command, folder=tmp_path).returncode == 2
    assert cluster.job(job_id)["id"] == job_id


def test_completion_is_offered(tmp_path: Path) -> None:
    # Which shell it is for is found out by the shell that it is called from.
    command = f"'{sys.executable}' -m mediscan --show-completion; true"
    done = subprocess.run(
        ["bash", "-c", command],
        env=environment(NOWHERE),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "complete -o default -F" in done.stdout
