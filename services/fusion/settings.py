"""The fusion service's knobs: how readings are joined, and how often the reaper looks."""

from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from services.fusion.dicom.pacs import check_pacs_url
from services.fusion.logic import FusionPolicy
from shared.contracts import PolicyName, Probability
from shared.dicom_results import DicomResult
from shared.settings import OptionalFile, Seconds, Settings

Score = Annotated[int, Field(ge=0, le=100)]


class FusionSettings(Settings):
    """Shared knobs and those of fusion and its reaper."""

    fusion_concurrency: int = Field(1, ge=1, description="Fusion tasks done at once by one worker.")
    fusion_policy: PolicyName = Field(
        PolicyName.WEIGHTED,
        description="`weighted` average of P(positive), or `highest_confidence`: the surer reader decides.",
    )
    fusion_ml_weight: Probability = Field(0.7, description="Weight of the ML reading under `weighted`.")
    fusion_review_margin: Probability = Field(
        0.1,
        description="A fused P(positive) closer than this to the threshold needs review.",
    )
    fusion_change_margin: Probability = Field(
        0.1, description="A change of P(positive) since a prior reading smaller than this counts as none."
    )
    risk_moderate_from: Score = Field(30, description="Risk score at which the moderate band begins.")
    risk_high_from: Score = Field(70, description="Risk score at which the high band begins.")
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

    @property
    def pacs_results(self) -> tuple[DicomResult, ...]:
        """`pacs_objects`, one by one."""
        return _chosen(self.pacs_objects)

    @model_validator(mode="after")
    def _bands_in_order(self) -> Self:
        if self.risk_moderate_from >= self.risk_high_from:
            raise ValueError("risk_moderate_from must be below risk_high_from")
        return self

    @property
    def policy(self) -> FusionPolicy:
        """The joining rules as the pure decision takes them."""
        return FusionPolicy(
            name=self.fusion_policy,
            ml_weight=self.fusion_ml_weight,
            review_margin=self.fusion_review_margin,
            moderate_from=self.risk_moderate_from,
            high_from=self.risk_high_from,
            change_margin=self.fusion_change_margin,
        )


def _chosen(given: str) -> tuple[DicomResult, ...]:
    # ValueError of the enum says which word is none.
    return tuple(DicomResult(word.strip()) for word in given.split(",") if word.strip())
