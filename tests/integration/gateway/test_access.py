"""A gateway that takes keys: who gets in, what a refusal says, and what a tenant can learn of another."""

import secrets
import time
from datetime import timedelta

import httpx
import redis

from services.gateway.api_keys import Token
from shared.names import new_job_id
from tests.integration.gateway.guarded import EVERYTHING, OPEN, Guarded
from tests.integration.gateway.test_follow import complete, forget
from tests.support.waiting import wait_until
from tests.unit.gateway import images


def assert_refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)


def test_no_endpoint_answers_without_a_key(guarded: Guarded) -> None:
    for method, path in guarded.endpoints():
        assert_refused(guarded.ask(method, path, None), 401, "key_required")
    assert guarded.house.left_behind() == []


def test_no_endpoint_answers_an_unknown_key_or_a_wrong_secret(guarded: Guarded) -> None:
    known = guarded.key()
    for token in (Token.make(), Token(known.key_id, Token.make().secret)):
        for method, path in guarded.endpoints():
            assert_refused(guarded.ask(method, path, token), 401, "bad_key")


def test_no_endpoint_answers_a_revoked_key(guarded: Guarded) -> None:
    token = guarded.key()
    guarded.admin.revoke(token.key_id)
    wait_until(lambda: guarded.ask("GET", "/v1/models", token).status_code == 401, what="it is refused")
    for method, path in guarded.endpoints():
        assert_refused(guarded.ask(method, path, token), 401, "key_revoked")


def test_no_endpoint_answers_an_expired_key(guarded: Guarded) -> None:
    token = guarded.key(lifetime=timedelta(days=1))
    new, *_ = guarded.admin.rotate(token.key_id, timedelta(0))
    wait_until(lambda: guarded.ask("GET", "/v1/models", token).status_code == 401, what="it is refused")
    for method, path in guarded.endpoints():
        assert_refused(guarded.ask(method, path, token), 401, "key_expired")
    assert new.expires_at


def test_a_key_does_what_its_scopes_say_and_nothing_else(guarded: Guarded) -> None:
    ref = guarded.submit(guarded.key())
    job = f"/v1/jobs/{ref.job_id}"
    needs = {
        ("POST", "/v1/jobs"): "submit",
        ("PUT", "/v1/jobs/mine"): "submit",
        ("GET", "/v1/jobs"): "read",
        ("POST", "/v1/batches"): "submit",
        ("GET", "/v1/batches/batch_1"): "read",
        ("GET", "/v1/batches/batch_1/results.jsonl"): "read",
        ("POST", "/v1/batches/batch_1/cancel"): "submit",
        ("DELETE", "/v1/batches/batch_1"): "submit",
        ("GET", job): "read",
        ("GET", f"{job}/heatmap.png"): "read",
        ("GET", f"{job}/preview.jpg"): "read",
        ("GET", f"{job}/report.pdf"): "read",
        ("GET", f"{job}/events"): "read",
        ("GET", f"{job}/result"): "read",
        ("GET", f"{job}/task"): "read",
        ("GET", f"{job}/dicom/sr"): "read",
        ("GET", f"{job}/deliveries"): "read",
        ("POST", f"{job}/deliveries/redeliver"): "submit",
        ("POST", f"{job}/cancel"): "submit",
        ("POST", f"{job}/retry"): "submit",
        ("DELETE", "/v1/jobs/mine"): "submit",
        ("POST", "/dicomweb/studies"): "submit",
        ("POST", "/dicomweb/studies/2.25.1"): "submit",
        ("GET", "/v1/dead-letters"): "admin",
        ("GET", "/v1/cluster"): "admin",
        ("GET", f"/v1/dead-letters/{ref.job_id}"): "admin",
        ("POST", f"/v1/dead-letters/{ref.job_id}/replay"): "admin",
    }
    for scope in EVERYTHING:
        token = guarded.key(scopes=(scope,))
        assert guarded.ask("GET", "/v1/models", token).status_code == 200
        for (method, path), needed in needs.items():
            answer = guarded.ask(method, path, token)
            if scope == needed:
                assert answer.status_code not in {401, 403}, (path, scope)
            else:
                assert_refused(answer, 403, "scope_missing")


