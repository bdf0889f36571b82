"""Both clients against a real HTTP server that answers, refuses, hangs and lies."""

import io
import json
import logging
import socket
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from services.gemini_worker.budget import read_with_budget
from services.gemini_worker.client import build
from services.gemini_worker.failure import ReadingFailedError
from services.gemini_worker.image import encode_bare
from services.gemini_worker.logic import PROMPT, RESPONSE_SCHEMA, parse_answer
from services.gemini_worker.reader import SecondReader
from services.gemini_worker.settings import GeminiWorkerSettings
from shared.contracts import UnavailableReason
from shared.image.decode import decode
from tests.fake_gemini import Behaviour, FakeGemini, Kind

PATIENT = "Erika Mustermann"
#: What a budget may be overrun by on a busy machine.
SLACK_S = 1.5


def encoded(kind: str = "PNG", **options: Any) -> bytes:
    target = io.BytesIO()
    Image.new("L", (48, 32), 90).save(target, kind, **options)
    return target.getvalue()


IMAGE = encoded()


def with_settings(settings: GeminiWorkerSettings, **changes: Any) -> GeminiWorkerSettings:
    return settings.model_copy(update=changes)


def refused(reader: SecondReader, settings: GeminiWorkerSettings) -> ReadingFailedError:
    """The failure; anything but a ReadingFailedError, or one after the budget, fails the test."""
    started = time.monotonic()
    with pytest.raises(ReadingFailedError) as caught:
        parse_answer(read_with_budget(reader, IMAGE, settings))
    assert time.monotonic() - started < settings.gemini_timeout_s + SLACK_S
    return caught.value


def test_an_answer_comes_back_as_text_of_the_agreed_form(
    fake: FakeGemini, reader: SecondReader, settings: GeminiWorkerSettings
) -> None:
    fake.behave(Behaviour(classification="Negative", p_positive=0.125))
    answer = parse_answer(read_with_budget(reader, IMAGE, settings))
    assert (answer.classification, answer.p_positive) == ("Negative", 0.125)


def test_the_request_is_what_we_mean_to_ask(fake: FakeGemini, reader: SecondReader) -> None:
    reader.read(IMAGE, timeout_s=1)
    (request,) = fake.requests
    assert request.target.startswith("/v1beta/models/gemini-3.8-flash:generateContent")
    assert request.headers["x-goog-api-key"] == "test-key"
    assert "test-key" not in request.target
    assert fake.received_images() == [IMAGE]
    config = json.loads(request.body)["generationConfig"]
    assert (config["temperature"], config["responseMimeType"]) == (0, "application/json")
    schema = config.get("responseJsonSchema") or config["responseSchema"]
    assert set(schema["properties"]) == set(RESPONSE_SCHEMA["properties"])
    assert PROMPT in [part.get("text") for part in json.loads(request.body)["contents"][0]["parts"]]


