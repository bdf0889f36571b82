"""What the fake can be told to do with the next request."""

from enum import StrEnum
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass


class Kind(StrEnum):
    """The good answer, and everything that may come instead of it."""

    #: `classification` and `p_positive`, in the schema the worker asks for.
    ANSWER = "answer"
    #: Takes the request and says nothing, until the client gives up.
    HANG = "hang"
    #: Sends a byte of the body every `interval_s`, for ever.
    TRICKLE = "trickle"
    #: Closes the connection without a word.
    CUT = "cut"
    #: Closes the connection in the middle of the body.
    CUT_MIDWAY = "cut_midway"
    #: 429 RESOURCE_EXHAUSTED with a RetryInfo of `retry_delay_s`.
    RATE_LIMITED = "rate_limited"
    #: 500 INTERNAL.
    INTERNAL_ERROR = "internal_error"
    #: 503 UNAVAILABLE.
    OVERLOADED = "overloaded"
    #: 502 with a page of HTML, as a proxy in between would send.
    PROXY_ERROR = "proxy_error"
    #: 400 API_KEY_INVALID, whatever the key.
    BAD_KEY = "bad_key"
    #: 200 with a body that is not JSON.
    NOT_JSON = "not_json"
    #: 200 with JSON that is not a GenerateContentResponse.
    NOT_A_RESPONSE = "not_a_response"
    #: A good envelope around JSON of another schema.
    WRONG_SCHEMA = "wrong_schema"
    #: A good envelope around prose.
    PROSE = "prose"
    #: A candidate without parts.
    EMPTY_CANDIDATE = "empty_candidate"
    #: No candidate at all.
    NO_CANDIDATE = "no_candidate"
    #: finishReason SAFETY.
    SAFETY = "safety"
    #: finishReason RECITATION.
    RECITATION = "recitation"
    #: promptFeedback.blockReason PROHIBITED_CONTENT and no candidate.
    PROMPT_BLOCKED = "prompt_blocked"
    #: finishReason MAX_TOKENS with half of the JSON.
    TRUNCATED = "truncated"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Behaviour:
    """One thing to do, with its particulars; JSON of the same names on the control endpoint."""

    kind: Kind = Kind.ANSWER
    #: Wait this long before doing it.
    delay_s: float = 0
    classification: Literal["Positive", "Negative", "Indeterminate"] = "Positive"
    #: None: what fits the classification.
    p_positive: float | None = None
    explanation: str = "A bright, well-defined lesion stands out against its surroundings."
    retry_delay_s: float = 1
    interval_s: float = 0.05
