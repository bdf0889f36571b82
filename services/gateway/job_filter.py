"""Which jobs a list shows: pure, from what a request asks for and one job."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.contracts import JobView, Label, RiskBand
from shared.job_state import JobState

#: A job's id tells when its request began, `created_at` when the ledger recorded it: after the upload, and by another
#: clock. Lists go by the ids and look this much further, in seconds.
_APART_S = 600.0


@dataclass(frozen=True)
class JobFilter:
    """Everything that is given must hold."""

    state: JobState | None = None
    label: Label | None = None
    risk_band: RiskBand | None = None
    needs_review: bool | None = None
    #: Submitted at this time or later, and before that one.
    since: datetime | None = None
    until: datetime | None = None
    #: Which batch they came with; whoever finds the jobs looks to it.
    batch_id: str | None = None

    def admits(self, job: JobView) -> bool:
        """Whether the job belongs into the list. One without a result has no label, no band, and no need of review."""
        return (
            self.state in {None, job.state}
            and self._admits_time(job.created_at)
            and (self.asks_nothing_of_the_result or self._admits_result(job))
        )

    @property
    def asks_nothing_of_the_result(self) -> bool:
        """Whether jobs without a result may be in the list too."""
        return self.label is None and self.risk_band is None and self.needs_review is None

    @property
    def newest_s(self) -> float:
        """No job of the list has an id made later (Unix seconds)."""
        return math.inf if self.until is None else _utc(self.until).timestamp() + _APART_S

    @property
    def oldest_s(self) -> float:
        """No job of the list has an id made earlier (Unix seconds)."""
        return 0.0 if self.since is None else _utc(self.since).timestamp() - _APART_S

    def _admits_time(self, at: datetime) -> bool:
        is_early = self.since is not None and at < _utc(self.since)
        is_late = self.until is not None and at >= _utc(self.until)
        return not (is_early or is_late)

    def _admits_result(self, job: JobView) -> bool:
        result = job.result
        return (
            result is not None
            and self.label in {None, result.label}
            and self.risk_band in {None, result.risk.band}
            and self.needs_review in {None, result.needs_review}
        )


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
