"""The report in words: the table of the README, and whether what we hold ourselves to holds."""

from typing import Any

from benchmarks.ml_step import OURS, SEED, WORKER

_OURS = "MediScan"


def headline(report: dict[str, Any]) -> str:
    """The tables as Markdown."""
    parts = [race_table(report), step_table(report), where_table(report), curve_table(report)]
    return "\n\n".join(part for part in parts if part)


def race_table(report: dict[str, Any]) -> str:
    """MediScan and its peers; empty where they did not run."""
    entrants = report.get("race", [])
    ours = next((one for one in entrants if one["name"] == _OURS and not one["absent"]), None)
    if ours is None:
        return ""
    head = "| system | jobs/s (rounds) | MediScan is | CPU ms a job | idle p50, p99 ms | MiB |"
    return "\n".join([head, "|---|---|---|---|---|---|", *(_race_row(one, ours) for one in entrants)])


def _race_row(one: dict[str, Any], ours: dict[str, Any]) -> str:
    if one["absent"]:
        return f"| {one['name']} | not measured: {one['absent'][:80]} | | | | |"
    low, high = one["spread"]
    broke = f", {len(one['broke'])} more broke down" if one["broke"] else ""
    return (
        f"| {one['name']} | {one['per_s']:.0f} ({low:.0f}-{high:.0f}{broke}) | {ours['per_s'] / one['per_s']:.2f} x "
        f"| {one['cpu_us'] / 1000:.1f} | {one['idle_p50_ms']:.0f}, {one['idle_p99_ms']:.0f} "
        f"| {one['resident_mib']:.0f} |"
    )


def step_table(report: dict[str, Any]) -> str:
    """The ML step's choices against the seed's."""
    step = report.get("step")
    if not step:
        return ""
    seed = step[SEED]["wall_us"]
    head = "| ML step | ms | against the seed |\n|---|---|---|"
    rows = (
        f"| {name} | {one['wall_us'] / 1000:.2f} | {seed / one['wall_us']:.1f} x |"
        for name, one in step.items()
    )
    return "\n".join([head, *rows])


def where_table(report: dict[str, Any]) -> str:
    """Processor time a job by process, and the floor under it."""
    entrants = report.get("race", [])
    ours = next((one for one in entrants if one["name"] == _OURS and not one["absent"]), None)
    if ours is None:
        return ""
    total = ours["cpu_us"]
    rows = [
        f"| {role} | {spent:,.0f} | {100 * spent / total:.0f} % |"
        for role, spent in sorted(ours["roles_us"].items(), key=lambda pair: -pair[1])
    ]
    base = report.get("floor")
    if base:
        rows.append(
            f"| the floor: decode and infer | {base['cpu_us']:,.0f} | {100 * base['cpu_us'] / total:.0f} % |"
        )
        rows.append(
            f"| pace, of the floor's {base['per_s']:.0f} images/s | | {100 * ours['per_s'] / base['per_s']:.0f} % |"
        )
    rows += [
        f"| commands a job at the {role} | {sum(counts.values()):.1f} | |"
        for role, counts in report.get("redis", {}).items()
    ]
    return "\n".join(["| where a job's time goes | us | |\n|---|---|---|", *rows])


def curve_table(report: dict[str, Any]) -> str:
    """What a job costs as something grows."""
    found = report.get("curves")
    if not found:
        return ""
    head = "| as this grows | CPU ms a job |\n|---|---|"
    rows = (
        f"| {name} | "
        + ", ".join(f"{point['size']:,}: {point['total_us'] / 1000:.1f}" for point in points)
        + " |"
        for name, points in found.items()
    )
    return "\n".join([head, *rows])


def held(report: dict[str, Any]) -> list[tuple[str, float, float, bool]]:
    """What we hold ourselves to: in words, what is asked, what was measured, whether it holds."""
    by_name = {one["name"]: one for one in report.get("race", []) if not one["absent"]}
    ours, found = by_name.get(_OURS), []
    if ours is not None:
        for peer, least in _AGAINST.items():
            if peer in by_name:
                times = ours["per_s"] / by_name[peer]["per_s"]
                found.append((f"jobs a second against {peer}", least, times, times >= least))
        found.append(("idle p50, ms", _IDLE_MS, ours["idle_p50_ms"], ours["idle_p50_ms"] <= _IDLE_MS))
        child = ours["largest_mib"].get("ml_worker/child", 0.0)
        found.append(("ML child resident, MiB", _CHILD_MIB, child, child <= _CHILD_MIB))
    if "step" in report:
        for name in (OURS, WORKER):
            times = report["step"][SEED]["wall_us"] / report["step"][name]["wall_us"]
            found.append((f"ML step against the seed ({name})", _STEP, times, times >= _STEP))
    return found


_AGAINST = {
    "FastAPI + Celery + Keras": 10.0,
    "FastAPI + Celery + LiteRT": 1.0,
    "BentoML tasks": 2.0,
    "LitServe": 1.0,
}
_IDLE_MS, _CHILD_MIB, _STEP = 20.0, 150.0, 20.0
