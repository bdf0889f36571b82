"""However many threads a worker has, malloc keeps the memory of two."""

import platform
import subprocess
import sys

import pytest

#: Prints how many arenas malloc has after so many threads each used memory at once.
_THREADS = """
import ctypes, sys, threading
from services.gemini_worker import arenas
if sys.argv[1] == "bound":
    assert arenas.bound()
all_there = threading.Barrier(12)
def use():
    all_there.wait()
    for _ in range(200):
        bytearray(3000)
    all_there.wait()
threads = [threading.Thread(target=use) for _ in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library has no arenas to bound")
@pytest.mark.parametrize(("how", "is_bounded"), [("bound", True), ("free", False)])
def test_there_are_two_arenas(how: str, is_bounded: bool) -> None:
    found = subprocess.run(
        [sys.executable, "-c", _THREADS, how], capture_output=True, text=True, check=True
    ).stdout.count("<heap nr=")
    assert (found <= 2) == is_bounded, found