def test_every_endpoint_is_in_the_table_of_scopes(guarded: Guarded) -> None:
    """A new endpoint belongs into the test above, or it takes any key."""
    paths = guarded.house.http.get("/openapi.json").json()["paths"]
    assert set(paths) - OPEN == {
        "/v1/models",
        "/v1/jobs",
        "/v1/jobs/{job_id}",
        "/v1/jobs/{job_id}/heatmap.png",
        "/v1/jobs/{job_id}/preview.jpg",
        "/v1/jobs/{job_id}/report.pdf",
        "/v1/jobs/{job_id}/events",
        "/v1/jobs/{job_id}/result",
        "/v1/jobs/{job_id}/task",
        "/v1/jobs/{job_id}/dicom/{result}",
        "/v1/jobs/{job_id}/deliveries",
        "/v1/jobs/{job_id}/deliveries/redeliver",
        "/v1/jobs/{job_id}/cancel",
        "/v1/jobs/{job_id}/retry",
        "/v1/batches",
        "/v1/batches/{batch_id}",
        "/v1/batches/{batch_id}/results.jsonl",
        "/v1/batches/{batch_id}/cancel",
        "/v1/dead-letters",
        "/v1/dead-letters/{job_id}",
        "/v1/dead-letters/{job_id}/replay",
        "/v1/cluster",
        "/dicomweb/studies",
        "/dicomweb/studies/{study}",
    }
    for path, operations in paths.items():
        for operation in operations.values():
            assert ("security" in operation) == (path not in OPEN), path


def test_a_key_may_come_in_its_own_header(guarded: Guarded) -> None:
    token = guarded.key()
    assert guarded.house.http.get("/v1/models", headers={"X-API-Key": token.text}).status_code == 200
    both = {"X-API-Key": token.text, "Authorization": f"Bearer {Token.make().text}"}
    assert_refused(guarded.house.http.get("/v1/models", headers=both), 401, "bad_key")
    assert_refused(guarded.house.http.get("/v1/models", params={"api_key": token.text}), 401, "key_required")


def test_a_key_works_while_the_ledger_forgets_and_not_while_the_store_is_away(guarded: Guarded) -> None:
    token = guarded.key()
    ref = guarded.submit(token)
    complete(guarded.house, ref)
    forget(guarded.house, ref)
    assert guarded.ask("GET", f"/v1/jobs/{ref.job_id}", token).status_code == 200

    blobs, hidden = guarded.house.folder / "blobs" / "_keys", guarded.house.folder / "hidden"
    blobs.rename(hidden)
    blobs.write_text("a file where a folder should be: the store cannot be read")
    try:
        wait_until(lambda: guarded.ask("GET", "/v1/models", token).status_code != 200, what="it is forgotten")
        assert_refused(guarded.ask("GET", "/v1/models", token), 503, "blob_store_unavailable")
    finally:
        blobs.unlink()
        hidden.rename(blobs)
    wait_until(lambda: guarded.ask("GET", "/v1/models", token).status_code == 200, what="all is well again")


def test_a_refused_upload_is_not_read(guarded: Guarded) -> None:
    answer = guarded.ask("POST", "/v1/jobs", None, files={"image": ("scan", images.noise(2 << 20))})
    assert_refused(answer, 401, "key_required")
    assert answer.headers["connection"] == "close"
    assert guarded.house.left_behind() == []


# --- health -----------------------------------------------------------------------------------------------


def test_a_stranger_learns_the_status_and_an_operator_the_reasons(guarded: Guarded) -> None:
    url = "/readyz"
    stranger = guarded.house.http.get(url)
    assert (stranger.status_code, stranger.json()) == (503, {"status": "unavailable"})
    for scopes in (("submit",), ("read",)):
        assert guarded.ask("GET", url, guarded.key(scopes=scopes)).json() == {"status": "unavailable"}
    assert guarded.ask("GET", url, Token.make()).json() == {"status": "unavailable"}
    assert "ml_worker" in guarded.ask("GET", url, guarded.key(scopes=("admin",))).json()["missing"]
    assert guarded.house.http.get("/healthz").json() == {"status": "ok"}


