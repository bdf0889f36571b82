"""The audit trail of a running cluster: sealed by the reaper, checked by the operator's command."""

import os
import subprocess
import sys

from tests.support.cluster import Cluster
from tests.support.images import scan
from tests.support.launch import ROOT
from tests.support.waiting import wait_until


def audit(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mediscan", "audit", *arguments]
    environment = {**os.environ, **cluster.environment()}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_what_happened_to_a_job_is_sealed_while_reapers_die() -> None:
    with Cluster(AUDIT_SEAL_S="0.2") as cluster:
        job_ids = []
        for _ in range(3):
            job_ids.append(cluster.run(scan())["id"])
            cluster.kill("reaper")
            cluster.start("reaper")
        wait_until(
            lambda: audit(cluster, "show").stdout.count("  submitted  ") == 3,
            timeout_s=60,
            what="all is sealed",
        )
        checked = audit(cluster, "verify")
        assert checked.returncode == 0, checked.stdout
        head = checked.stdout.split()[-1]
        wait_until(lambda: f"head {head}" in cluster.logs(), what="the head is logged")
        for job_id in job_ids:
            wait_until(lambda job_id=job_id: "  read  " in audit(cluster, "show", "--job", job_id).stdout)  # type: ignore[misc]
        (cluster.blobs / "_audit" / "0000000001.jsonl").unlink()
        assert audit(cluster, "verify").returncode == 1
