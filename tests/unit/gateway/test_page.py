"""How the page is served: compressed, kept by version, under a policy of its own, and no file but its own."""

import base64
import gzip
import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from services.gateway.app import create_app
from services.gateway.page_files import load
from services.gateway.resources import open_resources
from shared.contracts import (
    DISCLAIMER,
    AbstainReason,
    Agreement,
    Direction,
    IncomparableReason,
    PolicyName,
    ReviewReason,
    RiskBand,
    SkippedReason,
    UnavailableReason,
)
from shared.job_state import JobState
from tests.unit.gateway.forms import settings
from tests.unit.gateway.test_app import ask

PAGE = load()
APP = f"/page/{PAGE.version}/app.js"
#: What a server may send before it hears from the browser (RFC 6928: ten segments).
ONE_ROUND_TRIP = 14_600


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FastAPI]:
    resources = open_resources(settings(blob_url=f"file://{tmp_path}"))
    yield create_app(resources)
    resources.close()


def test_the_style_in_the_page_is_the_one_that_its_policy_lets_in(app: FastAPI) -> None:
    _, headers, body = ask(app, "/")
    (style,) = re.findall(rb"<style>(.*?)</style>", body, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    policy = headers[b"content-security-policy"].decode()
    assert f"style-src 'sha256-{digest}';" in policy
    assert "script-src 'self';" in policy
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
    assert "unsafe" not in policy


def test_it_has_nothing_inline_and_nothing_from_elsewhere(app: FastAPI) -> None:
    page = ask(app, "/")[2].decode()
    assert re.findall(r"<script(?! type=\"module\" src=)|\son\w+=|\sstyle=|https?:", page) == []
    assert DISCLAIMER in page
    assert "{{" not in page
    for path in re.findall(r'(?:src|href)="(page/[^"]+)"', page):
        assert ask(app, f"/{path}")[0] == 200, path


def test_no_module_makes_markup_of_text() -> None:
    for name, asset in PAGE.assets.items():
        found = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function",
            asset.body.decode(),
        )
        assert found == [], name


def test_every_module_that_is_asked_for_is_there() -> None:
    for name, asset in PAGE.assets.items():
        for wanted in re.findall(r'(?:from|import\() ?"\./([\w.]+)"', asset.body.decode()):
            assert wanted in PAGE.assets, f"{name} wants {wanted}"


def test_the_first_answer_needs_one_round_trip() -> None:
    assert len(PAGE.html.gzipped) + 1_000 < ONE_ROUND_TRIP  # and the headers


def test_all_of_it_together_is_light() -> None:
    assert len(PAGE.html.gzipped) + sum(len(asset.gzipped) for asset in PAGE.assets.values()) < 60_000


def test_it_is_compressed_for_who_takes_that(app: FastAPI) -> None:
    for path in ("/", APP):
        plain, packed = ask(app, path), ask(app, path, headers={"accept-encoding": "br, gzip"})
        assert packed[1][b"content-encoding"] == b"gzip"
        assert gzip.decompress(packed[2]) == plain[2]
        assert b"content-encoding" not in plain[1]
        assert plain[1][b"vary"] == packed[1][b"vary"] == b"Accept-Encoding"


def test_it_is_sent_once(app: FastAPI) -> None:
    for path in ("/", APP):
        status, headers, _ = ask(app, path)
        assert status == 200
        again = ask(app, path, headers={"if-none-match": headers[b"etag"].decode()})
        assert (again[0], again[2]) == (304, b"")


def test_a_module_is_kept_for_ever_under_its_versions_name_alone(app: FastAPI) -> None:
    assert b"immutable" in ask(app, APP)[1][b"cache-control"]
    assert ask(app, "/page/another/app.js")[1][b"cache-control"] == b"no-cache"
    assert ask(app, "/")[1][b"cache-control"] == b"no-cache"


def test_another_version_has_another_name(tmp_path: Path) -> None:
    for name in ("index.html", "page.css", "app.js"):
        (tmp_path / name).write_text(f"{name} {{{{assets}}}}")
    before = load(tmp_path)
    (tmp_path / "app.js").write_text("changed")
    assert load(tmp_path).version != before.version


@pytest.mark.parametrize("name", ["page.css", "index.html", "..%2fapp.py", "..", "app.py", "%2e%2e"])
def test_no_other_file_is_served(app: FastAPI, name: str) -> None:
    assert ask(app, f"/page/{PAGE.version}/{name}")[0] == 404


def test_the_page_is_no_part_of_the_api(app: FastAPI) -> None:
    assert not {"/", "/page/{version}/{name}"} & set(app.openapi()["paths"])


@pytest.mark.parametrize(
    ("table", "codes"),
    [
        ("state", JobState),
        ("band", RiskBand),
        ("abstained", AbstainReason),
        ("abstainedShort", AbstainReason),
        ("review", ReviewReason),
        ("noReading", {*UnavailableReason, *SkippedReason}),
        ("agreement", Agreement),
        ("incomparable", IncomparableReason),
        ("direction", Direction),
        ("policy", PolicyName),
    ],
)
def test_every_code_is_put_into_words(table: str, codes: Iterable[str]) -> None:
    words = PAGE.assets["words.js"].body.decode()
    (found,) = re.findall(
        rf"export const {table} = (.*?)^(?:\}}|}}\)|export)", words, re.DOTALL | re.MULTILINE
    )
    assert [code for code in codes if not re.search(rf"\b{code}:", found)] == []
