"""Pages of other origins in a browser: whom the setting names may use the API, nobody else; by default nobody."""

from collections.abc import Iterator

import pytest

from tests.integration.gateway.process import House
from tests.unit.gateway import images

OURS = "https://ris.example.org"
TOLD = {"etag", "location", "retry-after", "ratelimit", "ratelimit-policy", "link", "idempotency-replayed"}


@pytest.fixture(scope="module")
def open_house() -> Iterator[House]:
    """A gateway without keys that pages of one origin may use."""
    with House(cors_origins=f"{OURS},http://localhost:3000") as house:
        yield house


def preflight(
    origin: str, method: str = "POST", headers: str = "authorization,idempotency-key"
) -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": headers,
    }


def test_by_default_no_page_is_told_anything(house: House) -> None:
    for answer in (
        house.http.get("/healthz", headers={"origin": OURS}),
        house.http.options("/v1/jobs", headers=preflight(OURS)),
    ):
        assert [name for name in answer.headers if name.startswith("access-control")] == []
    assert house.http.options("/v1/jobs", headers=preflight(OURS)).status_code == 405


def test_a_named_page_may_ask_and_is_told_what_it_needs(open_house: House) -> None:
    asked = open_house.http.options("/v1/jobs", headers=preflight(OURS))
    assert (asked.status_code, asked.content) == (204, b"")
    assert asked.headers["access-control-allow-origin"] == OURS
    assert {"DELETE", "GET", "POST", "PUT"} == set(asked.headers["access-control-allow-methods"].split(", "))
    answer = open_house.http.post(
        "/v1/jobs", files={"image": ("scan.png", images.png())}, headers={"origin": OURS}
    )
    assert answer.status_code == 202
    assert answer.headers["access-control-allow-origin"] == OURS
    assert "origin" in answer.headers["vary"].lower()
    assert {name.lower() for name in answer.headers["access-control-expose-headers"].split(", ")} >= TOLD
    # A key is sent by the page itself; what a browser adds of its own accord is never taken.
    assert "access-control-allow-credentials" not in answer.headers


def test_a_named_page_learns_what_is_wrong(open_house: House) -> None:
    for path, status in (("/v1/jobs/job_nothing", 404), ("/nowhere", 404)):
        answer = open_house.http.get(path, headers={"origin": OURS})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, OURS)
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "headers",
    [
        preflight("https://elsewhere.example"),
        preflight("null"),
        preflight(f"{OURS}.elsewhere.example"),
        preflight(OURS.replace("https", "http")),
        preflight(OURS, method="PATCH"),
        preflight(OURS, headers="x-forwarded-for"),
    ],
)
def test_others_are_refused_as_a_problem(open_house: House, headers: dict[str, str]) -> None:
    answer = open_house.http.options("/v1/jobs", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cors_refused")
    assert answer.headers["content-type"] == "application/problem+json"
    if headers["origin"] != OURS:
        assert "access-control-allow-origin" not in answer.headers


def test_a_page_that_is_not_named_is_told_nothing(open_house: House) -> None:
    answer = open_house.http.get("/healthz", headers={"origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["vary"] == "Origin"
