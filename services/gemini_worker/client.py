"""The outside world of the Gemini worker: one small interface, two libraries behind it."""

from typing import Protocol

from services.gemini_worker.settings import GeminiWorkerSettings
from shared.errors import SetupError

GOOGLE_BASE_URL = "https://generativelanguage.googleapis.com"


class SecondReader(Protocol):
    """Asks Gemini once about one image."""

    def read(self, image: bytes, *, timeout_s: float) -> str:
        """Send `image` (made by `prepare_image`) and return Gemini's text, not blank and not yet checked.

        `timeout_s` bounds each wait on the network, not their sum: `read_with_budget` bounds that. Every failure
        between here and Gemini is a ReadingFailedError.
        """
        ...


def build(settings: GeminiWorkerSettings) -> SecondReader:
    """The reader that the settings choose. Imports its library (1.5 s) only now; SetupError without a key.

    Call it in the process that will read, after any fork: the readers hold connections.
    """
    if settings.gemini_api_key is None:
        raise SetupError("MEDISCAN_GEMINI_API_KEY is not set")
    key = settings.gemini_api_key.get_secret_value()
    base_url = (settings.gemini_base_url or GOOGLE_BASE_URL).rstrip("/")
    if settings.gemini_client == "google-generativeai":
        from services.gemini_worker.client_generativeai import GenerativeAiReader  # noqa: PLC0415 - heavy; chosen

        return GenerativeAiReader(api_key=key, model=settings.gemini_model, base_url=base_url)
    from services.gemini_worker.client_genai import GenAiReader  # noqa: PLC0415 - heavy; imported where chosen

    return GenAiReader(api_key=key, model=settings.gemini_model, base_url=base_url)
