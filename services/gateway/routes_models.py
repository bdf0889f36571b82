"""`/v1/models`: what a job may be read with, each with its card."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import Json, TypeAdapter

from services.gateway import resources
from services.gateway.caller import AnyCaller
from services.gateway.openapi import PROBLEM_RESPONSES
from shared.contracts import ModelEntry, ModelList
from shared.ledger import OfferedModels

router = APIRouter(prefix="/v1/models", tags=["models"], responses=PROBLEM_RESPONSES)

_CARD: TypeAdapter[dict[str, Any]] = TypeAdapter(Json[dict[str, Any]])


@router.get("")
async def models(request: Request, _who: AnyCaller) -> ModelList:
    """The models that ML workers offer; a job without a wish is read with the default one."""
    held = resources.of(request)
    return _listed(await held.run(held.ledger.models))


def _listed(offered: OfferedModels) -> ModelList:
    return ModelList(
        models=tuple(
            ModelEntry(id=name, is_default=name == offered.default, card=_CARD.validate_python(card))
            for name, card in sorted(offered.cards.items())
        )
    )
