"""Flat JSON objects, and everything that only looks like one."""

import pytest

from services.gateway.metadata import parse_metadata
from shared.errors import BadUploadError


def test_values_come_back_as_sent() -> None:
    text = b'{"s": "\\u00e9\\n", "i": -3, "f": 1.0, "b": true, "n": null, "": ""}'
    found = parse_metadata(text, 32)
    assert repr(found) == repr({"s": "é\n", "i": -3, "f": 1.0, "b": True, "n": None, "": ""})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "not valid JSON"),
        (b"ward 7", "not valid JSON"),
        (b'{"a": 1', "not valid JSON"),
        (b"\xff\xfe{}", "not valid JSON"),
        ("{}".encode("utf-16"), "not valid JSON"),
        (b"[" * 4000, "not valid JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"[1, 2]", "JSON object"),
        (b'"text"', "JSON object"),
        (b"null", "JSON object"),
        (b'{"a": {"b": 1}}', "flat"),
        (b'{"a": [1]}', "flat"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": 9223372036854775808}', "too large"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": "\\ud800"}', "Unicode"),
        (b'{"\\udfff": 1}', "Unicode"),
        (b'{"a": 1, "b": 2, "c": 3}', "at most 2"),
    ],
)
def test_what_is_refused(text: bytes, sentence: str) -> None:
    with pytest.raises(BadUploadError, match=sentence) as refused:
        parse_metadata(text, 2)
    assert (refused.value.status, refused.value.code) == (422, "bad_metadata")


def test_a_refusal_quotes_nothing() -> None:
    with pytest.raises(BadUploadError) as refused:
        parse_metadata(b'{"patient": ["Jane Roe"]}', 32)
    assert "Jane" not in str(refused.value)
    assert "patient" not in str(refused.value)
