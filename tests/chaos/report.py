"""What a run found, as JSON for programs and as text for people, in `var/chaos/`."""

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.chaos.audit import Audit
from tests.chaos.injector import Struck


@dataclass
class Report:
    """One run."""

    seed: int
    jobs_asked: int
    accepted: int
    duration_s: float
    answers: dict[str, int]
    audit: Audit
    timeline: list[Struck]
    #: The ledger's: rescues, republished messages, late readings, fallbacks, dead letters.
    counters: dict[str, int]
    sigterm_s: dict[str, list[float]]
    ended_by_themselves: list[str]
    logs: str = field(repr=False)
    accepted_after_s: list[float] = field(repr=False)

    @property
    def violations(self) -> list[str]:
        """What must not be; empty after a good run."""
        return self.audit.violations

    def as_json(self) -> dict[str, Any]:
        """Everything."""
        found = vars(self) | {
            "audit": vars(self.audit) | {"total_ms": None},
            "accepted_after_s": None,
            "logs": None,
        }
        timeline = [asdict(struck) for struck in self.timeline]
        return found | {"timeline": timeline, "latencies_ms": self.latencies_ms(), "machine": _machine()}

    def latencies_ms(self) -> dict[str, dict[str, float]]:
        """For information only: faults are part of them."""
        accepted_ms = [seconds * 1000 for seconds in self.accepted_after_s]
        return {"submit to 202": _quantiles(accepted_ms), "record to end": _quantiles(self.audit.total_ms)}

    def text(self) -> str:
        """For a person."""
        audit = self.audit
        lines = [
            f"seed          {self.seed}: {self.accepted} jobs accepted in {self.duration_s:.0f} s ({_machine()})",
            f"faults        {len(self.timeline)}, and {len(self.violations)} violations",
            f"ended as      {_counts(audit.states)}",
            f"errors        {_counts(audit.error_codes)}",
            f"fallbacks     {_counts(audit.fallbacks)}",
            f"answers       {_counts(self.answers)}",
            f"in doubt      {audit.in_doubt_that_exist} jobs exist whose 202 never arrived; they ended too",
            f"ledger counts {_counts(self.counters)}",
            f"SIGTERM       {self.sigterm_s}",
            f"by themselves {len(self.ended_by_themselves)} processes ended and were started again",
            *(f"              {line}" for line in self.ended_by_themselves),
            f"blobs         {audit.swept_objects} orphans swept, of {audit.half_written} half-written files",
            f"keys left     ledger {audit.ledger_keys}, broker {audit.broker_keys}",
            f"latency (ms)  {self.latencies_ms()}",
            "timeline (seconds from the start, jobs accepted before)",
            *(_line(struck) for struck in sorted(self.timeline, key=lambda each: each.began_s)),
            *(f"VIOLATION {line}" for line in self.violations),
        ]
        return "\n".join(lines) + "\n"

    def save(self, folder: Path) -> Path:
        """Write both forms, and the services' logs where something is wrong; the path of the text."""
        folder.mkdir(parents=True, exist_ok=True)
        name = f"seed-{self.seed}-jobs-{self.jobs_asked}"
        (folder / f"{name}.json").write_text(json.dumps(self.as_json(), indent=1) + "\n")
        (folder / f"{name}.txt").write_text(self.text())
        if self.violations or self.ended_by_themselves:
            (folder / f"{name}.log").write_text(self.logs)
        return folder / f"{name}.txt"


def _line(struck: Struck) -> str:
    how = "alone" if struck.is_alone else "mixed"
    return (
        f"  {struck.began_s:7.1f} - {struck.ended_s:7.1f} {struck.accepted_before:6d} {how}  "
        f"{struck.fault}{': ' if struck.note else ''}{struck.note}"
    )


def _counts(found: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(found.items())) or "none"


def _quantiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": round(float(p50), 1), "p99": round(float(p99), 1)}


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
