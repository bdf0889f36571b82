"""`python -m shared.image.child`: decodes one file after the other for the `Decoder` that started it.

Holds nothing but pixels: no key, no connection, no model. Memory and processor time are the kernel's to limit
(RLIMIT_DATA, RLIMIT_CPU), so they also bind inside a C library. It ends when its worker closes the connection.
"""

import json
import math
import mmap
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection

from shared.errors import ImageError
from shared.image.decode import decode_frames
from shared.image.memory import held_bytes
from shared.image.picture import DecodedImage, Limits


def main(
    handle: int,
    memory: int,
    *,
    max_pixels: int,
    least_side: int,
    max_frames: int,
    memory_bytes: int,
    cpu_s: int,
) -> None:
    """Serve `handle`, a connected socket, until it is closed; pixels go into the shared `memory`, a file.

    What is sent is a wish for frames (JSON), then the file; what is answered is each picture's facts, and `null` behind
    the last. Whoever has taken a picture out of the memory says so, and then the next one is made.
    """
    # The worker ends this one by closing the connection, after what it still holds is done.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _limit_memory(memory_bytes)
    with Connection(handle) as worker, mmap.mmap(memory, 0) as pixels:
        worker.send_bytes(b"ready")
        limits = Limits(max_pixels, least_side, max_frames)
        while (wish := _next(worker)) is not None and (file := _next(worker)) is not None:
            _limit_cpu(cpu_s)
            _answer(worker, decode_frames(file, json.loads(wish), limits), pixels)


def _next(worker: "Connection[bytes, bytes]") -> bytes | None:
    try:
        return worker.recv_bytes()
    except (EOFError, ConnectionError):
        return None


def _answer(worker: "Connection[bytes, bytes]", pictures: Iterator[DecodedImage], pixels: mmap.mmap) -> None:
    try:
        for decoded in pictures:
            content = decoded.pixels.tobytes()
            pixels[: len(content)] = content
            worker.send_bytes(json.dumps(_facts(decoded)).encode())
            if _next(worker) is None:
                return
    except ImageError as error:
        worker.send_bytes(json.dumps({"code": error.code, "detail": error.detail}).encode())
    else:
        worker.send_bytes(b"null")


def _facts(decoded: DecodedImage) -> dict[str, object]:
    pixels = decoded.pixels
    return {**decoded._asdict(), "pixels": (pixels.mode, pixels.size)}


def _limit_memory(extra: int) -> None:
    """Let this process's own memory grow by `extra` bytes and no more: then allocations fail."""
    limit = held_bytes() + extra
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _limit_cpu(seconds: int) -> None:
    """Have the kernel end this process (SIGXCPU) after `seconds` more of processor time, rounded up."""
    limit = math.ceil(time.process_time()) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


if __name__ == "__main__":
    names = ("max_pixels", "least_side", "max_frames", "memory_bytes", "cpu_s")
    try:
        main(int(sys.argv[1]), int(sys.argv[2]), **dict(zip(names, map(int, sys.argv[3:]), strict=True)))
    except Exception as error:
        # Where it happened, not what it says: a library's message may quote the file.
        sys.exit(
            f"decoder: unexpected {type(error).__name__}\n"
            + "".join(traceback.format_tb(error.__traceback__))
        )
