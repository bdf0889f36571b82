"""The decoding process against files made to hurt it: what it may take, what it says, and that it goes on."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread, Timer

import pytest
from PIL import Image

from shared.errors import ImageError
from shared.image.decode import decode
from shared.image.decoder import Decoder, DecoderLostError, DecodeTimeoutError
from shared.image.settings import DecodeSettings
from tests.support import bombs, dicom_bombs, dicoms, memory
from tests.support.images import encoded, scan
from tests.support.waiting import wait_until
from tests.unit.gateway import images

#: What a bomb may cost a worker at its worst, above the idle process.
BOUND = 300_000_000
MAX_PIXELS = 30_000_000


def make(**limits: int) -> Decoder:
    settings = DecodeSettings(**limits)  # type: ignore[arg-type]  # mypy takes ours for pydantic's own
    return Decoder(settings, max_pixels=MAX_PIXELS, least_side=512)


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    made = make()
    made.start()
    yield made
    made.close()


def pid(decoder: Decoder) -> int:
    assert decoder._child is not None
    return decoder._child._process.pid


def is_running(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


def answer(decoder: Decoder, file: bytes) -> str:
    """The code of the error, or the mode of the pixels."""
    try:
        return decoder.decode(file).pixels.mode
    except ImageError as error:
        return error.code


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "header that lies, upwards": (lambda: bombs.huge_png(20_000), "image_too_many_pixels"),
    "header that lies, downwards": (lambda: bombs.png_that_lies(1000, 20_000), "L"),
    "largest with alpha": (lambda: bombs.full_png(30), "RGB"),
    "largest of 16 bits with alpha": (lambda: bombs.full_png(30, depth=16), "RGB"),
    "largest of 16 bits, grey": (lambda: bombs.full_png(30, colour=0, depth=16), "L"),
    "zTXt": (lambda: bombs.png_with(b"zTXt"), "image_unreadable"),
    "iTXt": (lambda: bombs.png_with(b"iTXt"), "image_unreadable"),
    "iCCP": (lambda: bombs.png_with(b"iCCP"), "image_unreadable"),
    "zTXt, many": (lambda: bombs.png_with(b"zTXt", unpacked=900_000, times=200), "image_unreadable"),
    "palette out of range": (bombs.palette_out_of_range, "RGB"),
    "interlaced, 16 bits": (lambda: bombs.interlaced_16_bit(3000), "L"),
    "second frame header": (bombs.jpeg_with_second_frame, "image_too_many_pixels"),
    "late frame header": (bombs.jpeg_with_late_frame, "image_unreadable"),
    "thousands of scans": (lambda: bombs.jpeg_of_scans(5000), "image_too_many_scans"),
    "as many scans as may be": (lambda: bombs.jpeg_of_scans(150), "L"),
    "largest progressive": (lambda: bombs.progressive(30), "RGB"),
    "largest progressive CMYK": (lambda: bombs.progressive(30, "CMYK"), "RGB"),
    "animated PNG": (images.animated_png, "image_multiframe"),
    "MPO": (images.mpo, "image_multiframe"),
    "DICOM, sequences without end": (lambda: dicom_bombs.deep(5000), "image_unreadable"),
    "DICOM, very many elements": (lambda: dicom_bombs.many_elements(30_000), "L"),
    "DICOM, very many items": (lambda: dicom_bombs.many_items(3000), "L"),
    "DICOM, frames that lie": (lambda: dicom_bombs.frames_that_lie(2_000_000_000), "image_unreadable"),
    "DICOM, sides that lie": (lambda: dicom_bombs.sides_that_lie(dicoms.RLE, 5400), "image_unreadable"),
    "DICOM, a JPEG that lies": (lambda: dicom_bombs.jpeg_that_lies(12_000), "image_unreadable"),
    "DICOM, fragments that lie": (dicom_bombs.fragments_that_lie, "L"),
    "DICOM, largest": (lambda: dicom_bombs.largest(30), "L"),
    "DICOM, black and largest in JPEG-LS": (lambda: dicom_bombs.black(5400, dicoms.JPEG_LS, "uint16"), "L"),
    "DICOM, black and largest in JPEG 2000": (
        lambda: dicom_bombs.black(5400, dicoms.JPEG_2000_LOSSLESS, "uint8"),
        "L",
    ),
    "DICOM, black and large in JPEG": (lambda: dicom_bombs.black(5400, dicoms.JPEG_BASELINE, "uint8"), "L"),
}
#: These take the process with them, which costs the worker nothing: the next one is there.
ENDS: dict[str, tuple[Callable[[], bytes], str]] = {
    "deflated": (lambda: dicom_bombs.deflated(400_000_000), "image_too_large_for_memory"),
    "black, 16 bits, JPEG 2000": (
        lambda: dicom_bombs.black(5400, dicoms.JPEG_2000_LOSSLESS, "uint16"),
        "image_too_large_for_memory",
    ),
    "black, 16 bits, JPEG lossless": (
        lambda: dicom_bombs.black(5000, dicoms.JPEG_LOSSLESS, "uint16"),
        "image_too_large_for_memory",
    ),
    "a JPEG-LS that lies": (lambda: dicom_bombs.sides_that_lie(dicoms.JPEG_LS, 5400), "image_unreadable"),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_dicom_bomb_may_end_the_process_and_nothing_else(decoder: Decoder, name: str) -> None:
    file, expected = ENDS[name]
    assert answer(decoder, file()) == expected
    assert answer(decoder, scan()) == "L"


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_read_or_refused_within_the_bound(decoder: Decoder, name: str) -> None:
    file, expected = BOMBS[name]
    process, idle = pid(decoder), memory.resident(pid(decoder))
    assert answer(decoder, file()) == expected
    assert memory.peak(process) - idle <= BOUND
    assert pid(decoder) == process
    assert answer(decoder, scan()) == "L"


@pytest.mark.parametrize(
    "file", [scan(), encoded(Image.effect_noise((700, 1300), 40).convert("RGB"), "JPEG")]
)
def test_the_pixels_are_those_of_decode(decoder: Decoder, file: bytes) -> None:
    here, there = decode(file, max_pixels=MAX_PIXELS, least_side=512), decoder.decode(file)
    assert (here.width, here.height, here.notes) == (there.width, there.height, there.notes)
    assert (here.pixels.mode, here.pixels.tobytes()) == (there.pixels.mode, there.pixels.tobytes())


def test_frames_come_one_by_one_and_the_header_with_the_first(decoder: Decoder) -> None:
    pictures = list(decoder.frames(dicoms.dicom(dicoms.frames(3)), "all"))
    assert [picture.frame for picture in pictures] == [1, 2, 3]
    assert [picture.dicom is not None for picture in pictures] == [True, False, False]
    there, here = pictures[1], decode(dicoms.dicom(dicoms.frames(3)), max_pixels=MAX_PIXELS, least_side=512)
    assert there.pixels.tobytes() == here.pixels.tobytes()


def test_who_stops_among_the_frames_gets_none_of_them_with_the_next_image(decoder: Decoder) -> None:
    frames = decoder.frames(dicoms.dicom(dicoms.frames(5)), "all")
    next(frames)
    frames.close()
    assert decoder.decode(scan()).frame is None


def test_all_frames_of_a_file_share_one_images_processor_time() -> None:
    brief = make(decode_cpu_s=1, max_frames=40)
    many = dicom_bombs.repeated(dicom_bombs.largest(12), 40)
    with pytest.raises(ImageError) as slow:
        for _ in brief.frames(many, "all", timeout_s=300):
            pass
    assert slow.value.code == "image_too_slow"
    brief.close()


def test_what_needs_more_memory_than_allowed_is_refused_and_given_back(decoder: Decoder) -> None:
    small = make(decode_memory_bytes=48 << 20)
    assert answer(small, bombs.full_png(30)) == "image_too_large_for_memory"
    assert answer(small, scan()) == "L"
    assert memory.resident(pid(small)) <= memory.resident(pid(decoder)) + (16 << 20)


def test_what_needs_more_processor_time_than_allowed_is_refused() -> None:
    brief = make(decode_cpu_s=1)
    assert answer(brief, bombs.png_with_tail(4_000_000)) == "image_too_slow"
    assert answer(brief, scan()) == "L"


def test_processor_time_is_counted_for_each_image_anew() -> None:
    brief = make(decode_cpu_s=1)
    slow = bombs.full_png(12)
    brief.start()
    process = pid(brief)
    while cpu_s(process) < 2:
        assert answer(brief, slow) == "RGB"
    assert pid(brief) == process


def cpu_s(process: int) -> float:
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_crash_of_the_decoding_library_is_the_fault_of_the_file(
    decoder: Decoder, number: signal.Signals
) -> None:
    with pytest.raises(ImageError) as refused:
        decode_while(decoder, lambda process: os.kill(process, number))
    assert refused.value.code == "image_unreadable"
    assert answer(decoder, scan()) == "L"


def test_a_killed_process_is_nobodys_fault_and_replaced(decoder: Decoder) -> None:
    with pytest.raises(DecoderLostError):
        decode_while(decoder, lambda process: os.kill(process, signal.SIGKILL))
    assert answer(decoder, scan()) == "L"


def test_a_process_that_died_between_two_images_is_replaced(decoder: Decoder) -> None:
    os.kill(pid(decoder), signal.SIGKILL)
    with pytest.raises(DecoderLostError):
        decoder.decode(scan())
    assert answer(decoder, scan()) == "L"


@pytest.mark.parametrize(
    ("file", "says"), [(scan(), "does not answer"), (images.noise(2_000_000), "takes nothing")]
)
def test_a_process_that_is_stuck_is_given_up(file: bytes, says: str) -> None:
    stuck = make()
    stuck.start()
    process = pid(stuck)
    os.kill(process, signal.SIGSTOP)
    with pytest.raises(DecodeTimeoutError, match=says):
        stuck.decode(file, timeout_s=0.5)
    assert not is_running(process)
    assert answer(stuck, scan()) == "L"


def test_an_image_whose_turn_never_comes_is_not_decoded_later(decoder: Decoder) -> None:
    os.kill(pid(decoder), signal.SIGSTOP)
    first = Thread(target=answer, args=(decoder, scan()))
    first.start()
    wait_until(decoder._lock.locked, what="the first image is under way")
    with pytest.raises(DecodeTimeoutError, match="Other images"):
        decoder.decode(scan(), timeout_s=0.1)
    os.kill(pid(decoder), signal.SIGCONT)
    first.join()
    assert decoder.decode(encoded(Image.new("RGB", (9, 7)))).pixels.size == (9, 7)


def decode_while(decoder: Decoder, act: Callable[[int], None]) -> None:
    """Decode something slow, and `act` on the process once it is at it."""
    slow = bombs.full_png(30)
    killer = Timer(0.1, act, args=(pid(decoder),))
    killer.start()
    try:
        decoder.decode(slow)
    finally:
        killer.join()


class _TimeLimitError(Exception):
    """As Celery's soft time limit: raised by a signal, anywhere."""


