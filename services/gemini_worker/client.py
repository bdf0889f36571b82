"""The outside world of the Gemini worker: two libraries behind one small interface."""

from services.gemini_worker.bounded import BoundedReader
from services.gemini_worker.reader import SecondReader
from services.gemini_worker.settings import GeminiWorkerSettings
from shared.errors import SetupError

GOOGLE_BASE_URL = "https://generativelanguage.googleapis.com"


def build(settings: GeminiWorkerSettings) -> SecondReader:
    """The reader that the settings choose, bounded in time; SetupError without a key.

    Imports its library (1.5 s) only now. Call it in the process that will read, after any fork: the readers hold
    connections.
    """
    if settings.gemini_api_key is None:
        raise SetupError("MEDISCAN_GEMINI_API_KEY is not set")
    key = settings.gemini_api_key.get_secret_value()
    base_url = (settings.gemini_base_url or GOOGLE_BASE_URL).rstrip("/")
    if settings.gemini_client == "google-generativeai":
        from services.gemini_worker.client_generativeai import GenerativeAiReader  # noqa: PLC0415 - heavy; chosen

        old = GenerativeAiReader(api_key=key, model=settings.gemini_model, base_url=base_url)
        return BoundedReader(old)
    from services.gemini_worker.client_genai import GenAiReader  # noqa: PLC0415 - heavy; imported where chosen

    return BoundedReader(GenAiReader(api_key=key, model=settings.gemini_model, base_url=base_url))
