"""Where a waiting job stands in the line for its ML reading, at the cost of two counts in sorted sets, O(log n) each.

Open work is in a sorted set a priority, by the time it waits since (`lua/prelude.lua`). Workers take routine jobs in
that order, once no `stat` job waits.
"""

import redis

from shared.contracts import QueuePosition
from shared.ledger.house import last_minute
from shared.ledger.record import JobRecord
from shared.names import Key, Priority, Stage


def position(client: "redis.Redis", job: JobRecord) -> QueuePosition:
    """Of a job that waits; redis-py's errors pass through."""
    with client.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.hgetall(Key.DRAIN)
        pipe.zcount(Key.work(Stage.ML, job.priority), 0, f"({job.created_at:.6f}")
        if job.priority is not Priority.STAT:
            pipe.zcount(Key.work(Stage.ML, Priority.STAT), 0, "+inf")
        (seconds, micros), drain, *ahead = pipe.execute()
    place = 1 + sum(ahead)
    ended = last_minute(seconds + micros / 1e6, drain)
    return QueuePosition(position=place, estimated_wait_s=round(60 * place / ended, 1) if ended else None)
