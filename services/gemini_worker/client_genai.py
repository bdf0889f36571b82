"""Gemini through `google-genai`, Google's current library: the default client."""

import math

import httpx2
from google import genai
from google.genai import errors, types

from services.gemini_worker.failure import ReadingFailedError
from services.gemini_worker.http_failure import from_status
from services.gemini_worker.image import MEDIA_TYPE
from services.gemini_worker.logic import PROMPT, RESPONSE_SCHEMA
from services.gemini_worker.reply import Reply, text_of
from shared.contracts import UnavailableReason

#: Below this the API answers 400 "Manually set deadline 5s is too short. Minimum allowed deadline is 10s."
#: (github.com/livekit/agents/issues/3723), and the library sends its own time-out as that deadline.
_SHORTEST_SERVER_DEADLINE_S = 10


class GenAiReader:
    """A `SecondReader`; may be used from several threads at once."""

    def __init__(self, *, api_key: str, model: str, base_url: str) -> None:
        self._model = model
        options = types.HttpOptions(
            base_url=base_url,
            api_version="v1beta",
            # Ours rather than the library's: the same exceptions whatever GOOGLE_GENAI_HTTP_CLIENT says, and no
            # redirect that would carry the image elsewhere.
            httpx_client=httpx2.Client(follow_redirects=False),
        )
        # `vertexai=False`, or GOOGLE_GENAI_USE_VERTEXAI in the environment would send images to another service.
        self._client = genai.Client(api_key=api_key, vertexai=False, http_options=options)

    def read(self, image: bytes, *, timeout_s: float) -> str:
        """See `SecondReader`."""
        pixels = types.Part.from_bytes(data=image, mime_type=MEDIA_TYPE)
        question = types.Content(role="user", parts=[pixels, types.Part.from_text(text=PROMPT)])
        return text_of(_reply(self._ask(question, _config(timeout_s))))

    def _ask(
        self, contents: types.Content, config: types.GenerateContentConfig
    ) -> types.GenerateContentResponse:
        try:
            return self._client.models.generate_content(model=self._model, contents=contents, config=config)
        except errors.APIError as error:
            # `from None`: the cause quotes the server, which is known to echo a refused key.
            raise from_status(error.code, error.details, _headers(error)) from None
        except httpx2.TimeoutException as error:
            raise ReadingFailedError(UnavailableReason.TIMEOUT, "Gemini did not answer in time.") from error
        except httpx2.TransportError as error:
            raise ReadingFailedError(
                UnavailableReason.CONNECTION, "The connection to Gemini was refused or cut."
            ) from error
        except (httpx2.DecodingError, ValueError, TypeError, AttributeError):
            # UnknownApiResponseError (not JSON) and pydantic's ValidationError (not a response) are ValueErrors;
            # the others come from a library that looks into JSON of another shape without checking.
            # `from None`: all may quote the server.
            raise ReadingFailedError(
                UnavailableReason.INVALID_RESPONSE, "Gemini's answer could not be understood."
            ) from None


def _config(timeout_s: float) -> types.GenerateContentConfig:
    deadline = max(_SHORTEST_SERVER_DEADLINE_S, math.ceil(timeout_s))
    return types.GenerateContentConfig(
        temperature=0,
        response_mime_type="application/json",
        response_json_schema=RESPONSE_SCHEMA,
        # We offer no functions; on, it logs a line about them for every call.
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        http_options=types.HttpOptions(
            timeout=max(1, round(timeout_s * 1000)),  # milliseconds; without it the library waits for ever
            headers={"X-Server-Timeout": str(deadline)},
        ),
    )


def _headers(error: errors.APIError) -> httpx2.Headers:
    return error.response.headers if isinstance(error.response, httpx2.Response) else httpx2.Headers()


def _reply(response: types.GenerateContentResponse) -> Reply:
    """Read field by field: `response.text` logs a warning for any part that is not text."""
    feedback = response.prompt_feedback
    candidate = response.candidates[0] if response.candidates else types.Candidate()
    parts = (candidate.content.parts if candidate.content else None) or []
    return Reply(
        block_reason=_name(feedback.block_reason if feedback else None),
        finish_reason=_name(candidate.finish_reason),
        text="".join(part.text for part in parts if part.text and not part.thought),
    )


def _name(value: types.BlockedReason | types.FinishReason | None) -> str | None:
    return value.value if value else None
