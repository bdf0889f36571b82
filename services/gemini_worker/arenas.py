"""Has glibc's malloc give back what an image took, instead of keeping it for the next one.

Left to itself malloc takes even a buffer of megabytes from a thread's arena once it has seen one freed, and an arena
gives back only what lies behind the last thing still in use: what a worker of many threads holds then grows in steps,
for hours, each time small and large things of several readings come to lie side by side. Here large blocks are the
kernel's and go back to it at once, and there are two arenas, not eight for each processor.
"""

import ctypes
from collections.abc import Mapping

#: Of malloc.h: `M_ARENA_MAX`, `M_MMAP_THRESHOLD`, `M_TRIM_THRESHOLD`; setting one of the latter two ends its guessing.
_KNOBS: Mapping[int, int] = {-8: 2, -3: 256 << 10, -1: 1 << 20}


def bound() -> bool:
    """Call before there are threads. False where the C library is another one and has no such knobs."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(knob, value) for knob, value in _KNOBS.items())
