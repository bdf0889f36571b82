"""The alerts as Prometheus reads them, and against made-up series: what must fire does, and a quiet house is quiet."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.support.observability import FOLDER, RULES

PROMTOOL = shutil.which("promtool")

pytestmark = pytest.mark.skipif(
    PROMTOOL is None and "SKIP_NOTHING" not in os.environ, reason="needs promtool (Debian: prometheus)"
)

#: A house at work for two hours, by minutes: what a reaper tells of it.
QUIET = {
    "mediscan_ledger_up": "1x120",
    "mediscan_blob_store_up": "1x120",
    'up{job="mediscan", service="reaper"}': "1x120",
    'mediscan_worker_nodes{stage="ml"}': "2x120",
    'mediscan_worker_nodes{stage="fusion"}': "1x120",
    'mediscan_worker_nodes{stage="gemini"}': "0x120",
    'mediscan_queue_oldest_seconds{stage="ml", priority="stat"}': "2x120",
    'mediscan_queue_oldest_seconds{stage="ml", priority="routine"}': "20x120",
    'mediscan_jobs_ended_total{state="completed"}': "0+60x120",
    'mediscan_jobs_ended_total{state="failed"}': "0+1x120",
    'mediscan_fallbacks_total{reason="not_configured"}': "0+60x120",
    'mediscan_fallbacks_total{reason="timeout"}': "0+2x120",
    'mediscan_rescued_total{stage="ml"}': "3x120",
    "mediscan_dead_lettered_total": "5x120",
    "mediscan_jobs_lost_total": "0x120",
    "mediscan_ledger_memory_used_bytes": "1e8x120",
    "mediscan_ledger_memory_limit_bytes": "5e8x120",
    "mediscan_blob_free_bytes": "8e10x120",
    'mediscan_gemini_circuit{state="open"}': "0x120",
    'mediscan_drift_level{model="m/1", measure="positive_rate"}': "1x120",
    'mediscan_drift_level{model="m/1", measure="ood_rate"}': "0x120",
    'mediscan_drift_level{model="m/1", measure="abstention_rate"}': "0x120",
}

#: What happens in the second hour, and which alert that is.
TROUBLE: dict[str, dict[str, str | None]] = {
    "MediScanReaperSilent": {"mediscan_ledger_up": "1x60 stale _x59"},
    "MediScanLedgerDown": {"mediscan_ledger_up": "1x60 0x60"},
    "MediScanBlobStoreDown": {"mediscan_blob_store_up": "1x60 0x60"},
    "MediScanTargetDown": {'up{job="mediscan", service="reaper"}': "1x60 0x60"},
    "MediScanNoWorkers": {'mediscan_worker_nodes{stage="ml"}': "2x60 0x60"},
    "MediScanStatJobsWait": {'mediscan_queue_oldest_seconds{stage="ml", priority="stat"}': "2x60 60x60"},
    "MediScanJobsWait": {'mediscan_queue_oldest_seconds{stage="ml", priority="routine"}': "20x60 400x60"},
    "MediScanJobsFail": {'mediscan_jobs_ended_total{state="failed"}': "0+1x60 60+10x60"},
    "MediScanRescues": {'mediscan_rescued_total{stage="ml"}': "3x60 3+1x60"},
    "MediScanDeadLetters": {"mediscan_dead_lettered_total": "5x60 6x60"},
    "MediScanJobsLost": {"mediscan_jobs_lost_total": "0x60 200x60"},
    "MediScanLedgerFills": {"mediscan_ledger_memory_used_bytes": "1e8x60 4e8x60"},
    "MediScanDiskFills": {"mediscan_blob_free_bytes": "8e10x60 1e9x60"},
    "MediScanFallbacks": {'mediscan_fallbacks_total{reason="timeout"}': "0+2x60 120+30x60"},
    "MediScanGeminiLeftAlone": {'mediscan_gemini_circuit{state="open"}': "0x60 1x60"},
    "MediScanPositiveRateDrifts": {'mediscan_drift_level{model="m/1", measure="positive_rate"}': "1x60 2x60"},
    "MediScanUnknownImages": {'mediscan_drift_level{model="m/1", measure="ood_rate"}': "0x60 2x60"},
    "MediScanAbstentions": {'mediscan_drift_level{model="m/1", measure="abstention_rate"}': "0x60 2x60"},
}


def promtool(*arguments: str) -> "subprocess.CompletedProcess[str]":
    assert PROMTOOL is not None
    return subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_prometheus_takes_the_files() -> None:
    done = promtool("check", "rules", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr
    done = promtool("check", "config", "--syntax-only", str(FOLDER / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_trouble_of_its_own() -> None:
    named = {
        rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    }
    assert named == set(TROUBLE)


def test_each_alert_fires_in_its_trouble_and_none_in_a_quiet_house(tmp_path: Path) -> None:
    """One run of promtool for all: each case says of every alert whether it fires, an hour and a half in."""
    cases = [_case({}, None), *(_case(trouble, alert) for alert, trouble in TROUBLE.items())]
    file = tmp_path / "alerts_test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": cases}))
    done = promtool("test", "rules", str(file))
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


def _case(trouble: dict[str, str | None], expected: str | None) -> dict[str, Any]:
    series = [{"series": name, "values": values} for name, values in {**QUIET, **trouble}.items()]
    # ALERTS holds what fires, whatever its labels and words are.
    fires = [{"labels": f'{{alertname="{expected}"}}', "value": 1}] if expected else []
    query = 'max by (alertname) (ALERTS{alertstate="firing"})'
    return {
        "name": expected or "quiet",
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [{"expr": query, "eval_time": "90m", "exp_samples": fires}],
    }
