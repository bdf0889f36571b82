"""Bodies as the Gemini API sends them.

Sources: ai.google.dev/api/generate-content (GenerateContentResponse, Candidate, PromptFeedback),
ai.google.dev/gemini-api/docs/generate-content/api-errors, and google.rpc.Status for the error envelope.
"""

import json
from typing import Any

from tests.fake_gemini.behaviour import Behaviour

_TYPICAL = {"Positive": 0.9, "Negative": 0.08, "Indeterminate": 0.5}


def answer_text(behaviour: Behaviour) -> str:
    """The JSON that the worker's schema asks the model for."""
    p_positive = behaviour.p_positive
    answer = {
        "findings": ["Rounded hyperintense lesion in the left temporal region."],
        "key_metrics": [{"name": "modality", "value": "MRI"}, {"name": "plane", "value": "axial"}],
        "explanation": behaviour.explanation,
        "classification": behaviour.classification,
        "p_positive": _TYPICAL[behaviour.classification] if p_positive is None else p_positive,
    }
    return json.dumps(answer)


def generated(text: str | None, finish_reason: str = "STOP") -> dict[str, Any]:
    """A response of one candidate; without text its content has no parts."""
    content: dict[str, Any] = {"role": "model"}
    if text is not None:
        content["parts"] = [{"text": text}]
    return _envelope(candidates=[{"content": content, "finishReason": finish_reason, "index": 0}])


def declined(finish_reason: str) -> dict[str, Any]:
    """A candidate that was generated and then withheld."""
    ratings = [{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}]
    return _envelope(candidates=[{"finishReason": finish_reason, "index": 0, "safetyRatings": ratings}])


def prompt_blocked() -> dict[str, Any]:
    """Nothing generated, as the prompt was refused."""
    return _envelope(promptFeedback={"blockReason": "PROHIBITED_CONTENT"})


def no_candidate() -> dict[str, Any]:
    """Nothing at all, without a reason."""
    return _envelope()


def error(code: int, status: str, message: str, *details: dict[str, Any]) -> dict[str, Any]:
    """The error envelope, with google.rpc details."""
    body: dict[str, Any] = {"code": code, "message": message, "status": status}
    if details:
        body["details"] = list(details)
    return {"error": body}


def rate_limited(retry_delay_s: float) -> dict[str, Any]:
    """429 as sent when a quota of requests per minute is used up."""
    violation = {"quotaMetric": "generate_content_requests", "quotaId": "GenerateRequestsPerMinutePerProject"}
    return error(
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
        _detail("QuotaFailure", violations=[violation]),
        _detail("Help", links=[{"description": "Learn more about Gemini API quotas"}]),
        _detail("RetryInfo", retryDelay=f"{retry_delay_s:g}s"),
    )


def bad_key(key: str) -> dict[str, Any]:
    """400 for a key that is none; like the real one it may repeat the key, which must go no further."""
    return error(
        400,
        "INVALID_ARGUMENT",
        "API key not valid. Please pass a valid API key.",
        _detail("ErrorInfo", reason="API_KEY_INVALID", domain="googleapis.com"),
        _detail("DebugInfo", detail=f"Invalid API key: {key}"),
    )


def _detail(rpc_type: str, **fields: Any) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/google.rpc.{rpc_type}", **fields}


def _envelope(**fields: Any) -> dict[str, Any]:
    usage = {"promptTokenCount": 1290, "candidatesTokenCount": 96, "totalTokenCount": 1386}
    return {
        **fields,
        "usageMetadata": usage,
        "modelVersion": "gemini-3.8-flash",
        "responseId": "fake-response",
    }
