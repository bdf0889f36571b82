"""The Gemini worker's knobs, on top of those every service has."""

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from shared.image.settings import DecodeSettings
from shared.settings import Seconds

ClientName = Literal["google-genai", "google-generativeai"]


class GeminiWorkerSettings(DecodeSettings):
    """Whether, how and for how long Gemini is asked."""

    gemini_api_key: SecretStr | None = Field(
        None,
        description=(
            "Key of the Gemini API; none: every Gemini reading is skipped. Google's terms forbid use of the API "
            "in clinical practice or for medical advice: research and quality work only."
        ),
    )
    gemini_client: ClientName = Field(
        "google-genai",
        description="The library that talks to Gemini; `google-generativeai` reached its end of life.",
    )
    gemini_model: str = Field(
        "gemini-3.8-flash",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Gemini model asked for a reading; avoid `-latest`, which changes under you.",
    )
    gemini_base_url: str = Field(
        "", pattern=r"^(https?://\S+)?$", description="Where the Gemini API is; empty: Google's own address."
    )
    gemini_timeout_s: Seconds = Field(
        15, description="Budget of one Gemini reading, retries and pauses included; under `gemini_lease_s`."
    )
    gemini_attempts: Annotated[int, Field(ge=1, le=10)] = Field(
        2, description="How often Gemini is asked within the budget before the reading is given up."
    )
    gemini_concurrency: Annotated[int, Field(ge=1)] = Field(
        8,
        description="How many Gemini readings one worker has under way at a time; each waits on the network.",
    )
    gemini_requests_per_minute: Annotated[int, Field(ge=0)] = Field(
        0,
        description=(
            "Requests to Gemini a minute, of all workers together, retries included; a reading that would wait "
            "for longer than half of its budget is given up. 0: no limit."
        ),
    )
    gemini_daily_budget: Annotated[int, Field(ge=0)] = Field(
        0, description="Requests to Gemini a UTC day, of all workers together, retries included. 0: no limit."
    )
    gemini_circuit_window_s: Seconds = Field(
        30, description="Calls of this last while decide whether Gemini counts as failing, for all workers."
    )
    gemini_circuit_min_calls: Annotated[int, Field(ge=1)] = Field(
        10, description="Fewer calls than this within the window say nothing about Gemini."
    )
    gemini_circuit_failure_ratio: Annotated[float, Field(gt=0, le=1)] = Field(
        0.5, description="Share of failed calls from which on Gemini is left alone: the circuit opens."
    )
    gemini_circuit_cooldown_s: Seconds = Field(
        10, description="First pause before one call probes a failing Gemini; doubles with each failed probe."
    )
    gemini_circuit_max_cooldown_s: Seconds = Field(
        300, description="Longest such pause, unless Gemini itself asks for a longer one."
    )
    gemini_max_image_side_px: Annotated[int, Field(ge=64)] = Field(
        1024, description="Images sent to Gemini are scaled down to at most this many pixels a side."
    )
    gemini_max_image_pixels: Annotated[int, Field(ge=1)] = Field(
        40_000_000, description="Images of more pixels than this are not decoded for Gemini."
    )

    gemini_burned_in_text: Literal["off", "tag", "detect"] = Field(
        "detect",
        description=(
            "Which images stay in the house for writing in them: `tag`: whose DICOM header says so, or that may be "
            "of a screen; `detect`: those too whose pixels look like it; `off`: none but those whose caller says so."
        ),
    )

    @field_validator("gemini_api_key")
    @classmethod
    def _blank_is_none(cls, key: SecretStr | None) -> SecretStr | None:
        """Compose files pass an unset variable on as an empty one."""
        return key if key is not None and key.get_secret_value().strip() else None

    @model_validator(mode="after")
    def _budget_within_lease(self) -> Self:
        if self.gemini_timeout_s >= self.gemini_lease_s:
            raise ValueError("gemini_timeout_s must be under gemini_lease_s")
        return self

    @model_validator(mode="after")
    def _pauses_grow(self) -> Self:
        if self.gemini_circuit_cooldown_s > self.gemini_circuit_max_cooldown_s:
            raise ValueError("gemini_circuit_cooldown_s must not be over gemini_circuit_max_cooldown_s")
        return self
