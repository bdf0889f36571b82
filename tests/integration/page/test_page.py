"""The page in a real browser against the real cluster: from an image to an answer, and what stands in between."""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Error, Page, Route, expect

from services.ml_worker.settings import MlWorkerSettings
from shared.contracts import DISCLAIMER
from tests.fake_gemini import Behaviour, FakeGemini, Kind
from tests.integration.page.conftest import DOUBTING, MakeVisit, settle
from tests.support.browser import Visit
from tests.support.cluster import Cluster
from tests.support.dicoms import dicom
from tests.support.images import scan
from tests.support.waiting import wait_until

_NAME = MlWorkerSettings.model_fields["model_name"].default

#: Bytes over the wire until the first part of the page stands there.
_MOST_BYTES = 100_000

_ROUTES = ("/", "/jobs", "/models", f"/models/{_NAME}/{DOUBTING}", "/operate", "/nothing-of-the-kind")


def answer(page: Page) -> Any:
    return page.get_by_role("region", name="Answer")


def send(page: Page, *files: Path) -> None:
    page.set_input_files("input[type=file]", [str(file) for file in files])
    page.get_by_role("button", name="Read th").click()


# --- from an image to an answer -----------------------------------------------------------------------------


def test_an_image_becomes_an_answer(visit: Visit, phantom: Path) -> None:
    page = visit.open()
    page.set_input_files("input[type=file]", str(phantom))
    expect(page.locator(".file img")).to_be_visible()
    page.get_by_text("More about these images").click()
    page.get_by_label("Your reference").fill("A-17 <b>")
    page.get_by_role("button", name="Read this image").click()

    expect(answer(page).locator(".word")).to_have_text("Positive")
    expect(page.get_by_role("heading", level=1)).to_have_text("A-17 <b>")
    expect(page.get_by_text("They agree")).to_be_visible()
    expect(page.get_by_role("img", name="Risk 9")).to_be_visible()
    expect(page.get_by_role("region", name="Where this comes from")).to_contain_text(_NAME)
    expect(page.get_by_text(DISCLAIMER)).to_be_in_viewport()
    assert "#/jobs/job_" in page.url


def test_where_the_model_looked_is_shown_when_asked_for(
    visit: Visit, cluster: Cluster, phantom: Path
) -> None:
    page = visit.open(f"/jobs/{cluster.run(phantom.read_bytes())['id']}")
    canvas = page.locator("canvas")
    expect(canvas).to_be_visible()
    asked = page.get_by_label("Show where the model looked")
    expect(asked).not_to_be_checked()
    expect(page.get_by_text("Coarse:")).to_be_hidden()
    plain = drawn(page)
    asked.check()
    expect(page.get_by_text("Coarse: 7")).to_be_visible()
    wait_until(lambda: drawn(page) != plain, what="the map is drawn")
    asked.uncheck()
    wait_until(lambda: drawn(page) == plain, what="it is gone")
    page.get_by_label("Window").fill("60")
    wait_until(lambda: drawn(page) != plain, what="the window is narrower")
    page.get_by_role("button", name="Reset the view").click()
    wait_until(lambda: drawn(page) == plain, what="all is as it was")
    page.get_by_role("button", name="Zoom in").click()
    wait_until(lambda: drawn(page) != plain, what="it is larger")


def drawn(page: Page) -> str:
    """What the canvas shows, once it shows something."""
    canvas = "document.querySelector('canvas')"
    wait_until(lambda: page.evaluate(f"{canvas}.width") > 300, what="the canvas has its size")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return str(page.evaluate(f"{canvas}.toDataURL()"))


def test_several_at_once_and_a_refused_one_says_why_in_its_line(
    visit: Visit, phantom: Path, tmp_path: Path
) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("no image")
    slice_ = tmp_path / "slice.dcm"
    slice_.write_bytes(dicom())
    page = visit.open()
    send(page, phantom, letter, slice_)
    refused = page.locator(".file.refused")
    expect(refused).to_contain_text("letter.txt")
    expect(refused).to_contain_text("Refused.")
    expect(page.locator(".file").filter(has_text="phantom.png")).to_contain_text("Positive")
    expect(page.locator("main").get_by_text("3 of 3 are done")).to_be_visible()
    page.locator(".file").filter(has_text="slice.dcm").get_by_role("link", name="Open").click()
    expect(page.get_by_role("region", name="Where this comes from")).to_contain_text("application/dicom")
    expect(page.locator("canvas")).to_be_visible()