def test_a_time_limit_leaves_no_answer_behind_for_the_next_image(decoder: Decoder) -> None:
    def give_up(*_: object) -> None:
        raise _TimeLimitError

    before = signal.signal(signal.SIGALRM, give_up)
    try:
        os.kill(pid(decoder), signal.SIGSTOP)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(_TimeLimitError):
            decoder.decode(scan())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert decoder.decode(encoded(Image.new("RGB", (9, 7)))).pixels.size == (9, 7)


def test_several_threads_may_ask_at_once(decoder: Decoder) -> None:
    sizes: list[tuple[int, int]] = []
    threads = [
        Thread(target=lambda side=side: sizes.append(decoder.decode(scan(side)).pixels.size))
        for side in range(40, 56)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sizes) == [(side, side) for side in range(40, 56)]


def test_the_process_knows_no_setting_and_no_secret(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDISCAN_GEMINI_API_KEY", "secret")
    other = make()
    other.start()
    assert b"secret" not in Path(f"/proc/{pid(other)}/environ").read_bytes()
    assert b"MEDISCAN" not in Path(f"/proc/{pid(other)}/environ").read_bytes()


def test_a_forgotten_decoder_leaves_no_process() -> None:
    forgotten = make()
    forgotten.start()
    process = pid(forgotten)
    del forgotten
    gc.collect()
    assert not is_running(process)


def test_a_worker_that_dies_leaves_no_process() -> None:
    code = (
        "import os\n"
        "from shared.image.decoder import Decoder\n"
        "from shared.image.settings import DecodeSettings\n"
        "decoder = Decoder(DecodeSettings(), max_pixels=10, least_side=4)\n"
        "decoder.start()\n"
        "print(decoder._child._process.pid, flush=True)\n"
        "os._exit(1)\n"
    )
    root = Path(__file__).parents[3]
    said = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    process = int(said.stdout)
    wait_until(lambda: not is_running(process), what="the decoding process ends")


def test_being_told_to_stop_does_not_stop_it_before_its_worker(decoder: Decoder) -> None:
    process = pid(decoder)
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(process, number)
    assert answer(decoder, scan()) == "L"
    assert pid(decoder) == process
