"""A real, headless Chromium, Debian's, and what a page in it did that it should not do."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

#: Generous: the machine may be busy with other things.
PATIENCE_S = 30
expect.set_options(timeout=PATIENCE_S * 1000)


def program() -> str:
    """Chromium's path; skips the test without one, and fails it under `.ci/run`, which installs one."""
    found = shutil.which("chromium")
    if found is None:
        reason = "no chromium on the PATH (Debian: chromium)"
        if os.environ.get("SKIP_NOTHING"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; `--no-sandbox` because a container's root has none."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A tab at the page of one gateway, which keeps count of complaints and of hosts that were asked."""

    def __init__(self, browser: Browser, url: str, **context: Any) -> None:
        self.url = url
        self.context: BrowserContext = browser.new_context(**context)
        self.context.set_default_timeout(PATIENCE_S * 1000)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", lambda message: self._heard(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def open(self, route: str = "/") -> Page:
        """Go to a part of the page, `/jobs/...`."""
        self.page.goto(f"{self.url}/#{route}")
        return self.page

    def close(self) -> None:
        self.context.close()

    @property
    def strangers(self) -> set[str]:
        """Hosts other than the gateway's own that the page asked for anything."""
        return {host for host in self.hosts if host and host != urlsplit(self.url).netloc}

    def _heard(self, kind: str, text: str) -> None:
        # A refused request is an answer that the page explains; the browser calls it an error all the same.
        if kind in {"error", "warning"} and "Failed to load resource" not in text:
            self.complaints.append(text)