def test_strangers_who_ask_much_make_the_house_write_little(guarded: Guarded) -> None:
    with guarded.house.ledger_server.client() as client:
        start = time.monotonic()
        before = calls(client)
        for _ in range(100):
            guarded.house.http.get("/readyz")
        # Two looks fit into the first second, and a slow machine may take longer for a hundred answers.
        assert calls(client) - before <= 2 + (time.monotonic() - start)


def calls(client: "redis.Redis") -> int:
    return int(client.info("commandstats").get("cmdstat_hset", {}).get("calls", 0))


# --- tenants ----------------------------------------------------------------------------------------------


def test_another_tenants_job_a_forgotten_one_and_none_at_all_are_the_same(guarded: Guarded) -> None:
    theirs, mine = guarded.key("theirs"), guarded.key("mine")
    live = guarded.submit(theirs)
    archived = guarded.submit(theirs)
    complete(guarded.house, archived)
    forget(guarded.house, archived)
    gone = guarded.submit(mine)
    complete(guarded.house, gone)
    forget(guarded.house, gone)
    for file in guarded.house.files():
        if gone.job_id in file.name:
            file.unlink()

    for method, suffix in (
        ("GET", ""),
        ("GET", "/heatmap.png"),
        ("GET", "/preview.jpg"),
        ("GET", "/report.pdf"),
        ("GET", "/result"),
        ("GET", "/task"),
        ("GET", "/dicom/sr"),
        ("GET", "/events"),
        ("GET", "/deliveries"),
        ("POST", "/deliveries/redeliver"),
        ("POST", "/cancel"),
    ):
        said = set()
        for job_id in (live.job_id, archived.job_id, gone.job_id, new_job_id()):
            answer = guarded.ask(method, f"/v1/jobs/{job_id}{suffix}", mine)
            headers = {
                name: value for name, value in answer.headers.items() if name not in {"date", "x-request-id"}
            }
            said.add((answer.status_code, answer.text.replace(job_id, "ID"), str(headers)))
        assert len(said) == 1, said
        assert '"unknown_job"' in said.pop()[1]
    assert guarded.ask("GET", f"/v1/jobs/{live.job_id}", theirs).json()["state"] == "queued"


def test_another_tenants_job_cannot_be_a_prior(guarded: Guarded) -> None:
    theirs, mine = guarded.key("theirs"), guarded.key("mine")
    ref = guarded.submit(theirs)
    complete(guarded.house, ref)
    said = set()
    for job_id in (ref.job_id, new_job_id()):
        files = {"image": ("scan", images.png())}
        answer = guarded.ask("POST", "/v1/jobs", mine, files=files, data={"prior_job_id": job_id})
        said.add((answer.status_code, answer.text))
    assert len(said) == 1
    assert "unknown_prior" in said.pop()[1]
    guarded.submit(theirs, prior_job_id=ref.job_id)


def test_two_keys_of_a_tenant_share_its_jobs(guarded: Guarded) -> None:
    ref = guarded.submit(guarded.key("mine"))
    assert guarded.ask("GET", f"/v1/jobs/{ref.job_id}", guarded.key("mine")).status_code == 200


# --- what is written down ---------------------------------------------------------------------------------


def test_the_log_names_the_key_by_its_id_and_holds_no_secret(guarded: Guarded) -> None:
    token, stranger = guarded.key(), Token("f" * 12, secrets.token_hex(32))
    guarded.ask("GET", "/v1/models", token)
    guarded.ask("GET", "/v1/models", stranger)
    guarded.house.http.get("/v1/models", params={"key": token.text})
    guarded.house.http.get(f"/{token.text}")
    wait_until(lambda: token.key_id in guarded.house.log(), what="the request is logged")
    log = guarded.house.log()
    for secret in (token.secret, token.secret_sha256, stranger.secret, stranger.key_id):
        assert secret not in log
