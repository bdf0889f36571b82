"""Gemini through `google-generativeai`: past its end of life (2025-11-30), kept selectable for those who pinned it."""

import warnings
from typing import Any

import requests
from urllib3.exceptions import ReadTimeoutError

from services.gemini_worker.failure import ReadingFailedError
from services.gemini_worker.http_failure import from_status
from services.gemini_worker.image import MEDIA_TYPE
from services.gemini_worker.logic import PROMPT, RESPONSE_SCHEMA
from services.gemini_worker.reply import Reply, text_of
from shared.contracts import UnavailableReason

with warnings.catch_warnings():
    # Said once, in our settings' description; whoever chose this client need not read it at each start.
    warnings.filterwarnings("ignore", r"\s*All support for the `google.generativeai` package", FutureWarning)
    # google.api_core counts down to the end of Python 3.11, which is not the user's to change.
    warnings.filterwarnings("ignore", r"You are using a Python version", FutureWarning)
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import TransportError
    from google.generativeai.client import configure
    from google.generativeai.generative_models import GenerativeModel
    from google.generativeai.types.helper_types import RequestOptions
    from google.protobuf.json_format import ParseError  # type: ignore[import-untyped] # ships no types


class GenerativeAiReader:
    """A `SecondReader`; one per process, as this library keeps its key and address in a global."""

    def __init__(self, *, api_key: str, model: str, base_url: str) -> None:
        # REST, as gRPC would not speak to a base URL, and brings threads that do not survive a fork.
        configure(api_key=api_key, transport="rest", client_options={"api_endpoint": base_url})
        self._model = GenerativeModel(
            model,
            generation_config={
                "temperature": 0,
                "response_mime_type": "application/json",
                "response_schema": RESPONSE_SCHEMA,
            },
        )

    def read(self, image: bytes, *, timeout_s: float) -> str:
        """See `SecondReader`."""
        return text_of(_reply(self._ask([{"mime_type": MEDIA_TYPE, "data": image}, PROMPT], timeout_s)))

    def _ask(self, contents: list[Any], timeout_s: float) -> Any:
        # `retry` None: by default a 503 is retried for ten minutes.
        options = RequestOptions(timeout=timeout_s, retry=None)
        try:
            return self._model.generate_content(contents, request_options=options)
        except GoogleAPICallError as error:
            # `from None`, here and below: the cause quotes the server, which is known to echo a refused key.
            raise _refused(error) from None
        except (requests.RequestException, TransportError) as error:
            raise _not_delivered(error) from error
        except (ParseError, UnicodeDecodeError, AttributeError, TypeError):
            # A body that is not JSON, or JSON of another shape: the library looks into it without checking.
            raise ReadingFailedError(
                UnavailableReason.INVALID_RESPONSE, "Gemini's answer could not be understood."
            ) from None


def _refused(error: GoogleAPICallError) -> ReadingFailedError:
    """The library keeps the HTTP response; its own `details` lose their form on the way."""
    response: requests.Response = error.response
    try:
        body = response.json()
    except ValueError:
        body = None
    return from_status(response.status_code, body, response.headers)


def _not_delivered(error: Exception) -> ReadingFailedError:
    """requests calls a time-out in mid-body a ConnectionError around urllib3's ReadTimeoutError."""
    timed_out = isinstance(error, requests.Timeout) or any(
        isinstance(a, ReadTimeoutError) for a in error.args
    )
    if timed_out:
        return ReadingFailedError(UnavailableReason.TIMEOUT, "Gemini did not answer in time.")
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return ReadingFailedError(
            UnavailableReason.INVALID_RESPONSE, "Gemini's answer could not be understood."
        )
    return ReadingFailedError(UnavailableReason.CONNECTION, "The connection to Gemini was refused or cut.")


def _reply(response: Any) -> Reply:
    """Enum members by name; this library spells an unset or unknown one `..._UNSPECIFIED`, or 0."""
    candidate = next(iter(response.candidates), None)
    parts = candidate.content.parts if candidate else ()
    return Reply(
        block_reason=response.prompt_feedback.block_reason.name
        if response.prompt_feedback.block_reason
        else None,
        finish_reason=candidate.finish_reason.name if candidate else None,
        text="".join(part.text for part in parts),
    )