def test_the_report_is_a_file_to_keep(visit: Visit, cluster: Cluster, phantom: Path) -> None:
    job = cluster.run(phantom.read_bytes(), metadata='{"reference": "A-17"}')
    page = visit.open(f"/jobs/{job['id']}")
    with page.expect_download() as download:
        page.get_by_role("button", name="Report (PDF)").click()
    assert download.value.suggested_filename == f"mediscan-{job['id']}.pdf"
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF-")


# --- what is no plain answer --------------------------------------------------------------------------------


def test_a_fallback_says_why(visit: Visit, cluster: Cluster, gemini: FakeGemini, phantom: Path) -> None:
    gemini.behave(Behaviour(kind=Kind.SAFETY))
    page = visit.open(f"/jobs/{cluster.run(phantom.read_bytes())['id']}")
    expect(answer(page)).to_contain_text("Rests on the model alone.")
    expect(answer(page)).to_contain_text("Gemini declined to look at this image. blocked")
    expect(page.get_by_role("region", name="Second reader: Gemini")).to_contain_text("No reading")


def test_an_abstention_is_never_a_negative(visit: Visit, cluster: Cluster, phantom: Path) -> None:
    job = cluster.run(phantom.read_bytes(), model=f"{_NAME}/{DOUBTING}")
    page = visit.open(f"/jobs/{job['id']}")
    expect(answer(page).locator(".word")).to_have_text("No decision")
    expect(answer(page)).to_contain_text("This is not a negative result.")
    expect(answer(page)).to_contain_text("not the kind of image the model was trained on")
    expect(answer(page).get_by_role("img")).to_have_accessible_name(
        "No decision, so no risk is stated. Gemini at 90."
    )
    expect(answer(page).locator(".hand")).to_have_count(0)
    expect(page.get_by_text("Negative", exact=True)).to_have_count(0)


def test_readers_that_disagree_are_seen_to(
    visit: Visit, cluster: Cluster, gemini: FakeGemini, phantom: Path
) -> None:
    gemini.behave(Behaviour(classification="Negative", p_positive=0.05))
    page = visit.open(f"/jobs/{cluster.run(phantom.read_bytes())['id']}")
    expect(page.get_by_text("They disagree")).to_be_visible()
    expect(answer(page)).to_contain_text("Needs review")
    expect(answer(page)).to_contain_text("The two readers disagree.")
    expect(page.get_by_role("region", name="First reader").locator(".says")).to_have_text("Positive")
    expect(page.get_by_role("region", name="Second reader").locator(".says")).to_have_text("Negative")


def test_the_change_against_an_earlier_job_is_told(visit: Visit, cluster: Cluster, phantom: Path) -> None:
    prior = cluster.run(phantom.read_bytes())["id"]
    page = visit.open(f"/jobs/{cluster.run(phantom.read_bytes(), prior_job_id=prior)['id']}")
    expect(answer(page)).to_contain_text("As before, compared with the earlier job")
    page.get_by_role("link", name="the earlier job").click()
    expect(page.get_by_text(prior).first).to_be_visible()


def test_what_gemini_writes_is_text(
    visit: Visit, cluster: Cluster, gemini: FakeGemini, phantom: Path
) -> None:
    evil = '<script>window.owned = 1</script><img src=x onerror="window.owned = 1"> & "quoted"'
    gemini.behave(Behaviour(explanation=evil))
    page = visit.open(f"/jobs/{cluster.run(phantom.read_bytes())['id']}")
    expect(page.get_by_text(evil)).to_be_visible()
    assert page.evaluate("() => window.owned") is None
    with pytest.raises(Error, match="TrustedHTML"):
        page.evaluate("() => { document.body.innerHTML = '<b>markup</b>'; }")
    (complaint,) = visit.complaints
    assert "requires 'TrustedHTML' assignment" in complaint
    visit.complaints.clear()


