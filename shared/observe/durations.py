"""How long each part of a job's path took, from the times in its record. Pure."""

from shared.ledger import JobRecord
from shared.names import Stage


def durations(job: JobRecord) -> dict[str, float]:
    """Seconds by part: `total`, and of each stage `<stage>_queued` and `<stage>`; only what happened.

    A stage that was taken up several times counts from the first time; `claim --> settle` of the last one is in there.
    """
    ml, gemini, fusion = (job.stages[stage] for stage in Stage)
    opened = max(ml.settled_at or job.created_at, gemini.settled_at or job.created_at)
    parts = {
        "total": (job.created_at, job.ended_at),
        "ml_queued": (job.created_at, ml.claimed_at),
        "ml": (ml.claimed_at, ml.settled_at),
        "gemini_queued": (job.created_at, gemini.claimed_at),
        "gemini": (gemini.claimed_at, gemini.settled_at),
        "fusion_queued": (opened, fusion.claimed_at),
        "fusion": (fusion.claimed_at, fusion.settled_at),
    }
    # The server's clock may be set back while a job runs; a duration is never negative.
    return {
        name: max(0.0, end - begin)
        for name, (begin, end) in parts.items()
        if begin is not None and end is not None
    }
