"""The fusion service's knobs: how often the reaper looks, and how webhooks are sent."""

from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from services.fusion.dicom.pacs import check_pacs_url
from shared.dicom_results import DicomResult
from shared.fusion.settings import PolicySettings
from shared.settings import OptionalFile, Seconds


class FusionSettings(PolicySettings):
    """Shared knobs, those of the decision, and those of fusion and its reaper."""

    fusion_concurrency: int = Field(1, ge=1, description="Fusion tasks done at once by one worker.")
    reaper_interval_s: Seconds = Field(1, description="Pause between two looks at the due jobs.")
    reaper_batch: int = Field(500, ge=1, description="Due jobs handled in one look.")
    audit_seal_s: Seconds = Field(
        60,
        description="Pause between two sealings of the audit trail; until then the ledger holds its events.",
    )
    drift_interval_s: Seconds = Field(
        30, description="Pause between two comparisons of the last readings with what the models' cards say."
    )
    sweep_interval_s: Seconds = Field(600, description="Pause between two sweeps of old and orphaned blobs.")

    webhook_timeout_s: Seconds = Field(
        15,
        description="How long one attempt to deliver a webhook may take, from the connection to the answer.",
    )
    webhook_concurrency: int = Field(
        8, ge=1, description="Webhooks sent at once by one reaper, each in a thread of its own."
    )
    webhook_ca_file: OptionalFile = Field(
        None,
        description="CA certificates (PEM) trusted beside the usual ones where a webhook goes to `https://`.",
    )

    pacs_url: str = Field(
        "",
        description=(
            "DICOMweb address of the house's PACS, such as `https://pacs/dicom-web`: results of DICOM images are "
            "stored there (STOW-RS). Empty: they are made and kept, and sent nowhere."
        ),
    )
    pacs_user: str = Field("", description="User at the PACS (HTTP Basic), with `MEDISCAN_PACS_PASSWORD`.")
    pacs_password: SecretStr = Field(SecretStr(""), description="Password of `MEDISCAN_PACS_USER`.")
    pacs_token: SecretStr = Field(
        SecretStr(""), description="Token for the PACS (HTTP Bearer), in place of user and password."
    )
    pacs_objects: str = Field(
        "sr,overlay,map",
        description="Which objects are sent, with commas between: `sr`, `overlay`, `map`.",
    )
    pacs_timeout_s: Seconds = Field(
        60, description="How long one attempt to store a job's objects in the PACS may take."
    )
    pacs_ca_file: OptionalFile = Field(
        None, description="CA certificates (PEM) trusted beside the usual ones where the PACS is `https://`."
    )
    pacs_concurrency: int = Field(
        2, ge=1, description="Jobs whose objects are made or sent at once by one reaper, each in a thread."
    )

    @field_validator("pacs_url")
    @classmethod
    def _pacs_address(cls, given: str) -> str:
        if given:
            check_pacs_url(given)
        return given

    @field_validator("pacs_objects")
    @classmethod
    def _known_objects(cls, given: str) -> str:
        if not _chosen(given):
            raise ValueError("name at least one of sr, overlay, map")
        return given

    @model_validator(mode="after")
    def _has_a_study_to_send_to(self) -> Self:
        if self.pacs_url and self.dicom_store == "deidentified":
            raise ValueError(
                "pacs_url cannot be used with dicom_store=deidentified: "
                "results belong to the copy's study, which the PACS does not have"
            )
        return self

    @property
    def pacs_results(self) -> tuple[DicomResult, ...]:
        """`pacs_objects`, one by one."""
        return _chosen(self.pacs_objects)


def _chosen(given: str) -> tuple[DicomResult, ...]:
    # ValueError of the enum says which word is none.
    return tuple(DicomResult(word.strip()) for word in given.split(",") if word.strip())
