"""`mediscan batch`: a folder of images, results as they come, going on where it was stopped."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fake_gemini.http import page_bytes
from tests.integration.mediscan.shell import environment, run
from tests.support.cluster import Cluster
from tests.support.images import broken_inside, scan
from tests.support.trouble import Mischief, Trouble
from tests.support.waiting import wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images, one that cannot be read, one that is none, and a file that is not asked for."""
    made = tmp_path / "slices"
    (made / "deeper").mkdir(parents=True)
    for number in range(10):
        (made / f"s{number}.PNG").write_bytes(scan(shade=100 + number))
    (made / "broken.png").write_bytes(broken_inside())
    (made / "fake.jpg").write_bytes(b"hello")
    (made / "notes.txt").write_text("nothing to see")
    (made / "deeper/one.png").write_bytes(scan())
    return made


def lines(results: Path) -> dict[str, Any]:
    read = [json.loads(line) for line in results.read_text().splitlines()]
    assert len({line["file"] for line in read}) == len(read)
    return {line["file"]: line for line in read}


def test_every_image_has_a_line(cluster: Cluster, folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "out.jsonl"
    done = run(
        cluster.url, "batch", str(folder), "--results", str(results), "--metadata", "study=A-17", "--json"
    )
    assert done.exit_code == 1
    summary = json.loads(done.stdout)
    assert {name: summary[name] for name in ("completed", "without_result", "refused")} == {
        "completed": 10,
        "without_result": 1,
        "refused": 1,
    }
    found = lines(results)
    assert set(found) == {f"s{number}.PNG" for number in range(10)} | {"broken.png", "fake.jpg"}
    assert found["s3.PNG"]["job"]["result"]["risk"]
    assert found["s3.PNG"]["job"]["metadata"] == {"study": "A-17"}
    assert found["broken.png"]["job"]["error"]["code"] == "image_unreadable"
    assert found["fake.jpg"]["error"]["status"] == 415
    assert "12 of 12 images, 2 without a result" in done.stderr


def test_it_goes_on_where_it_was_stopped(cluster: Cluster, folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "out.jsonl"
    cluster.signal("ml_worker", signal.SIGSTOP)
    try:
        command = [sys.executable, "-m", "mediscan", "batch", str(folder), "-o", str(results)]
        process = subprocess.Popen(command, env=environment(cluster.url), stderr=subprocess.PIPE, text=True)
        # Not an image, so its line needs no worker.
        wait_until(lambda: results.exists() and "fake.jpg" in results.read_text(), timeout_s=30)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    finally:
        cluster.signal("ml_worker", signal.SIGCONT)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "mediscan: stopped"
    with results.open("a") as file:
        file.write('{"file": "s0.PNG", "job": {"id": "job_1"}}\n{"file": "s1.PNG", "jo')
    done = run(cluster.url, "batch", str(folder), "-o", str(results), "--recursive")
    assert "images are in" in done.stderr
    written = results.read_text().splitlines()
    names = [json.loads(line)["file"] for line in written if not line.endswith('"jo')]
    # Left out, because it has a job; read, because its line was cut; read, because it is new.
    assert [names.count(name) for name in ("s0.PNG", "s1.PNG", "deeper/one.png")] == [1, 1, 1]


def test_what_is_hopeless_stops_the_rest(folder: Path, trouble: Trouble, tmp_path: Path) -> None:
    refused = b'{"type":"/p","title":"t","status":401,"detail":"No key.","code":"key_required"}'
    head = b"HTTP/1.1 401 No\r\nContent-Type: application/problem+json\r\nConnection: close\r\n"
    trouble.script = [head + b"Content-Length: %d\r\n\r\n" % len(refused) + refused] * 100
    done = run(trouble.url, "batch", str(folder), "-o", str(tmp_path / "out.jsonl"), "--parallel", "2")
    assert done.exit_code == 4
    assert done.stderr.splitlines()[-1].startswith("mediscan: No key. (key_required) Set MEDISCAN_API_KEY")
    assert len(trouble.requests) <= 4


def test_trouble_on_the_way_costs_time_only(folder: Path, trouble: Trouble, tmp_path: Path) -> None:
    results = tmp_path / "out.jsonl"
    trouble.script = [Mischief.CUT, page_bytes(503, "away"), Mischief.CUT_ANSWER, page_bytes(502, "away")] * 3
    assert run(trouble.url, "batch", str(folder), "-o", str(results)).exit_code == 1
    assert sum("job" in line for line in lines(results).values()) == 11


def test_a_folder_without_images_is_a_mistake(cluster: Cluster, tmp_path: Path) -> None:
    done = run(cluster.url, "batch", str(tmp_path))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no PNG, JPEG or DICOM file" in done.stderr