# --- many jobs ---------------------------------------------------------------------------------------------


def test_what_needs_a_person_comes_first_and_filters_stand_in_the_address(
    visit: Visit, cluster: Cluster, phantom: Path
) -> None:
    doubtful = cluster.run(phantom.read_bytes(), model=f"{_NAME}/{DOUBTING}", metadata='{"reference": "odd"}')
    cluster.run(phantom.read_bytes(), metadata='{"reference": "plain"}')
    page = visit.open("/jobs")
    review, recent = (page.get_by_role("region", name=name) for name in ("Needs review", "Recent"))
    expect(review.get_by_role("link").filter(has_text="odd").first).to_contain_text("No decision")
    expect(review).not_to_contain_text("plain")
    expect(recent.get_by_role("link").first).to_contain_text("plain")
    page.get_by_label("Result").select_option("Positive")
    found = page.get_by_role("region", name="Found")
    expect(found.get_by_role("link").first).to_contain_text("plain")
    expect(found).not_to_contain_text("odd")
    assert "label=Positive" in page.url
    page.reload()
    expect(found).not_to_contain_text("odd")
    page.get_by_label("Result").select_option("Any")
    review.get_by_role("link").filter(has_text="odd").first.click()
    expect(page.get_by_text(doubtful["id"]).first).to_be_visible()


def test_a_batch_shows_how_far_it_is_and_what_was_refused(
    visit: Visit, cluster: Cluster, phantom: Path
) -> None:
    files = [("image", ("a", phantom.read_bytes())), ("image", ("b", b"no image")), ("image", ("c", scan()))]
    answer = cluster.http.post("/v1/batches", files=files)
    assert answer.status_code == 202, answer.text
    page = visit.open(f"/batches/{answer.json()['id']}")
    expect(page.locator("main").get_by_text("3 of 3 are done")).to_be_visible()
    expect(page.get_by_role("region", name="Refused")).to_contain_text("image 2:")
    jobs = page.get_by_role("region", name="Its jobs").get_by_role("link")
    expect(jobs).to_have_count(2)
    jobs.first.click()
    page.get_by_role("link", name="batch_").click()
    expect(page.locator("main").get_by_text("3 of 3 are done")).to_be_visible()


# --- on the way ---------------------------------------------------------------------------------------------


def test_a_reload_in_the_middle_loses_nothing(visit: Visit, gemini: FakeGemini, phantom: Path) -> None:
    gemini.behave(Behaviour(delay_s=4, p_positive=0.9))
    page = visit.open()
    send(page, phantom)
    model = page.get_by_role("region", name="First reader")
    expect(model.locator(".says")).to_have_text("Positive")
    expect(answer(page)).to_contain_text("Reading …")
    page.reload()
    expect(model.locator(".says")).to_have_text("Positive")
    expect(page.get_by_role("listitem").filter(has_text="Gemini reads")).to_contain_text("under way")
    expect(answer(page).locator(".word")).to_have_text("Positive")
    expect(page.get_by_role("listitem").filter(has_text="Joined")).to_contain_text("done")


def test_a_lost_connection_is_said_and_made_good(visit: Visit, gemini: FakeGemini, phantom: Path) -> None:
    gemini.behave(Behaviour(delay_s=3, p_positive=0.9))
    cuts = []

    def cut_twice(route: Route) -> None:
        cuts.append(route)
        route.abort() if len(cuts) <= 2 else route.continue_()

    visit.page.route("**/events", cut_twice)
    page = visit.open()
    send(page, phantom)
    expect(page.get_by_text("Connection lost.")).to_be_visible()
    expect(answer(page).locator(".word")).to_have_text("Positive")
    expect(page.get_by_text("Connection lost.")).to_be_hidden()
    assert len(cuts) > 2


