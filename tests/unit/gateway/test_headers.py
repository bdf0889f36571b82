"""The headers that guard browsers stand on every answer, and the page of the API keeps to its own policy."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from services.gateway.app import create_app
from services.gateway.resources import open_resources
from tests.unit.gateway.forms import settings
from tests.unit.gateway.test_app import ask

_GUARDS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-embedder-policy": b"require-corp",
    b"cross-origin-resource-policy": b"same-origin",
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FastAPI]:
    resources = open_resources(settings(blob_url=f"file://{tmp_path}"))
    made = create_app(resources)

    @made.get("/broken", include_in_schema=False)
    async def broken() -> None:
        raise ValueError

    yield made
    resources.close()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/healthz", 200),
        ("/openapi.json", 200),
        ("/docs", 200),
        ("/docs/swagger-ui.css", 200),
        ("/", 200),
        ("/page/any/app.js", 200),
        ("/page/any/nothing.js", 404),
        ("/nothing", 404),
        ("/v1/jobs/-nothing", 404),
        ("/broken", 500),
    ],
)
def test_every_answer_has_them(app: FastAPI, path: str, status: int) -> None:
    answered, headers, _ = ask(app, path)
    assert answered == status
    assert headers.items() >= _GUARDS.items()
    assert b"camera=()" in headers[b"permissions-policy"]
    policy = headers[b"content-security-policy"]
    assert policy.startswith(b"default-src 'none';")
    assert b"unsafe" not in policy
    assert b"frame-ancestors 'none'" in policy
    assert b"server" not in headers
    assert b"strict-transport-security" not in headers


def test_an_api_answer_may_load_nothing(app: FastAPI) -> None:
    policy = ask(app, "/healthz")[1][b"content-security-policy"]
    assert b"-src" not in policy.removeprefix(b"default-src 'none'")


def test_https_is_insisted_on_where_told_to(tmp_path: Path) -> None:
    resources = open_resources(settings(blob_url=f"file://{tmp_path}", hsts_s=86400))
    headers = ask(create_app(resources), "/nothing")[1]
    resources.close()
    assert headers[b"strict-transport-security"] == b"max-age=86400"


def test_the_page_of_the_api_needs_no_other_host_and_no_inline_script(app: FastAPI) -> None:
    _, headers, body = ask(app, "/docs")
    assert b"script-src 'self'; style-src 'self'" in headers[b"content-security-policy"]
    page = body.decode()
    assert "//" not in page
    assert re.findall(r"<script(?! src=)|<style|\son\w+=|style=", page) == []
    wanted = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(wanted) == 4
    for path in wanted:
        status, headers, body = ask(app, f"/{path}")
        assert (status, bool(body)) == (200, True), path
        kind = {"js": b"javascript", "css": b"text/css", "png": b"image/png"}[path.rsplit(".")[-1]]
        assert kind in headers[b"content-type"]
    assert b"SwaggerUIBundle" in ask(app, "/docs/swagger-ui-bundle.js")[2]
    assert b'url: "openapi.json"' in ask(app, "/docs/start.js")[2]


def test_no_other_file_of_the_package_is_served(app: FastAPI) -> None:
    for name in ("redoc.standalone.js", "..", "__init__.py", "%2e%2e%2fcore.py"):
        assert ask(app, f"/docs/{name}")[0] == 404


@pytest.mark.parametrize("given", ["*", "proxy.example", "10.0.0.0/33"])
def test_a_trusted_proxy_is_an_address(given: str) -> None:
    with pytest.raises(ValueError, match="trusted_proxies"):
        settings(trusted_proxies=given)


def test_trusted_proxies_are_split() -> None:
    assert settings(trusted_proxies="127.0.0.1, 10.0.0.0/8,").proxies == ["127.0.0.1", "10.0.0.0/8"]


@pytest.mark.parametrize(
    "given", ["*", "null", "ris.example.org", "https://ris.example.org/", "HTTPS://RIS.example", "file://"]
)
def test_an_origin_is_as_browsers_send_it(given: str) -> None:
    with pytest.raises(ValueError, match="cors_origins"):
        settings(cors_origins=given)


def test_origins_are_split() -> None:
    given = "https://ris.example.org, http://localhost:3000,http://[::1]:3000,"
    assert settings(cors_origins=given).origins == [
        "https://ris.example.org",
        "http://localhost:3000",
        "http://[::1]:3000",
    ]