def test_a_short_time_out_is_not_sent_as_a_deadline_that_google_refuses(
    fake: FakeGemini, reader: SecondReader
) -> None:
    reader.read(IMAGE, timeout_s=0.5)
    assert float(fake.requests[0].headers.get("x-server-timeout", 10)) >= 10


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Kind.HANG, UnavailableReason.TIMEOUT),
        (Kind.TRICKLE, UnavailableReason.TIMEOUT),
        (Kind.CUT, UnavailableReason.CONNECTION),
        (Kind.CUT_MIDWAY, UnavailableReason.CONNECTION),
        (Kind.RATE_LIMITED, UnavailableReason.RATE_LIMITED),
        (Kind.INTERNAL_ERROR, UnavailableReason.SERVER_ERROR),
        (Kind.OVERLOADED, UnavailableReason.SERVER_ERROR),
        (Kind.PROXY_ERROR, UnavailableReason.SERVER_ERROR),
        (Kind.BAD_KEY, UnavailableReason.KEY_REJECTED),
        (Kind.NOT_JSON, UnavailableReason.INVALID_RESPONSE),
        (Kind.NOT_A_RESPONSE, UnavailableReason.INVALID_RESPONSE),
        (Kind.WRONG_SCHEMA, UnavailableReason.INVALID_RESPONSE),
        (Kind.PROSE, UnavailableReason.INVALID_RESPONSE),
        (Kind.TRUNCATED, UnavailableReason.INVALID_RESPONSE),
        (Kind.EMPTY_CANDIDATE, UnavailableReason.EMPTY_RESPONSE),
        (Kind.NO_CANDIDATE, UnavailableReason.EMPTY_RESPONSE),
        (Kind.SAFETY, UnavailableReason.BLOCKED),
        (Kind.RECITATION, UnavailableReason.BLOCKED),
        (Kind.PROMPT_BLOCKED, UnavailableReason.BLOCKED),
    ],
)
def test_whatever_goes_wrong_has_its_reason_within_the_budget(
    fake: FakeGemini,
    reader: SecondReader,
    settings: GeminiWorkerSettings,
    kind: Kind,
    reason: UnavailableReason,
) -> None:
    fake.behave(Behaviour(kind))
    budget_s = 1 if reason is UnavailableReason.TIMEOUT else 10
    assert refused(reader, with_settings(settings, gemini_timeout_s=budget_s)).reason is reason
    assert len(fake.requests) == 1, "the library retried on its own"


def test_every_behaviour_but_the_answer_is_in_the_table_above() -> None:
    (table,) = test_whatever_goes_wrong_has_its_reason_within_the_budget.pytestmark  # type: ignore[attr-defined]
    assert {kind for kind, _ in table.args[1]} == set(Kind) - {Kind.ANSWER}


def test_a_slow_answer_within_the_budget_is_an_answer(
    fake: FakeGemini, reader: SecondReader, settings: GeminiWorkerSettings
) -> None:
    fake.behave(Behaviour(delay_s=0.4))
    assert read_with_budget(reader, IMAGE, settings)


def test_an_answer_after_the_budget_is_a_time_out(
    fake: FakeGemini, reader: SecondReader, settings: GeminiWorkerSettings
) -> None:
    fake.behave(Behaviour(delay_s=3))
    hasty = with_settings(settings, gemini_timeout_s=0.5)
    assert refused(reader, hasty).reason is UnavailableReason.TIMEOUT


def test_one_reader_serves_several_threads(
    fake: FakeGemini, reader: SecondReader, settings: GeminiWorkerSettings
) -> None:
    fake.behave(Behaviour(delay_s=0.2))
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda image: read_with_budget(reader, image, settings), [IMAGE] * 8))
    assert len(texts) == len(fake.requests) == 8


