"""Every example in the OpenAPI document is one of what it stands beside. Sent to a real gateway: see integration."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from fastapi import FastAPI

from services.gateway.app import create_app
from services.gateway.openapi import TAGS
from services.gateway.resources import open_resources
from tests.unit.gateway.forms import settings

_NEEDS_SOME = {"application/json", "application/problem+json"}
#: What a caller meets; whoever runs the house reads docs.
_CALLERS = {"jobs", "batches", "webhooks", "models", "dead letters"}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    resources = open_resources(settings(blob_url=f"file://{tmp_path_factory.mktemp('blobs')}"))
    app: FastAPI = create_app(resources)
    yield app.openapi()
    resources.close()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, found in document["paths"].items():
        for method, operation in found.items():
            yield method, path, operation


def check(document: dict[str, Any], schema: dict[str, Any], value: object, where: str) -> None:
    whole = {**schema, "components": document["components"]}
    errors = list(jsonschema_rs.Draft202012Validator(whole, validate_formats=True).iter_errors(value))
    assert errors == [], f"{where}: {errors[0].message}"


def test_every_answer_in_json_has_examples_that_fit(document: dict[str, Any]) -> None:
    """A new message needs its own in services/gateway/examples.py."""
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            for kind, content in response.get("content", {}).items():
                where = f"{method} {path} {status} {kind}"
                shown = content.get("examples", {})
                is_needed = kind in _NEEDS_SOME and _CALLERS.intersection(operation["tags"])
                assert shown or not is_needed, f"{where} has no example"
                for name, example in shown.items():
                    check(document, content["schema"], example["value"], f"{where}: {name}")


def test_every_request_with_a_body_has_examples_that_fit(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            if "properties" not in content["schema"]:
                continue  # a file and nothing else
            where = f"{method} {path} {kind}"
            assert content.get("examples"), f"{where} has no example"
            for name, example in content["examples"].items():
                # What is left out of an example is the file itself.
                files = {
                    part: "bytes"
                    for part, schema in content["schema"]["properties"].items()
                    if schema.get("format") == "binary" and part in content["schema"].get("required", ())
                }
                check(document, content["schema"], {**files, **example["value"]}, f"{where}: {name}")


def test_every_parameter_in_a_path_has_an_example_that_fits(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            where = f"{method} {path} {parameter['name']}"
            assert "example" in parameter or parameter["in"] != "path", f"{where} has no example"
            if "example" in parameter:
                check(document, parameter["schema"], parameter["example"], where)


def test_every_operation_has_a_title_a_tag_and_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for *_, operation in operations(document)]
    assert sorted(set(names)) == sorted(names)
    assert {tag["name"] for tag in TAGS} >= _CALLERS
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        assert 0 < len(operation["summary"]) <= 120, f"{where}: {operation.get('summary')}"
        assert operation["tags"], where


def test_it_is_openapi_3_1_and_says_what_it_is(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert "Not a diagnosis" in document["info"]["description"]