def test_a_job_that_is_not_there_is_said_to_be_so(visit: Visit) -> None:
    page = visit.open("/jobs/job_" + "0" * 32)
    expect(page.get_by_role("alert")).to_contain_text("There is no job with this id.")


# --- for everybody ------------------------------------------------------------------------------------------


def test_it_works_without_a_mouse(visit: Visit, phantom: Path) -> None:
    visit.page.on("filechooser", lambda chooser: chooser.set_files(str(phantom)))
    page = visit.open()
    expect(page.get_by_text("Drop images here")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("input[type=file]")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "Read this image")
    page.keyboard.press("Enter")
    expect(page.locator("canvas")).to_be_visible()
    tab_to(page, "Show where the model looked")
    page.keyboard.press("Space")
    expect(page.get_by_text("Coarse: 7")).to_be_visible()
    tab_to(page, "Opacity")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("output[for=slide-opacity]")).to_have_text("59 %")


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the control of this name has the focus."""
    at = "() => { const e = document.activeElement; return e.labels?.[0]?.textContent ?? e.textContent; }"
    for _ in range(40):
        page.keyboard.press("Tab")
        if str(page.evaluate(at)).startswith(name):
            return
    pytest.fail(f"no Tab leads to {name}")


def test_dark_follows_the_system_and_the_button(make_visit: MakeVisit) -> None:
    page = make_visit(color_scheme="dark").open()
    assert lightness(page) < 60
    page.get_by_role("button", name="Light theme").click()
    assert lightness(page) > 200
    page.reload()
    expect(page.get_by_role("button", name="Dark theme")).to_be_visible()
    assert lightness(page) > 200


def lightness(page: Page) -> float:
    channels = page.evaluate(
        "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    )
    return float(sum(channels[:3])) / 3


def test_nothing_is_cut_off_at_390_px_and_the_answer_comes_first(
    make_visit: MakeVisit, cluster: Cluster, phantom: Path
) -> None:
    job = cluster.run(phantom.read_bytes())
    narrow = make_visit(viewport={"width": 390, "height": 844})
    for route in (*_ROUTES, f"/jobs/{job['id']}"):
        page = narrow.open(route)
        settle(page)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390, route
    image, first = page.locator("canvas").bounding_box(), answer(page).bounding_box()
    assert image
    assert first
    assert first["y"] < image["y"]


#: In the dark everything is the same but the colours.
@pytest.mark.parametrize(("scheme", "options"), [("light", {}), ("dark", {"runOnly": ["color-contrast"]})])
def test_axe_finds_no_barrier(
    make_visit: MakeVisit, cluster: Cluster, phantom: Path, scheme: str, options: dict[str, Any]
) -> None:
    jobs = [
        cluster.run(phantom.read_bytes())["id"],
        cluster.run(phantom.read_bytes(), model=f"{_NAME}/{DOUBTING}")["id"],
    ]
    visit = make_visit(color_scheme=scheme, viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    for route in (*_ROUTES, *(f"/jobs/{job}" for job in jobs)):
        page = visit.open(route)
        settle(page)
        found = Axe().run(page, options=options)
        assert found.violations_count == 0, f"{route}\n{found.generate_report()}"


# --- fast, and at home --------------------------------------------------------------------------------------


def test_it_is_light(make_visit: MakeVisit) -> None:
    visit = make_visit()
    wire = visit.context.new_cdp_session(visit.page)
    wire.send("Network.enable")
    sizes: list[float] = []
    wire.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    settle(visit.open())
    assert len(sizes) > 4
    assert sum(sizes) < _MOST_BYTES


def test_the_first_answer_alone_paints_the_page(make_visit: MakeVisit) -> None:
    visit = make_visit()
    visit.page.route("**/page/**", lambda route: route.abort())
    page = visit.open()
    expect(page.get_by_role("heading", name="Submit images")).to_be_visible()
    expect(page.get_by_text(DISCLAIMER)).to_be_in_viewport()
    assert page.evaluate("() => getComputedStyle(document.querySelector('.top')).position") == "sticky"
    assert page.evaluate("() => performance.getEntriesByName('first-contentful-paint').length") == 1
