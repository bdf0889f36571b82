"""A worker that is told to stop ends within its lease, whatever holds it up, and says what did."""

import os
import signal
import time
from pathlib import Path

from tests.support.cluster import Cluster
from tests.support.images import scan
from tests.support.waiting import wait_until

_QUIET_S = 0.5


def is_asleep(pid: int) -> bool:
    """Whether a process waits for somebody's word: asleep, and not awake for a moment in a while."""

    def turns() -> list[str]:
        told = Path(f"/proc/{pid}/status").read_text().splitlines()
        return [line for line in told if line.startswith("State") or "ctxt_switches" in line]

    before = turns()
    time.sleep(_QUIET_S)
    return "sleeping" in before[0] and turns() == before


def test_a_worker_whose_child_is_stuck_ends_and_says_where_it_was() -> None:
    # No message comes twice: one that reaches the child just before it stands still would have it ended by the limit
    # on a task, which is earlier than the lease.
    with Cluster(GEMINI_ENABLED="false", REPUBLISH_AFTER_S="600") as cluster:
        assert cluster.run(scan(64))["state"] == "completed"
        (child,) = cluster.children("ml_worker")
        wait_until(lambda: is_asleep(child), what="the child has told its parent of the job")
        os.kill(child, signal.SIGSTOP)
        cluster.stop("ml_worker")
        assert not os.path.exists(f"/proc/{child}")
        said = cluster.log("ml_worker").read_text()
        assert "told to stop 6.0 s ago and still here" in said
        assert "in _end" in said
        assert "a child died" not in said
        cluster.start("ml_worker")
        assert cluster.run(scan(64))["state"] == "completed"
