"""What the decoding process holds, and what it may still have: the kernel's count and the limit that was set on it."""

import math
import resource
from pathlib import Path


def held_bytes() -> int:
    """Private memory that this process has asked for, which is what RLIMIT_DATA limits."""
    status = Path("/proc/self/status").read_text()
    (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmData:"))
    return int(kib) * 1024


def spare_bytes() -> float:
    """How much more it may have; infinite where nothing limits it."""
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return math.inf if limit == resource.RLIM_INFINITY else limit - held_bytes()
