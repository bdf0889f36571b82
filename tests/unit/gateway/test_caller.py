"""Who a caller is, and what a route makes of it."""

import pytest
from fastapi import FastAPI, Request

from services.gateway import caller, problems
from services.gateway.app import create_app
from services.gateway.caller import OPEN, Caller, Reader, Scope
from services.gateway.resources import open_resources
from shared.errors import ForbiddenError, UnauthenticatedError
from tests.unit.gateway.forms import run, settings
from tests.unit.gateway.test_app import ask


def bare_request(app: FastAPI) -> Request:
    return Request({"type": "http", "app": app, "headers": [], "path": "/", "method": "GET", "state": {}})


@pytest.fixture
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    folder = tmp_path_factory.mktemp("blobs")
    return create_app(open_resources(settings(blob_url=f"file://{folder}", tenant="ward-7")))


def test_without_keys_everybody_is_the_tenant_of_the_setting(app: FastAPI) -> None:
    who = run(caller.of(bare_request(app), Scope.ADMIN))
    assert who == Caller(OPEN, "ward-7", frozenset(Scope))


@pytest.mark.parametrize(
    ("error", "status", "challenge"),
    [(UnauthenticatedError("Who?"), 401, b"Bearer"), (ForbiddenError("No."), 403, None)],
)
def test_a_refusal_is_a_problem_and_401_carries_a_challenge(
    app: FastAPI, error: Exception, status: int, challenge: bytes | None
) -> None:
    @app.get("/refused")
    async def refused() -> None:
        raise error

    found, headers, _ = ask(app, "/refused")
    assert found == status
    assert headers[b"content-type"] == problems.MEDIA_TYPE.encode()
    assert headers.get(b"www-authenticate") == challenge


def test_a_caller_without_the_scope_is_refused(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    async def submits_only(_request: Request) -> Caller:
        return Caller("k1", "ward-7", frozenset({Scope.SUBMIT}))

    @app.get("/theirs")
    async def theirs(who: Reader) -> str:
        return who.tenant

    assert ask(app, "/theirs")[0] == 200
    monkeypatch.setattr(caller, "identify", submits_only)
    status, _, body = ask(app, "/theirs")
    assert (status, b"scope_missing" in body) == (403, True)
