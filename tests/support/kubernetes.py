"""`python -m tests.support.kubernetes`: renders `deploy/kubernetes/` and checks each object against its schema.

Kustomize itself is not to be had everywhere; what the base asks of it is little enough to be done here. Kubernetes' own
objects are checked against the schemas that `kubernetes-validate` carries, those of KEDA against what we use of it:
all of it without a network.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import kubernetes_validate  # type: ignore[import-untyped]
import yaml  # type: ignore[import-untyped]

BASE = Path(__file__).parents[2] / "deploy" / "kubernetes"
#: The oldest that knows all that we use (a sleep before the end of a container), and a newer one.
VERSIONS = ("1.30", "1.35")
#: Of the base's kustomization; what it may hold is what `rendered` carries out.
_KNOWN = {"apiVersion", "kind", "namespace", "resources", "labels", "images"}

_TEXT = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 0}


def _closed(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": required | optional,
        "required": [*required],
        "additionalProperties": False,
    }


_METADATA = {"type": "object", "required": ["name", "namespace"]}
_TRIGGER = _closed(
    {
        "type": {"const": "metrics-api"},
        "name": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]*$"},
        "authenticationRef": _closed({"name": _TEXT}),
        "metadata": _closed(
            {
                "url": {"type": "string", "pattern": "^https?://"},
                "valueLocation": _TEXT,
                "targetValue": {"type": "string", "pattern": r"^[0-9.]+$"},
                "authMode": {"const": "bearer"},
            }
        ),
    }
)
_FALLBACK = _closed(
    {"failureThreshold": _COUNT, "replicas": _COUNT},
    behavior={"enum": ["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"]},
)
_MODIFIERS = _closed(
    {"formula": _TEXT, "target": {"type": "string", "pattern": r"^[0-9.]+$"}},
    metricType={"enum": ["AverageValue", "Value"]},
)
#: https://keda.sh/docs/latest/reference/scaledobject-spec/, as far as we use it.
_KEDA = {
    "ScaledObject": _closed(
        {
            "scaleTargetRef": _closed({"name": _TEXT}),
            "minReplicaCount": _COUNT,
            "maxReplicaCount": _COUNT,
            "triggers": {"type": "array", "minItems": 1, "items": _TRIGGER},
        },
        pollingInterval=_COUNT,
        fallback=_FALLBACK,
        advanced=_closed(
            {"scalingModifiers": _MODIFIERS}, horizontalPodAutoscalerConfig=_closed({"behavior": {}})
        ),
    ),
    "TriggerAuthentication": _closed(
        {
            "secretTargetRef": {
                "type": "array",
                "items": _closed({"parameter": _TEXT, "name": _TEXT, "key": _TEXT}),
            }
        }
    ),
}


def rendered(folder: Path = BASE) -> list[dict[str, Any]]:
    """The objects as `kubectl apply -k` sends them; ValueError where the kustomization asks for what we do not do."""
    asked = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := asked.keys() - _KNOWN:
        raise ValueError(f"not known here: {unknown}")
    tags = {image["name"]: image["newTag"] for image in asked["images"]}
    found = []
    for file in asked["resources"]:
        for item in yaml.safe_load_all((folder / file).read_text()):
            for label in asked["labels"]:
                item["metadata"].setdefault("labels", {}).update(label["pairs"])
            if item["kind"] != "Namespace":
                item["metadata"]["namespace"] = asked["namespace"]
            for container in _containers(item):
                container["image"] += f":{tags[container['image']]}"
            found.append(item)
    return found


def problems(item: dict[str, Any]) -> Iterator[str]:
    """What its schema says against an object."""
    if item["apiVersion"].startswith("keda.sh/"):
        yield from _problems_of_keda(item)
        return
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(item, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{_name(item)} ({version}): {error.message} at {list(error.path)}"


def _problems_of_keda(item: dict[str, Any]) -> Iterator[str]:
    schema = _closed(
        {
            "apiVersion": {"const": "keda.sh/v1alpha1"},
            "kind": {"const": item["kind"]},
            "metadata": _METADATA,
            "spec": _KEDA[item["kind"]],
        }
    )
    for error in jsonschema.Draft202012Validator(schema).iter_errors(item):
        yield f"{_name(item)}: {error.message} at {list(error.path)}"


def _containers(item: dict[str, Any]) -> list[dict[str, Any]]:
    return item["spec"]["template"]["spec"]["containers"] if item["kind"] == "Deployment" else []


def _name(item: dict[str, Any]) -> str:
    return f"{item['kind']}/{item['metadata']['name']}"


def main() -> None:
    """Check all and exit."""
    items = rendered()
    found = [problem for item in items for problem in problems(item)]
    for problem in found:
        sys.stderr.write(f"deploy/kubernetes: {problem}\n")
    if found:
        sys.exit(1)
    sys.stdout.write(f"deploy/kubernetes: {len(items)} objects, Kubernetes {' and '.join(VERSIONS)}\n")


if __name__ == "__main__":
    main()
