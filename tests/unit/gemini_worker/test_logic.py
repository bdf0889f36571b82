import hashlib
import json
from typing import Any, get_args

import pytest

from services.gemini_worker.failure import ReadingFailedError
from services.gemini_worker.logic import (
    MAX_EXPLANATION,
    MAX_ITEMS,
    MAX_LINE,
    PROMPT,
    PROMPT_VERSION,
    RESPONSE_SCHEMA,
    Answer,
    Metric,
    cleaned,
    parse_answer,
    reading,
)
from shared.contracts import Label, UnavailableReason


def answer_json(**changes: Any) -> str:
    good = {
        "classification": "Positive",
        "p_positive": 0.8,
        "findings": ["A bright spot."],
        "key_metrics": [{"name": "plane", "value": "axial"}],
        "explanation": "It is bright.",
    }
    return json.dumps(good | changes)


def refused(text: str) -> ReadingFailedError:
    with pytest.raises(ReadingFailedError) as caught:
        parse_answer(text)
    return caught.value


def test_another_prompt_or_schema_needs_another_version() -> None:
    asked = hashlib.sha256((PROMPT + json.dumps(RESPONSE_SCHEMA)).encode()).hexdigest()[:12]
    assert (PROMPT_VERSION, asked) == ("2026-1", "98ca8e4840ef")


def test_the_schema_sent_is_the_schema_checked() -> None:
    assert set(RESPONSE_SCHEMA["properties"]) == set(RESPONSE_SCHEMA["required"]) == set(Answer.model_fields)
    metric = RESPONSE_SCHEMA["properties"]["key_metrics"]["items"]
    assert set(metric["properties"]) == set(metric["required"]) == set(Metric.model_fields)
    labels = get_args(Answer.model_fields["classification"].annotation)
    assert set(RESPONSE_SCHEMA["properties"]["classification"]["enum"]) == set(labels)


def test_the_prompt_states_the_limits_that_are_enforced() -> None:
    assert PROMPT.count(f"at most {MAX_ITEMS}") == 2


def test_a_good_answer_is_read() -> None:
    answer = parse_answer(answer_json())
    assert (answer.classification, answer.p_positive) == ("Positive", 0.8)
    assert answer.findings == ["A bright spot."]
    assert answer.key_metrics == [Metric(name="plane", value="axial")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It looks fine to me.",
        answer_json()[:40],
        "null",
        "[]",
        "{}",
        answer_json(classification="Maybe"),
        answer_json(classification=None),
        answer_json(p_positive=1.01),
        answer_json(p_positive=-0.01),
        answer_json(p_positive=float("nan")),
        answer_json(p_positive="0.8"),
        answer_json(p_positive=True),
        answer_json(findings="A bright spot."),
        answer_json(findings=[1]),
        answer_json(key_metrics={"plane": "axial"}),
        answer_json(key_metrics=[{"name": "plane"}]),
        answer_json(explanation=None),
    ],
)
def test_anything_else_is_an_invalid_response(text: str) -> None:
    assert refused(text).reason is UnavailableReason.INVALID_RESPONSE


@pytest.mark.parametrize(("classification", "p_positive"), [("Positive", 0.49), ("Negative", 0.51)])
def test_an_answer_that_contradicts_itself_is_refused(classification: str, p_positive: float) -> None:
    failure = refused(answer_json(classification=classification, p_positive=p_positive))
    assert failure.reason is UnavailableReason.INVALID_RESPONSE


@pytest.mark.parametrize("classification", ["Positive", "Negative", "Indeterminate"])
def test_on_the_fence_every_classification_stands(classification: str) -> None:
    assert parse_answer(answer_json(classification=classification, p_positive=0.5)).p_positive == 0.5


def test_the_refusal_does_not_repeat_the_answer() -> None:
    failure = refused('{"classification": "Jane Doe"}')
    assert "Jane Doe" not in failure.detail
    assert failure.__suppress_context__


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("  two\n\nlines\t ", "two lines"),
        ("\x1b[31mred\x00\x7f", "[31mred"),
        ("\u202egnp.exe", "gnp.exe"),
        ("zero\u200bwidth", "zero width"),
        ("größer als 3 cm", "größer als 3 cm"),
        ("12345678901", "123456789…"),
    ],
)
def test_text_is_one_printable_line_of_bounded_length(text: str, line: str) -> None:
    assert cleaned(text, 20 if len(text) != 11 else 10) == line


def test_everything_gemini_says_is_cleaned_and_bounded() -> None:
    long = "x\x1b" * 5000
    text = answer_json(
        findings=[long, "\x00"] * 50, key_metrics=[{"name": long, "value": long}] * 50, explanation=long
    )
    answer = parse_answer(text)
    assert len(answer.findings) == len(answer.key_metrics) == MAX_ITEMS
    assert max(map(len, answer.findings)) == MAX_LINE
    assert len(answer.key_metrics[0].name) == len(answer.key_metrics[0].value) == MAX_LINE
    assert len(answer.explanation) == MAX_EXPLANATION
    assert "\x1b" not in answer.model_dump_json()
    assert all(answer.findings)


def test_a_reading_says_who_said_what() -> None:
    answer = parse_answer(answer_json())
    result = reading(answer, model="gemini-x", client="google-genai", timings_ms={"call": 12.5})
    assert (result.label, result.p_positive) == (Label.POSITIVE, 0.8)
    assert (result.model, result.prompt_version, result.client) == (
        "gemini-x",
        PROMPT_VERSION,
        "google-genai",
    )
    assert (result.findings, result.key_metrics) == (("A bright spot.",), {"plane": "axial"})
    assert result.timings_ms == {"call": 12.5}


def test_indeterminate_has_no_label() -> None:
    answer = parse_answer(answer_json(classification="Indeterminate", p_positive=0.3))
    result = reading(answer, model="gemini-x", client="google-genai", timings_ms={})
    assert result.label is None


def test_of_metrics_with_one_name_the_first_counts_and_none_is_nameless() -> None:
    metrics = [("plane", "axial"), ("plane", "sagittal"), ("\x00", "lost")]
    answer = parse_answer(answer_json(key_metrics=[{"name": n, "value": v} for n, v in metrics]))
    result = reading(answer, model="gemini-x", client="google-genai", timings_ms={})
    assert result.key_metrics == {"plane": "axial"}
