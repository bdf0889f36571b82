"""`/v1/models`: what a job may be read with, each with its card."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Json, TypeAdapter

from services.gateway import resources
from services.gateway.caller import AnyCaller
from services.gateway.openapi import PROBLEM_RESPONSES
from shared.ledger import OfferedModels

router = APIRouter(prefix="/v1/models", tags=["models"], responses=PROBLEM_RESPONSES)

_CARD: TypeAdapter[dict[str, Any]] = TypeAdapter(Json[dict[str, Any]])


class ModelEntry(BaseModel):
    """One installed model."""

    #: `name/version`: what a submission gives as `model`.
    id: str
    is_default: bool
    #: As the bundle states it: intended use, data, metrics, threshold, checksums, limits.
    card: dict[str, Any]


class ModelList(BaseModel):
    """All models that ML workers offered within the last day."""

    models: list[ModelEntry]


@router.get("")
async def models(request: Request, _who: AnyCaller) -> ModelList:
    """The models that ML workers offer; a job without a wish is read with the default one."""
    held = resources.of(request)
    return _listed(await held.run(held.ledger.models))


def _listed(offered: OfferedModels) -> ModelList:
    return ModelList(
        models=[
            ModelEntry(id=name, is_default=name == offered.default, card=_CARD.validate_python(card))
            for name, card in sorted(offered.cards.items())
        ]
    )
