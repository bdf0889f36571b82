"""What time it is by the ledger's server, whose clock all that is stored there goes by."""

import redis


def now(client: "redis.Redis") -> float:
    """In seconds since 1970; redis-py's errors pass through."""
    seconds, micros = client.time()
    return float(seconds + micros / 1e6)
