"""`deploy/kubernetes/`: valid, shut as far as it goes, and in step with the settings and the healthchecks."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from embedded.layout import SERVICES
from services.fusion.settings import FusionSettings
from services.gemini_worker.settings import GeminiWorkerSettings
from services.ml_worker.settings import MlWorkerSettings
from shared.contracts import QueueView
from shared.healthcheck import REAPER
from shared.names import Priority, Stage
from shared.settings import Settings
from tests.support.kubernetes import problems, rendered

_ROOT = Path(__file__).parents[2]
_ITEMS = rendered()
_DEPLOYMENTS = {item["metadata"]["name"]: item for item in _ITEMS if item["kind"] == "Deployment"}
_COMPOSE: dict[str, Any] = yaml.safe_load((_ROOT / "docker-compose.yml").read_text())["services"]
#: What one piece of work may take, and the pod then waits for.
_LONGEST_S = {
    "ml-worker": MlWorkerSettings().ml_time_limit_s,
    "gemini-worker": GeminiWorkerSettings().gemini_timeout_s,
    "fusion": 10,
    "reaper": FusionSettings().webhook_timeout_s,
}
_UNITS = {"m": 1 << 20, "g": 1 << 30, "Mi": 1 << 20, "Gi": 1 << 30}


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in _ITEMS if item["kind"] == kind}


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = _DEPLOYMENTS[name]["spec"]["template"]["spec"]
    return spec


def container(name: str) -> dict[str, Any]:
    [found] = pod(name)["containers"]
    return dict(found)


def size(text: str) -> int:
    number, unit = re.fullmatch(r"(?:\$\{\w+:-)?(\d+)([a-zA-Z]+)\}?", text).groups()  # type: ignore[union-attr]
    return int(number) * _UNITS[unit]


def test_every_object_is_what_its_schema_says() -> None:
    assert [problem for item in _ITEMS for problem in problems(item)] == []


def test_the_check_sees_a_word_that_nobody_knows() -> None:
    for kind in ("Deployment", "NetworkPolicy", "ScaledObject", "PodDisruptionBudget"):
        wrong = copy.deepcopy(next(item for item in _ITEMS if item["kind"] == kind))
        wrong["spec"]["planted"] = 1
        assert list(problems(wrong)), kind


def test_each_service_is_a_deployment_with_a_budget() -> None:
    assert {name.replace("-", "_") for name in _DEPLOYMENTS} == set(SERVICES)
    assert of_kind("PodDisruptionBudget").keys() == _DEPLOYMENTS.keys()
    for name, budget in of_kind("PodDisruptionBudget").items():
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["selector"] == _DEPLOYMENTS[name]["spec"]["selector"]


@pytest.mark.parametrize("name", _DEPLOYMENTS)
def test_a_pod_may_do_nothing_that_it_need_not(name: str) -> None:
    user = {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001}
    assert pod(name)["securityContext"] == {**user, "seccompProfile": {"type": "RuntimeDefault"}}
    assert pod(name)["automountServiceAccountToken"] is False
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod(name).keys() & {"hostNetwork", "hostPID", "hostIPC", "hostAliases"}


@pytest.mark.parametrize("name", _DEPLOYMENTS)
def test_a_pod_has_as_much_memory_as_the_container_of_compose(name: str) -> None:
    own = container(name)["resources"]
    assert own["limits"]["memory"] == own["requests"]["memory"]
    assert size(own["limits"]["memory"]) == size(_COMPOSE[name.replace("-", "_")]["mem_limit"])
    assert "cpu" not in own["limits"]


def test_secrets_come_by_reference_alone() -> None:
    assert of_kind("Secret") == {}
    text = json.dumps(_ITEMS)
    assert not re.search(r"(?i)(redis|amqp|rediss)s?://", text)
    for name in _DEPLOYMENTS:
        mounted = {volume["secret"]["secretName"] for volume in pod(name)["volumes"] if "secret" in volume}
        assert f"mediscan-{name}" in mounted
        assert mounted <= {f"mediscan-{name}", "mediscan-gemini"}
        assert ("mediscan-gemini" in mounted) is (name == "gemini-worker")


def test_every_setting_given_is_one() -> None:
    given = set(of_kind("ConfigMap")["mediscan-settings"]["data"])
    given |= {variable["name"] for name in _DEPLOYMENTS for variable in container(name).get("env", [])}
    known = {f"MEDISCAN_{name.upper()}" for name in Settings.model_fields}
    assert given - known == {
        "MEDISCAN_SECRETS_DIR",
        "MEDISCAN_HOST",
        "MEDISCAN_PORT",
        "MEDISCAN_AUTH",
    }


@pytest.mark.parametrize("name", _LONGEST_S)
def test_a_pod_that_is_stopped_has_time_to_end_what_it_holds(name: str) -> None:
    assert pod(name)["terminationGracePeriodSeconds"] > _LONGEST_S[name]


@pytest.mark.parametrize("name", _DEPLOYMENTS)
def test_each_is_probed_and_none_dies_of_a_short_absence_of_the_ledger(name: str) -> None:
    probes = {kind: container(name)[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")}
    if name == "gateway":
        assert {probe["httpGet"]["path"] for probe in probes.values()} == {"/healthz"}
        return
    stage = {"ml-worker": Stage.ML, "gemini-worker": Stage.GEMINI, "fusion": Stage.FUSION, "reaper": REAPER}
    for probe in probes.values():
        assert probe["exec"]["command"] == ["python", "-m", "shared.healthcheck", stage[name]]
    assert probes["liveness"]["periodSeconds"] * probes["liveness"]["failureThreshold"] >= 600
    # A start may wait for the ledger, and is not cut short meanwhile.
    waits = float(of_kind("ConfigMap")["mediscan-settings"]["data"]["MEDISCAN_STARTUP_TIMEOUT_S"])
    assert probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"] > waits


def test_nobody_reaches_anybody_but_for_what_is_named() -> None:
    policies = {name: policy["spec"] for name, policy in of_kind("NetworkPolicy").items()}
    assert policies["nobody"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    [outside] = policies["outside"]["podSelector"]["matchExpressions"]
    assert outside["values"] == ["gemini-worker", "reaper"]
    ingress = {name: spec for name, spec in policies.items() if "Ingress" in spec["policyTypes"]}
    assert ingress.keys() == {"nobody", "callers", "scrapers"}
    assert ingress["callers"]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "gateway"}
    # Every pod, at the one port where it serves its metrics.
    [scrapers] = ingress["scrapers"]["ingress"]
    served = of_kind("ConfigMap")["mediscan-settings"]["data"]["MEDISCAN_METRICS_PORT"]
    assert [str(port["port"]) for port in scrapers["ports"]] == [served]


def test_workers_grow_with_the_work_that_waits_and_is_held() -> None:
    scaled = of_kind("ScaledObject")
    assert scaled.keys() == {"ml-worker", "gemini-worker", "fusion"}
    for name, item in scaled.items():
        spec = item["spec"]
        assert {"stage", "waiting", "claimed"} <= QueueView.model_fields.keys()
        stage = name.removesuffix("-worker")
        assert spec["scaleTargetRef"]["name"] == name
        terms = {trigger["name"]: trigger["metadata"]["valueLocation"] for trigger in spec["triggers"]}
        # One of each kind for every priority, and the formula adds up exactly these.
        assert terms == {
            f"{what}_{n}": f'queues.#(stage=="{stage}")#|{n}.{what}'
            for what in ("waiting", "claimed")
            for n in range(len(Priority))
        }
        assert sorted(spec["advanced"]["scalingModifiers"]["formula"].split(" + ")) == sorted(terms)
        assert spec["minReplicaCount"] == _DEPLOYMENTS[name]["spec"]["replicas"] >= 1
