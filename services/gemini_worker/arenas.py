"""Bounds what glibc's malloc keeps of the memory that a worker's many short-lived threads once used.

Each thread that finds the others busy gets an arena of its own, up to eight for each processor, and each arena keeps
room for the largest image that ever went through it: what a worker holds then grows for hours before it stays. Two do.
"""

import ctypes

#: `M_ARENA_MAX` of malloc.h.
_M_ARENA_MAX = -8
_ARENAS = 2


def bound() -> bool:
    """Call before there are threads. False where the C library is another one and has no such knob."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_ARENA_MAX, _ARENAS))
