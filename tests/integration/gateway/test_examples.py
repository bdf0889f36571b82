"""What the OpenAPI document shows, sent to the gateway that serves it; the answers against what it promises."""

import json
from typing import Any

import jsonschema_rs
import pytest

from services.gateway.examples import COMPLETED, QUEUED, SUBMISSIONS
from tests.integration.gateway.process import House
from tests.integration.gateway.test_follow import complete
from tests.unit.gateway import images


def check(house: House, operation: tuple[str, str], answer: Any) -> None:
    """The answer is as the document says of this operation."""
    document = house.http.get("/openapi.json").json()
    method, path = operation
    described = document["paths"][path][method]["responses"]
    content = described[str(answer.status_code)]["content"][answer.headers["content-type"]]
    whole = {**content["schema"], "components": document["components"]}
    jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(answer.json())


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_each_submission_is_accepted_as_shown(house: House, name: str) -> None:
    document = house.http.get("/openapi.json").json()
    for method, path, address in (
        ("post", "/v1/jobs", "/v1/jobs"),
        ("put", "/v1/jobs/{job_id}", "/v1/jobs/scan-0017"),
    ):
        body = document["paths"][path][method]["requestBody"]["content"]["multipart/form-data"]
        fields = _as_form(body["examples"][name]["value"])
        if method == "put" and "deduplicate" in fields:
            continue  # does not go with an id of one's own (docs/api.md)
        answer = house.http.request(method, address, files={"image": images.png()}, data=fields)
        assert answer.status_code == 202, answer.text
        check(house, (method, path), answer)


def _as_form(fields: dict[str, Any]) -> dict[str, str]:
    """As the document says: an object is JSON, all else its text."""
    return {k: json.dumps(v) if isinstance(v, dict) else str(v) for k, v in fields.items()}


def test_an_example_of_a_job_looks_like_a_job(house: House) -> None:
    ref = house.accepted(images.png(), metadata='{"study": "A-17"}', priority="stat")
    queued = house.job(ref)
    queued["queue"]["estimated_wait_s"] = 1.5  # nothing has ended here yet
    assert _shape(queued) == _shape(QUEUED.model_dump(mode="json"))
    complete(house, ref)
    ended = house.job(ref)
    assert set(ended) == set(COMPLETED.model_dump(mode="json"))
    assert set(ended["readings"]["ml"]) == set(COMPLETED.model_dump(mode="json")["readings"]["ml"])
    assert set(ended["result"]) == set(COMPLETED.model_dump(mode="json")["result"])


def _shape(value: Any) -> Any:
    """Names and kinds without what they hold."""
    if isinstance(value, dict):
        return {name: _shape(one) for name, one in value.items()}
    return type(value).__name__


def test_each_read_with_the_shown_parameters_is_answered_as_promised(house: House) -> None:
    """Nobody has a job with the id that is shown: it is a 404, in the promised form."""
    document = house.http.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        shown = {p["name"]: p.get("example") for p in operations.get("get", {}).get("parameters", ())}
        if "get" not in operations:
            continue
        in_path = {name: value for name, value in shown.items() if f"{{{name}}}" in path}
        address = path.format(**in_path)
        query = {
            parameter["name"]: parameter["example"]
            for parameter in operations["get"].get("parameters", ())
            if parameter["in"] == "query" and "example" in parameter
        }
        answer = house.http.get(address, params=query)
        kept = operations["get"]["responses"]
        content = (kept.get(str(answer.status_code)) or kept["default"])["content"]
        schema = content[answer.headers["content-type"]]["schema"]
        whole = {**schema, "components": document["components"]}
        jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(answer.json())
        if in_path:
            assert answer.status_code == 404, address
