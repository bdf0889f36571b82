"""What only a browser can tell: the page of the API works under its own policy, and CORS lets in who is named."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.integration.gateway.guarded import Guarded
from tests.integration.gateway.process import House
from tests.support.browser import Visit, chromium
from tests.unit.gateway import images


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@contextmanager
def visit(browser: Browser, url: str) -> Iterator[Visit]:
    """A tab with nothing of any other in it."""
    opened = Visit(browser, url)
    try:
        opened.page.goto(url)
        yield opened
    finally:
        opened.close()


class Elsewhere(BaseHTTPRequestHandler):
    """Some page of another server."""

    def do_GET(self) -> None:
        body = b"<!DOCTYPE html><title>elsewhere</title>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def elsewhere() -> Iterator[str]:
    """An origin of its own."""
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(20)


#: Submits an image that the page itself made, as a hospital's own page would, and looks at what it is told.
_SUBMIT = """async ([url, png]) => {
  const form = new FormData();
  form.append("image", new Blob([Uint8Array.from(png)]), "scan.png");
  const made = await fetch(url + "/v1/jobs", {
    method: "POST", body: form, headers: {"Idempotency-Key": "page-1", "X-API-Key": "unused"}
  });
  const where = made.headers.get("location");
  const job = await fetch(url + where, {headers: {"If-None-Match": '"other"'}});
  return [made.status, where, job.headers.get("etag"), (await job.json()).state];
}"""


def test_a_page_of_a_named_origin_submits_and_follows_and_another_cannot(browser: Browser) -> None:
    with elsewhere() as named, elsewhere() as other, House(cors_origins=named) as house:
        png = list(images.png())
        with visit(browser, named) as there:
            status, where, etag, state = there.page.evaluate(_SUBMIT, [house.url, png])
            assert (status, where.startswith("/v1/jobs/job_"), bool(etag), state) == (
                202,
                True,
                True,
                "queued",
            )
            assert there.complaints == []
        before = len(house.jobs())
        with visit(browser, other) as there:
            with pytest.raises(Exception, match="Failed to fetch"):
                there.page.evaluate(_SUBMIT, [house.url, png])
            # What any form can do without asking: refused, for nobody needs a key here.
            there.page.evaluate(
                "url => fetch(url + '/v1/jobs', {method: 'POST', mode: 'no-cors', body: new FormData()})"
                ".catch(() => null)",
                house.url,
            )
        assert len(house.jobs()) == before
        assert '"status": 403' in house.log()


def test_the_page_of_the_api_submits_an_image_with_a_key(
    browser: Browser, guarded: Guarded, tmp_path: Path
) -> None:
    token = guarded.key()
    scan = tmp_path / "scan.png"
    scan.write_bytes(images.png())
    with visit(browser, f"{guarded.house.url}/docs") as there:
        opened = there.page
        opened.wait_for_selector(".opblock")
        titles = opened.locator(".opblock-summary").all_inner_texts()
        paths = guarded.house.http.get("/openapi.json").json()["paths"]
        assert len(titles) == sum(map(len, paths.values()))
        _authorize(opened, token.text)
        submit = opened.locator("#operations-jobs-jobs_submit")
        submit.locator(".opblock-summary").click()
        submit.locator("input[type=file]").set_input_files(scan)
        submit.locator("button.execute").click()
        answer = submit.locator(".live-responses-table .response").first
        answer.wait_for()
        assert answer.locator(".response-col_status").inner_text().startswith("202"), answer.inner_text()
        assert there.complaints == [], "its policy forbids something that it does"
    (ref,) = {key for key in guarded.house.jobs() if key.startswith("mediscan:job:")}
    assert "ward-7" in ref


def _authorize(opened: Page, key: str) -> None:
    opened.locator("button.authorize").first.click()
    form = opened.locator(".auth-container").first
    form.locator("input").first.fill(key)
    form.locator("button.authorize").click()
    opened.locator("button.btn-done").first.click()
