"""Takes the pictures of docs/images: `python -m tests.support.screenshots`. A real cluster, a drawn image.

The model that ships rightly abstains from a drawing. Where a picture shows a decision, a copy of it with its doubt
switched off read the image, and the second reader is the tests' fake Gemini: the captions say so.
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from embedded.phantom import draw_phantom
from tests.fake_gemini import Behaviour, FakeGemini
from tests.support.browser import Visit, chromium
from tests.support.bundles import NAME, copy_bundle, copy_committed
from tests.support.cluster import Cluster
from tests.support.launch import ROOT

_FOLDER = ROOT / "docs/images"
_DOUBTING = "0.4.0-as-shipped"
_QUALITY = 86
_DESK = {"width": 1280, "height": 860}
_HAND = {"width": 390, "height": 844}


def main() -> None:
    """Overwrite them all."""
    with tempfile.TemporaryDirectory() as folder, FakeGemini() as gemini:
        image = draw_phantom(Path(folder) / "phantom.png")
        models = Path(folder) / "models"
        copy_committed(models)
        copy_bundle(models, _DOUBTING)
        settings = {"GEMINI_BASE_URL": gemini.base_url, "GEMINI_GRACE_S": "20", "GEMINI_TIMEOUT_S": "15"}
        with_key = {"GEMINI_ENABLED": "true", "GEMINI_API_KEY": "none", "MODELS_DIR": str(models)}
        with Cluster(**settings, **with_key) as cluster, chromium() as browser:
            desk = Visit(browser, cluster.url, viewport=_DESK, color_scheme="light")
            hand = Visit(browser, cluster.url, viewport=_HAND, color_scheme="dark", device_scale_factor=2)
            _take(cluster, gemini, image.read_bytes(), desk, hand)


def _take(cluster: Cluster, gemini: FakeGemini, image: bytes, desk: Visit, hand: Visit) -> None:
    reference = '{"reference": "Phantom A-17"}'
    gemini.behave(
        Behaviour(p_positive=0.9, explanation="A round, bright area stands out on the right of the picture.")
    )
    agreed = cluster.run(image, metadata=reference)
    doubtful = cluster.run(image, metadata='{"reference": "Phantom A-18"}', model=f"{NAME}/{_DOUBTING}")
    gemini.behave(Behaviour(classification="Negative", p_positive=0.12, explanation="No lesion is seen."))
    apart = cluster.run(image, metadata=reference)

    page = _job(desk, apart["id"])
    page.get_by_label("Show where the model looked").check()
    _keep(page, "disagreement")
    _keep(_job(desk, doubtful["id"]), "no-decision")
    page = desk.open("/jobs")
    expect(page.get_by_role("region", name="Recent")).to_be_visible()
    _keep(page, "jobs")
    page = desk.open(f"/models/{NAME}/{_DOUBTING}")
    expect(page.get_by_text("Intended use")).to_be_visible()
    _keep(page, "model")
    _keep(_job(hand, agreed["id"]), "narrow-dark")


def _job(visit: Visit, job_id: str) -> Page:
    page = visit.open(f"/jobs/{job_id}")
    expect(page.locator("canvas")).to_be_visible()
    expect(page.locator(".gauge")).to_be_visible()
    return page


def _keep(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    target = _FOLDER / f"{name}.webp"
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(target, quality=_QUALITY, method=6)
    sys.stdout.write(f"{target.relative_to(ROOT)}: {target.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
