"""Who said it: the readers, and what joined them, as `Device`s. Pure."""

from services.gateway.fhir.terms import MODEL_SYSTEM, Resource, coding, resource
from shared.contracts import GeminiReading, MlReading
from shared.medical_codes import ARTIFICIAL_INTELLIGENCE

_SOFTWARE = {"coding": [coding(ARTIFICIAL_INTELLIGENCE)], "text": "software"}


def ml(job_id: str, reading: MlReading) -> Resource:
    """The model, down to its weights."""
    return _device(
        job_id,
        "ml-device",
        name=reading.model.name,
        version=reading.model.version,
        identifier=[{"system": MODEL_SYSTEM, "value": f"sha256:{reading.model.sha256}"}],
    )


def gemini(job_id: str, reading: GeminiReading) -> Resource:
    """Google's model, with the prompt that it was given."""
    return _device(
        job_id,
        "gemini-device",
        name=reading.model,
        version=f"prompt {reading.prompt_version}",
        manufacturer="Google",
    )


def fusion(job_id: str, policy: str) -> Resource:
    """What joined the readings."""
    return _device(job_id, "fusion-device", name="MediScan fusion", version=f"policy {policy}")


def _device(
    job_id: str,
    what: str,
    *,
    name: str,
    version: str,
    identifier: list[Resource] | None = None,
    manufacturer: str | None = None,
) -> Resource:
    return resource(
        job_id,
        what,
        "Device",
        identifier=identifier,
        status="active",
        manufacturer=manufacturer,
        deviceName=[{"name": name, "type": "model-name"}],
        type=_SOFTWARE,
        version=[{"value": version}],
    )
