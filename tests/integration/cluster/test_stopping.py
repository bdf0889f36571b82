"""A worker that is told to stop ends within its lease, whatever holds it up, and says what did."""

import os
import signal

from tests.support.cluster import Cluster
from tests.support.images import scan


def test_a_worker_whose_child_is_stuck_ends_and_says_where_it_was() -> None:
    with Cluster(GEMINI_ENABLED="false") as cluster:
        assert cluster.run(scan(64))["state"] == "completed"
        (child,) = cluster.children("ml_worker")
        os.kill(child, signal.SIGSTOP)
        cluster.stop("ml_worker")
        assert not os.path.exists(f"/proc/{child}")
        said = cluster.log("ml_worker").read_text()
        # The limit on a task ends the child before that, where a message that came twice had just reached it.
        assert (
            "told to stop 6.0 s ago and still here" in said and "in _end" in said
        ) or "a child died" in said
        cluster.start("ml_worker")
        assert cluster.run(scan(64))["state"] == "completed"
