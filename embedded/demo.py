"""`make demo`: one image through the whole cluster, told to a person step by step."""

import time
from pathlib import Path
from typing import Any

import httpx

_BAR = 40


class DemoError(Exception):
    """The demo ended without a result; the message is for a person."""


def demo(url: str, image: Path, out: Path, *, note: str) -> None:
    """Upload `image`, follow the job, print the result, write `out` (PNG). DemoError if there is no result."""
    with httpx.Client(base_url=url, timeout=30) as client:
        job = _follow(client, _submit(client, image))
        _print_result(job, note)
        _save_heatmap(client, job, out)


def _submit(client: httpx.Client, image: Path) -> dict[str, Any]:
    step(f"uploading {near(image)} ({image.stat().st_size:,} bytes)")
    with image.open("rb") as file:
        answer = client.post("/v1/jobs", files={"image": (image.name, file)}, data={"priority": "stat"})
    job = _json(answer)
    step(f"accepted: {job['id']} ({answer.status_code}, {answer.elapsed.total_seconds() * 1000:.0f} ms)")
    return job


def _follow(client: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    shown = None
    while True:
        if (now := (job["progress"]["fraction"], job["progress"]["step"])) != shown:
            filled = round(now[0] * 20)
            step(f"[{'#' * filled}{'.' * (20 - filled)}] {job['state']}: {now[1]}")
            shown = now
        if job["ended_at"]:
            return job
        time.sleep(0.02)
        job = _json(client.get(job["links"]["self"]))


def _print_result(job: dict[str, Any], note: str) -> None:
    result = job["result"]
    if result is None:
        raise DemoError(f"the job ended as {job['state']}: {(job['error'] or {}).get('detail', '')}")
    risk, fallback = result["risk"], result["fallback"]
    review = ", ".join(result["review_reasons"]).replace("_", " ") or "no"
    say("")
    say(f"  Image         {note}")
    say(f"  Result        {_decision(job)}, P(positive) {result['p_positive']:.2f}")
    say(f"  Risk          {_gauge(risk['score'])} {risk['score']}/100 {risk['band']}")
    say(f"  Needs review  {review}")
    for voice in result["provenance"]:
        said = f"{voice['label'] or 'undecided'}, P(positive) {voice['p_positive']:.2f}"
        say(f"  Reader        {voice['reader']}: {said} ({voice['source']})")
    if fallback:
        say(f"  Fallback      ML only: {fallback['reason']}. {fallback['detail']}")
    say(f"  Agreement     {result['agreement'].replace('_', ' ')}")
    say(f"  Explanation   {result['explanation']}")
    say(f"  Time          {job['timings']['total_ms']:.0f} ms from durable record to stored result")
    say("")
    say(f"  {result['disclaimer']}")
    say("")


def _decision(job: dict[str, Any]) -> str:
    if label := job["result"]["label"]:
        return str(label)
    return f"no decision ({job['readings']['ml']['abstain_reason'].replace('_', ' ')})"


def _gauge(score: int) -> str:
    filled = round(score / 100 * _BAR)
    return f"[{'=' * filled}{' ' * (_BAR - filled)}]"


def _save_heatmap(client: httpx.Client, job: dict[str, Any], out: Path) -> None:
    answer = client.get(job["links"]["heatmap"])
    if answer.is_error:
        raise DemoError(answer.json()["detail"])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(answer.content)
    step(f"heatmap over the image: {near(out)}")


def _json(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    if answer.is_error:
        raise DemoError(f"{body['detail']} ({body['code']})")
    return body


_START = time.monotonic()


def step(text: str) -> None:
    """Tell what happens now, with the seconds since the start."""
    say(f"{time.monotonic() - _START:5.1f} s  {text}")


def near(path: Path) -> Path:
    """The path as seen from here, where that is shorter."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def say(text: str) -> None:
    """One line, at once."""
    print(text, flush=True)
