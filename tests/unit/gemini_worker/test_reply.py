import pytest

from services.gemini_worker.failure import ReadingFailedError
from services.gemini_worker.reply import Reply, text_of
from shared.contracts import UnavailableReason


def test_text_is_passed_on() -> None:
    assert text_of(Reply(block_reason=None, finish_reason="STOP", text="{}")) == "{}"


@pytest.mark.parametrize("finish_reason", [None, "FINISH_REASON_UNSPECIFIED", "OTHER", "A_NEW_ONE"])
def test_text_counts_where_the_finish_reason_says_nothing_against_it(finish_reason: str | None) -> None:
    assert text_of(Reply(block_reason=None, finish_reason=finish_reason, text="{}")) == "{}"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply("PROHIBITED_CONTENT", None, ""), UnavailableReason.BLOCKED),
        (Reply("A_NEW_ONE", None, ""), UnavailableReason.BLOCKED),
        (Reply(None, "SAFETY", ""), UnavailableReason.BLOCKED),
        (Reply(None, "SAFETY", "half an answer"), UnavailableReason.BLOCKED),
        (Reply(None, "RECITATION", ""), UnavailableReason.BLOCKED),
        (Reply(None, "PROHIBITED_CONTENT", ""), UnavailableReason.BLOCKED),
        (Reply(None, None, ""), UnavailableReason.EMPTY_RESPONSE),
        (Reply(None, "STOP", " \n"), UnavailableReason.EMPTY_RESPONSE),
        (Reply(None, "MAX_TOKENS", ""), UnavailableReason.EMPTY_RESPONSE),
        (Reply(None, "MAX_TOKENS", '{"find'), UnavailableReason.INVALID_RESPONSE),
    ],
)
def test_why_there_is_no_answer(reply: Reply, reason: UnavailableReason) -> None:
    with pytest.raises(ReadingFailedError) as caught:
        text_of(reply)
    assert caught.value.reason is reason
