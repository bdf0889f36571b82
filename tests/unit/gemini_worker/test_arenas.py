"""However many threads a worker has, malloc keeps the memory of two, and of no large block at all."""

import platform
import re
import subprocess
import sys

import pytest

_BEGIN = """
import ctypes, sys, threading
from services.gemini_worker import arenas
if sys.argv[1] == "bound":
    assert arenas.bound()
"""
#: Prints what malloc says of itself.
_END = """
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""
#: So many threads each use memory at once.
_THREADS = """
all_there = threading.Barrier(12)
def use():
    all_there.wait()
    for _ in range(200):
        bytearray(3000)
    all_there.wait()
threads = [threading.Thread(target=use) for _ in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
#: Another large block after one that was freed: by itself malloc would now take it from an arena.
_LARGE = """
bytearray(8 << 20)
kept = bytearray(2 << 20)
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library has no such knobs")


def told(what: str, how: str) -> str:
    command = [sys.executable, "-c", _BEGIN + what + _END, how]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("how", "is_bounded"), [("bound", True), ("free", False)])
def test_there_are_two_arenas(how: str, is_bounded: bool) -> None:
    found = told(_THREADS, how).count("<heap nr=")
    assert (found <= 2) == is_bounded, found


@pytest.mark.parametrize(("how", "is_the_kernels"), [("bound", True), ("free", False)])
def test_a_large_block_is_the_kernels(how: str, is_the_kernels: bool) -> None:
    found = re.search(r'<total type="mmap" count="\d+" size="(\d+)"', told(_LARGE, how))
    assert found is not None
    assert (int(found[1]) >= 2 << 20) == is_the_kernels, found[0]
