"""The joining rules as knobs, for the services that decide: they must agree on them."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from shared.contracts import PolicyName, Probability
from shared.fusion.logic import FusionPolicy
from shared.settings import Settings

Score = Annotated[int, Field(ge=0, le=100)]


class PolicySettings(Settings):
    """Shared knobs and those of the decision."""

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