def test_nobody_listening_is_a_connection_failure(settings: GeminiWorkerSettings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refused, and nobody else can take it
        nowhere = with_settings(settings, gemini_base_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert refused(build(nowhere), nowhere).reason is UnavailableReason.CONNECTION


def test_an_overloaded_moment_is_survived(
    fake: FakeGemini, reader: SecondReader, settings: GeminiWorkerSettings
) -> None:
    fake.behave(Behaviour(Kind.OVERLOADED), Behaviour(Kind.CUT), Behaviour())
    patient = with_settings(settings, gemini_attempts=3)
    assert parse_answer(read_with_budget(reader, IMAGE, patient)).classification == "Positive"
    assert len(fake.requests) == 3


def test_the_server_s_wish_to_wait_is_honoured(
    fake: FakeGemini, reader: SecondReader, settings: GeminiWorkerSettings
) -> None:
    fake.behave(Behaviour(Kind.RATE_LIMITED, retry_delay_s=0.75), Behaviour())
    patient = with_settings(settings, gemini_attempts=2)
    read_with_budget(reader, IMAGE, patient)
    first, second = fake.requests
    assert second.received_at - first.received_at >= 0.75


def test_a_wish_beyond_the_budget_is_told_at_once(
    fake: FakeGemini, reader: SecondReader, settings: GeminiWorkerSettings
) -> None:
    fake.behave(Behaviour(Kind.RATE_LIMITED, retry_delay_s=37))
    failure = refused(reader, with_settings(settings, gemini_attempts=3))
    assert (failure.reason, failure.retry_after_s) == (UnavailableReason.RATE_LIMITED, 37)
    assert len(fake.requests) == 1


def test_a_hang_after_a_retry_ends_with_the_budget_of_the_whole(
    fake: FakeGemini, reader: SecondReader, settings: GeminiWorkerSettings
) -> None:
    fake.behave(Behaviour(Kind.OVERLOADED), Behaviour(Kind.TRICKLE))
    failure = refused(reader, with_settings(settings, gemini_attempts=3, gemini_timeout_s=1.5))
    assert failure.reason is UnavailableReason.TIMEOUT


@pytest.mark.parametrize("kind", [Kind.BAD_KEY, Kind.RATE_LIMITED, Kind.NOT_JSON, Kind.HANG, Kind.CUT])
def test_neither_the_key_nor_the_server_s_words_are_repeated(
    fake: FakeGemini,
    reader: SecondReader,
    settings: GeminiWorkerSettings,
    caplog: pytest.LogCaptureFixture,
    kind: Kind,
) -> None:
    caplog.set_level(logging.INFO)
    fake.behave(Behaviour(kind))
    failure = refused(reader, with_settings(settings, gemini_timeout_s=0.5 if kind is Kind.HANG else 10))
    shown = "".join(traceback.format_exception(failure)) + caplog.text
    for secret in ("test-key", "current quota", "guest network"):
        assert secret not in shown


def _hidden_everywhere() -> dict[str, bytes]:
    """Uploads that carry a patient's name in each place a file has for one."""
    name = PATIENT.encode()
    text = PngImagePlugin.PngInfo()
    text.add_text("Patient", PATIENT)
    text.add_itxt("Patient", PATIENT, zip=True)
    exif = Image.Exif()
    exif[0x010E] = PATIENT  # ImageDescription
    exif[0x9286] = PATIENT  # UserComment
    return {
        "PNG text": encoded(pnginfo=text),
        "PNG EXIF": encoded(exif=exif),
        "PNG ICC": encoded(icc_profile=name),
        "PNG trailer": encoded() + name,
        "JPEG EXIF": encoded("JPEG", exif=exif),
        "JPEG comment": encoded("JPEG", comment=name),
        "JPEG ICC": encoded("JPEG", icc_profile=name),
        "JPEG trailer": encoded("JPEG") + name,
    }


@pytest.mark.parametrize(("place", "upload"), _hidden_everywhere().items(), ids=_hidden_everywhere())
def test_no_patient_s_name_leaves_the_house(
    fake: FakeGemini, reader: SecondReader, settings: GeminiWorkerSettings, place: str, upload: bytes
) -> None:
    assert PATIENT.encode() in upload or place in ("PNG text", "PNG ICC")  # those two may be compressed
    pixels = encode_bare(decode(upload, max_pixels=10**6, least_side=64).pixels, max_side_px=64)
    read_with_budget(reader, pixels, settings)
    left = fake.received_bytes()
    assert fake.received_images() == [pixels]
    for word in PATIENT.encode().split():
        assert word not in left


IMPORTS = """
import sys
from services.gemini_worker.client import build
from services.gemini_worker.settings import GeminiWorkerSettings
heavy = {"google.genai", "google.generativeai"}
assert not heavy & set(sys.modules)
build(GeminiWorkerSettings(gemini_api_key="test-key", gemini_client=sys.argv[1]))
print(*(heavy & set(sys.modules)))
"""


def test_only_the_chosen_library_is_imported_and_it_is_quiet(settings: GeminiWorkerSettings) -> None:
    command = [sys.executable, "-W", "default", "-c", IMPORTS, settings.gemini_client]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == settings.gemini_client.replace("-", ".")
    assert done.stderr == ""
