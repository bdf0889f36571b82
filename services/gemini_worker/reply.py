"""What came back with HTTP 200, stripped of the library it came through: text, or why there is none."""

from dataclasses import dataclass

from services.gemini_worker.failure import ReadingFailedError
from shared.contracts import UnavailableReason

#: Finish reasons that mean "will not say". Source: Candidate.FinishReason of the Gemini API reference.
_DECLINED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "ESCALATION",
    }
)


@dataclass(frozen=True)
class Reply:
    """The parts of a GenerateContentResponse that decide whether there is an answer; names as in the API's JSON."""

    #: `promptFeedback.blockReason`: the image or the prompt was refused before anything was generated.
    block_reason: str | None
    #: Of the first candidate; we ask for one.
    finish_reason: str | None
    #: All text parts of the first candidate; empty where there is none.
    text: str


def text_of(reply: Reply) -> str:
    """The answer's text, not blank; ReadingFailedError (BLOCKED, INVALID_RESPONSE, EMPTY_RESPONSE) without one."""
    if reply.block_reason or reply.finish_reason in _DECLINED:
        raise ReadingFailedError(UnavailableReason.BLOCKED, "Gemini declined to read this image.")
    if not reply.text.strip():
        raise ReadingFailedError(UnavailableReason.EMPTY_RESPONSE, "Gemini answered without saying anything.")
    if reply.finish_reason == "MAX_TOKENS":
        raise ReadingFailedError(UnavailableReason.INVALID_RESPONSE, "Gemini's answer was cut off half-way.")
    return reply.text
