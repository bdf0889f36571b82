"""Decodes in a process of its own, so that no file can take a worker's memory, time or life.

What a file does there ends there: out of memory and out of processor time are ImageErrors, and so is a crash of
the decoding library. The process is started at first use, or by `start`, and again after it died. It keeps little
between images, where a long-lived process keeps what malloc once gave it.
"""

import json
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from PIL import Image

from shared.contracts import FrameWish
from shared.errors import ImageError, MediScanError
from shared.image.decode import OUT_OF_MEMORY
from shared.image.picture import DecodedImage, DicomFacts, Limits
from shared.image.settings import DecodeSettings

_ROOT = Path(__file__).parents[2]

#: The child's whole environment: no setting and no secret. Blocks of pixels come from the kernel and go back to it.
_ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(8 << 20),
    "MALLOC_ARENA_MAX": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
#: Bytes a pixel of the result.
_BYTES = {"L": 1, "RGB": 3}
_STARTUP_S = 20
_SEND_S = 5
#: What the child is told once a picture has been taken out of the shared memory.
_TAKEN = b"taken"
#: Longest wait for a child: some multiple of the processor time it may take, for it may have to share the processor.
_PATIENCE, _PATIENCE_MORE_S = 5, 10
#: What a decoding library's own crash looks like; SIGKILL may have other reasons than the file.
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL})


class DecoderLostError(MediScanError):
    """The decoding process went away, and it need not have been the file's fault: another try may succeed."""

    code = "decoder_lost"
    retryable = True


class DecodeTimeoutError(MediScanError):
    """The decoding process did not come to it, or not back from it, in time: too much else to do, or stuck."""

    code = "decode_timeout"
    retryable = True


class Decoder:
    """Decodes one image at a time; further callers wait. Make it anywhere, use it after any fork."""

    def __init__(self, settings: DecodeSettings, *, max_pixels: int, least_side: int) -> None:
        limits = Limits(max_pixels, least_side, settings.max_frames)
        self._numbers = _Numbers(*limits, settings.decode_memory_bytes, settings.decode_cpu_s)
        self._patience_s = _PATIENCE * settings.decode_cpu_s + _PATIENCE_MORE_S
        self._lock = Lock()
        self._child: _Child | None = None
        self._end: Callable[[], object] | None = None

    def start(self) -> None:
        """Have the process ready before the first image: starting it takes a tenth of a second."""
        with self._lock:
            self._running()

    def decode(
        self, data: bytes, frame: FrameWish = "middle", *, timeout_s: float | None = None
    ) -> DecodedImage:
        """As `shared.image.decode.decode`, with ImageError code `image_too_slow` as well; of frames the one wished for.

        DecodeTimeoutError when it is not done, or not begun, `timeout_s` after the call; DecoderLostError.
        """
        (picture,) = self.frames(data, frame, timeout_s=timeout_s)
        return picture

    def frames(
        self, data: bytes, wish: FrameWish, *, timeout_s: float | None = None
    ) -> Generator[DecodedImage, None, None]:
        """The frames that are wished for, one after the other, within one image's processor time. Errors as `decode`.

        Nobody else's turn comes until the last is taken, or the generator is closed.
        """
        give_up = time.monotonic() + (timeout_s or self._patience_s)
        with self._turn(give_up):
            child = self._running()
            try:
                yield from child.pictures(data, wish, give_up)
            except ImageError as error:
                if child.is_gone or error.code == OUT_OF_MEMORY:  # malloc need not have got all of it back
                    self._drop()
                raise
            except (
                BaseException
            ):  # a time limit or a close too: what it still says would be taken for the next answer
                self._drop()
                raise

    def close(self) -> None:
        """End the process; it may be started again."""
        with self._lock:
            self._drop()

    @contextmanager
    def _turn(self, give_up: float) -> Iterator[None]:
        if not self._lock.acquire(timeout=max(0.0, give_up - time.monotonic())):
            raise DecodeTimeoutError("Other images were decoded all the time.")
        try:
            yield
        finally:
            self._lock.release()

    def _running(self) -> "_Child":
        if self._child is None:
            self._child = _Child(self._numbers)
            # A decoder that is forgotten, or whose process ends, leaves none behind.
            self._end = weakref.finalize(self, self._child.kill)
        return self._child

    def _drop(self) -> None:
        if self._end is not None:
            self._end()
        self._child = self._end = None


