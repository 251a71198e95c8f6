"""The OpenAPI document of the prediction listener."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_spec_validator import validate

from penstock.domain.errors import ErrorCode
from penstock.http.errors import STATUS
from penstock.http.openapi import REFUSALS, document

METHODS_PATHS = [
    "get /",
    "get /v1/models",
    "get /v1/models/{model}",
    "get /v1/models/{model}/versions/{version}",
    "post /v1/models/{model}:predict",
    "post /v1/models/{model}/versions/{version}:predict",
    "get /v2",
    "get /v2/health/live",
    "get /v2/health/ready",
    "get /v2/models",
    "get /v2/models/stats",
    *(
        f"{method} /v2/models/{{model}}{version}{rest}"
        for version in ("", "/versions/{version}")
        for method, rest in (("get", ""), ("get", "/ready"), ("post", "/infer"), ("get", "/config"), ("get", "/stats"))
    ),
    "post /v2/models/{model}/feedback",
    "post /v2/repository/index",
    "get /v2/logging",
]


@pytest.fixture(name="document", scope="module")
def _document() -> dict[str, Any]:
    """The document as clients read it: through JSON."""
    return json.loads(json.dumps(document("1.2.3")))  # type: ignore[no-any-return]


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def parts(document: object) -> Iterator[dict[str, Any]]:
    """Yield every object of the document."""
    children = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    if isinstance(document, dict):
        yield document
    for child in children:
        yield from parts(child)


def test_document_is_valid_openapi(document: dict[str, Any]) -> None:
    """The specification's own schema accepts the document, and every reference leads somewhere."""
    validate(document)

    assert document["openapi"].startswith("3.1")
    assert document["info"]["version"] == "1.2.3"


def test_all_operations_are_described(document: dict[str, Any]) -> None:
    """Exactly the operations of the prediction listener are there, whether a version is named or not."""
    described = {f"{method} {path}" for path, method, _ in operations(document)}

    assert described == set(METHODS_PATHS)


def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    """A generated client gets a method of its own for each operation."""
    ids = [operation["operationId"] for _, _, operation in operations(document)]

    assert sorted(set(ids)) == sorted(ids)


def test_each_operation_explains_itself(document: dict[str, Any]) -> None:
    """Each has a summary, a description, an answer for success and one for the wrong method."""
    for path, method, operation in operations(document):
        assert operation["summary"], (method, path)
        assert operation["description"], (method, path)
        assert {"200", "405"} <= set(operation["responses"]), (method, path)


def test_each_variable_of_a_path_is_a_parameter(document: dict[str, Any]) -> None:
    """The variables in a path and its path parameters are the same names."""
    declared = document["components"]["parameters"]
    for path, _, operation in operations(document):
        rows = [declared[part["$ref"].rpartition("/")[2]] for part in operation["parameters"]]

        assert [row["name"] for row in rows if row["in"] == "path"] == re.findall(r"{(\w+)}", path)


@pytest.mark.parametrize(("path", "never"), [("/v2/models/{model}/infer", set()), ("/v1/models/{model}:predict", {501})])
def test_predictions_name_our_headers_and_every_refusal(document: dict[str, Any], path: str, never: set[int]) -> None:
    """A caller learns of deadlines, priorities and ids, and of each status to be ready for; V1 has no parameters to ask too much by."""
    operation = document["paths"][path]["post"]

    names = {part["$ref"].rpartition("/")[2] for part in operation["parameters"]}
    ours = {"x-request-id", "penstock-deadline-ms", "penstock-priority", "penstock-route", "traceparent"}
    said = {"penstock-model-version", "penstock-arm", "x-request-id", "server-timing"}
    assert ours <= names
    assert said <= set(operation["responses"]["200"]["headers"])
    assert {"200", *map(str, (REFUSALS.keys() | {501}) - never)} == set(operation["responses"])
    assert "retry-after" in document["components"]["responses"]["OVERLOADED"]["headers"]


def test_infer_offers_binary_tensors_both_ways(document: dict[str, Any]) -> None:
    """The binary tensor extension shows in the request, in the answer and in the header that both need."""
    operation = document["paths"]["/v2/models/{model}/infer"]["post"]

    length = "Inference-Header-Content-Length"
    assert "application/octet-stream" in operation["requestBody"]["content"]
    assert "application/octet-stream" in operation["responses"]["200"]["content"]
    assert length in operation["responses"]["200"]["headers"]
    assert {"$ref": f"#/components/parameters/{length}"} in operation["parameters"]


def test_refusals_have_the_status_that_the_server_sends() -> None:
    """The table of refusals and the table by which errors become answers say the same."""
    assert {row.code: status for status, row in REFUSALS.items()} == {row.code: STATUS[ErrorCode(row.code)] for row in REFUSALS.values()}


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    """Whoever copies an example sends something that the described schema allows."""
    contents = [part for part in parts(document) if "schema" in part and "example" in part]
    assert len(contents) > len(document["paths"])

    for content in contents:
        schema = content["schema"] | {"components": document["components"]}
        Draft202012Validator(schema).validate(content["example"])


def test_no_component_is_left_over(document: dict[str, Any]) -> None:
    """Whatever is described for all operations is used by one of them."""
    used = {part["$ref"] for part in parts(document) if "$ref" in part}
    named = {
        f"#/components/{kind}/{name}"
        for kind, components in document["components"].items()
        for name in components
        if kind != "securitySchemes"
    }

    assert named == used
