"""What every answer keeps to, over real connections: the form of errors, what is allowed, where to find out more."""

import json

import httpx
import pytest

from shared.names import new_job_id
from tests.integration.gateway.conftest import MAX_UPLOAD_BYTES
from tests.integration.gateway.guarded import Guarded
from tests.integration.gateway.process import House
from tests.unit.gateway import images
from tests.unit.gateway.forms import CONTENT_TYPE

JOB = f"/v1/jobs/{new_job_id()}"
FORM = {"content-type": CONTENT_TYPE}
HOST = {"host": "rebound.example"}
FOREIGN = {"origin": "https://elsewhere.example"}


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        (("POST", "/v1/jobs", FORM, b"nonsense"), 400, "bad_multipart"),
        (("POST", "/v1/jobs", FORM | FOREIGN, b""), 403, "foreign_page"),
        (("GET", "/nowhere", {}, b""), 404, "not_found"),
        (("GET", "/v1/nowhere", {}, b""), 404, "not_found"),
        (("GET", "/docs/nowhere", {}, b""), 404, "not_found"),
        (("GET", JOB, {}, b""), 404, "unknown_job"),
        (("PATCH", JOB, {}, b""), 405, "method_not_allowed"),
        (("GET", f"{JOB}/cancel", {}, b""), 405, "method_not_allowed"),
        (("OPTIONS", "/v1/jobs", {}, b""), 405, "method_not_allowed"),
        (("TRACE", "/healthz", {}, b""), 405, "method_not_allowed"),
        (("POST", "/v1/jobs", FORM, b"x" * (MAX_UPLOAD_BYTES + 1)), 413, "body_too_large"),
        (("POST", "/v1/jobs", {"content-type": "text/plain"}, b"x"), 415, "not_multipart"),
        (("GET", "/healthz", HOST, b""), 421, "wrong_host"),
        (("GET", f"{JOB}?wait=soon", {}, b""), 422, "bad_parameter"),
        (("GET", "/healthz", {"x": "y" * 40_000}, b""), 431, "headers_too_large"),
    ],
)
def test_every_refusal_is_a_problem(
    house: House, asked: tuple[str, str, dict[str, str], bytes], status: int, code: str
) -> None:
    method, path, headers, body = asked
    assert_problem(house.http.request(method, path, headers=headers, content=body), status, code)


def test_a_refused_method_is_answered_with_those_that_are_taken(house: House) -> None:
    for path, allowed in (
        ("/v1/jobs/x", {"DELETE", "GET", "PUT"}),
        ("/v1/jobs/x/cancel", {"POST"}),
        ("/healthz", {"GET"}),
    ):
        answer = house.http.request("PATCH", path)
        assert allowed <= set(answer.headers["allow"].split(", ")), path


def test_too_many_and_not_now_are_problems_that_say_when_to_come_back() -> None:
    with House(rate_per_minute=1) as house:
        assert house.submit(images.png()).status_code == 202
        refused = house.submit(images.png())
        assert_problem(refused, 429, "rate_limited")
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["ratelimit"].startswith('"minute";r=0;t=')
        assert refused.headers["ratelimit-policy"] == '"minute";q=1;w=60'

        house.ledger_server.stop()
        away = house.submit(images.png())
        assert_problem(away, 503, "ledger_unavailable")
        assert int(away.headers["retry-after"]) >= 1


def test_a_job_is_not_sent_again_while_it_is_known(house: House) -> None:
    ref = house.accepted(images.png())
    known = house.http.get(f"/v1/jobs/{ref.job_id}").headers["etag"]
    again = house.http.get(f"/v1/jobs/{ref.job_id}", headers={"if-none-match": known})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", known)
    assert "content-type" not in again.headers
    house.http.post(f"/v1/jobs/{ref.job_id}/cancel")
    changed = house.http.get(f"/v1/jobs/{ref.job_id}", headers={"if-none-match": known})
    assert changed.status_code == 200
    assert changed.headers["etag"] != known


def test_every_answer_says_where_to_find_out_more(guarded: Guarded) -> None:
    asked = [guarded.ask("GET", path, None) for path in ("/healthz", "/nowhere", JOB)]
    for answer in asked:
        links = {link["rel"]: link["url"] for link in answer.links.values()}
        assert links == {"service-desc": "/openapi.json", "service-doc help": "/docs", "status": "/readyz"}
    for link in asked[0].links.values():
        found = guarded.house.http.get(link["url"])
        assert found.headers["content-type"].partition(";")[0] == link["type"]


def test_every_address_of_a_caller_has_the_version_in_it(house: House) -> None:
    document = house.http.get("/openapi.json").json()
    assert document["info"]["version"].partition(".")[0] == "1"
    # Not of callers: whether the process lives and works, for whoever runs it. What DICOM defines has DICOM's version.
    others = [p for p in document["paths"] if not p.startswith(("/v1/", "/dicomweb/"))]
    assert others == ["/healthz", "/readyz"]


# --- pages in a browser on the same machine ----------------------------------------------------------------


def test_without_keys_no_name_but_loopbacks_own_is_answered_to(house: House) -> None:
    port = httpx.URL(house.url).port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", "127.8.9.1"):
        assert house.http.get("/healthz", headers={"host": host}).status_code == 200, host
    for host in ("rebound.example", f"127.0.0.1.rebound.example:{port}", "10.0.0.7", "[::"):
        assert_problem(house.http.get("/healthz", headers={"host": host}), 421, "wrong_host")


def test_without_keys_no_page_of_another_origin_submits_or_erases(house: House) -> None:
    ref = house.accepted(images.png())
    files = {"image": ("scan.png", images.png())}
    for origin in ("https://elsewhere.example", "null", house.url.replace("127.0.0.1", "localhost"), ""):
        headers = {"origin": origin}
        assert_problem(house.http.post("/v1/jobs", files=files, headers=headers), 403, "foreign_page")
        assert_problem(house.http.delete(f"/v1/jobs/{ref.job_id}", headers=headers), 403, "foreign_page")
    assert house.http.post("/v1/jobs", files=files, headers={"origin": house.url}).status_code == 202
    assert house.job(ref)["state"] == "queued"


def test_with_keys_nobody_is_asked_where_the_page_is_from(guarded: Guarded) -> None:
    token = guarded.key()
    for headers in (HOST, FOREIGN):
        sent = headers | {"authorization": f"Bearer {token.text}"}
        assert guarded.house.http.get("/v1/models", headers=sent).status_code == 200


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    problem = json.loads(answer.content)
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, f"/problems/{code}")
    assert problem["title"]
    assert problem["detail"].endswith((".", ")."))