class _Numbers(NamedTuple):
    """The child's bounds, as its command line takes them."""

    max_pixels: int
    least_side: int
    max_frames: int
    memory_bytes: int
    cpu_s: int

    @property
    def result_bytes(self) -> int:
        """Of the largest RGB picture that decoding leaves: a square, all but reduced by one more."""
        return 3 * min(self.max_pixels, (2 * self.least_side) ** 2)


class _Child:
    def __init__(self, numbers: "_Numbers") -> None:
        memory = os.memfd_create("pixels")
        try:
            os.ftruncate(memory, numbers.result_bytes)
            self._pixels = mmap.mmap(memory, 0)
            self._process, self._connection = _started(memory, numbers)
        finally:
            os.close(memory)
        self.is_gone = False
        self._receive(time.monotonic() + _STARTUP_S)

    def pictures(self, data: bytes, wish: FrameWish, give_up: float) -> Iterator[DecodedImage]:
        """Each picture, with everything of it taken out of the shared memory."""
        self._send(json.dumps(wish).encode())
        self._send(data)
        while (facts := json.loads(self._receive(give_up))) is not None:
            if "code" in facts:
                raise ImageError(facts["detail"], code=facts["code"])
            made = time.monotonic()
            yield _decoded(facts, self._pixels)
            give_up += time.monotonic() - made  # what is done with the picture is not the decoder's time
            self._send(_TAKEN)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()
        self._pixels.close()

    def _send(self, message: bytes) -> None:
        try:
            self._connection.send_bytes(message)
        except BlockingIOError as error:
            raise DecodeTimeoutError("The decoding process takes nothing.") from error
        except OSError as error:
            raise self._lost() from error

    def _receive(self, give_up: float) -> bytes:
        try:
            if not self._connection.poll(max(0.0, give_up - time.monotonic())):
                raise DecodeTimeoutError("The decoding process does not answer.")
            return self._connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._lost() from error

    def _lost(self) -> MediScanError:
        self.is_gone = True
        status = self._process.wait(_STARTUP_S)
        if -status == signal.SIGXCPU:
            return ImageError("The image takes too long to decode.", code="image_too_slow")
        if -status in _CRASHES:
            return ImageError(
                "The image is damaged in a way that stops the decoder.", code="image_unreadable"
            )
        return DecoderLostError("The decoding process ended unexpectedly.")


def _started(
    memory: int, numbers: "_Numbers"
) -> tuple["subprocess.Popen[bytes]", "Connection[bytes, bytes]"]:
    ours, theirs = socket.socketpair()
    # The child reads at once, unless something has stopped it.
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_S, 0))
    with theirs:
        handles = (theirs.fileno(), memory)
        command = [sys.executable, "-m", "shared.image.child", *map(str, (*handles, *numbers))]
        process = subprocess.Popen(  # noqa: S603 - our own module and numbers
            command, cwd=_ROOT, env=_ENVIRONMENT, stdin=subprocess.DEVNULL, pass_fds=handles
        )
    return process, Connection(ours.detach())


def _decoded(facts: dict[str, Any], pixels: mmap.mmap) -> DecodedImage:
    mode, (width, height) = facts.pop("pixels")
    image = Image.frombytes(mode, (width, height), pixels[: width * height * _BYTES[mode]])
    notes, dicom = tuple(facts.pop("notes")), facts.pop("dicom")
    return DecodedImage(image, notes=notes, dicom=DicomFacts(*dicom) if dicom else None, **facts)
