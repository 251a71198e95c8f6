"""The OpenAPI description of the prediction listener, drawn up from tables.

A row of `OPERATIONS` is one thing that a caller may do; a row about a model yields a second path, for a version.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple, cast

from penstock.domain.errors import ErrorCode
from penstock.http.openapi_feedback import FEEDBACK_PATHS, FEEDBACK_RESPONSES, FEEDBACK_SCHEMAS, FEEDBACK_TAG
from penstock.http.openapi_schemas import BYTES, EXAMPLES, HEADERS, PARAMETERS, SCHEMAS, Part, ref


def document(version: str) -> dict[str, object]:
    """Return the OpenAPI 3.1 document of a server of this version."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Penstock", "version": version, "description": _ABOUT},
        "tags": [{"name": tag, "description": text} for tag, text in TAGS.items()] + [FEEDBACK_TAG],
        "security": [{}, {"bearer": []}],
        "paths": _paths() | FEEDBACK_PATHS,
        "components": {
            "schemas": SCHEMAS | FEEDBACK_SCHEMAS,
            "headers": HEADERS,
            "parameters": PARAMETERS,
            "responses": {row.code: row.answer() for row in REFUSALS.values()} | FEEDBACK_RESPONSES,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


_ABOUT = (
    "The Open Inference Protocol (KServe v2) over REST, with those of Triton's extensions that clients use, and V1 as "
    "KServe and TensorFlow Serving speak it. A server that has keys wants one as a bearer token."
)


class Operation(NamedTuple):
    """One thing that a caller may do."""

    call: str
    """operationId, method, path. The id of the path for one version ends in `Version`."""
    summary: str
    description: str
    answer: str
    """The schema of the answer."""
    body: str = ""
    """The schema of the request's body, if it takes one."""
    tag: str = "Models"

    @property
    def predicts(self) -> bool:
        """Whether it is a prediction, with the headers and refusals of one."""
        return self.tag == "Predict"

    @property
    def binary(self) -> bool:
        """Whether tensors may also travel as bytes."""
        return self.body == "InferRequest"


class Refusal(NamedTuple):
    """An answer that is an error."""

    code: str
    description: str
    header: str = ""
    """The header that comes with it."""

    def answer(self) -> Part:
        """Return it as a response of the document."""
        content = _content("Error", example={"error": self.description, "code": ErrorCode(self.code).value})
        return {"description": self.description, "headers": _headers(self.header), "content": content}


TAGS: Final = {
    "Predict": "Ask a model. The version in the path answers, else the one that the model's route picks.",
    "Models": "What a model takes and gives, whether it is ready, what it has done.",
    "Server": "What the server is and what it holds.",
    "Health": "For probes and load balancers.",
}

OPERATIONS: Final = (
    Operation(
        "infer POST /v2/models/{model}/infer",
        "Predict with tensors",
        "Tensors travel as JSON, or as bytes after it. `Inference-Header-Content-Length` then tells where it ends. "
        "Each tensor with a `binary_data_size` follows in order, little-endian, row-major, without padding; outputs "
        "come so where `binary_data` or `binary_data_output` asks for it. FP16 and BF16 travel only as bytes. "
        "The body may be compressed with gzip or deflate.",
        "InferResponse",
        "InferRequest",
        tag="Predict",
    ),
    Operation(
        "v1Predict POST /v1/models/{model}:predict",
        "Predict with rows or columns (V1)",
        "`instances` are rows, answered by `predictions`; `inputs` are whole tensors, answered by `outputs`. A BYTES "
        'value is a text, or base64 in an object: `{"b64": "AAE="}`.',
        "V1Response",
        "V1Request",
        tag="Predict",
    ),
    Operation(
        "listModels GET /v2/models",
        "List the models",
        "Every name that other paths take for `{model}`.",
        "ModelNames",
    ),
    Operation(
        "modelMetadata GET /v2/models/{model}",
        "Describe a model",
        "The versions that are ready, and the name, datatype and shape of each input and output.",
        "ModelMetadata",
    ),
    Operation(
        "modelReady GET /v2/models/{model}/ready",
        "Is the model ready?",
        "200 if a prediction would find a version that is ready, 503 if not, 404 if there is no such model or version.",
        "ModelReady",
    ),
    Operation(
        "modelConfig GET /v2/models/{model}/config",
        "Show a model's configuration",
        "As Triton's `config.pbtxt` would say it; perf_analyzer and Model Analyzer read this.",
        "ModelConfig",
    ),
    Operation(
        "modelStatistics GET /v2/models/{model}/stats",
        "Show a model's counters",
        "Requests, rows, runs and durations of each version since it was loaded. They never go back.",
        "Statistics",
    ),
    Operation(
        "statistics GET /v2/models/stats",
        "Show all counters",
        "The counters of every version of every model.",
        "Statistics",
    ),
    Operation(
        "v1ListModels GET /v1/models",
        "List the models (V1)",
        "The same list as that of `/v2/models`.",
        "ModelNames",
    ),
    Operation(
        "v1ModelStatus GET /v1/models/{model}",
        "Show a model's state (V1)",
        "One object that serves the clients of KServe and those of TensorFlow Serving.",
        "V1Model",
    ),
    Operation(
        "serverMetadata GET /v2",
        "Describe the server",
        "Its name, its version and the extensions of the protocol that it implements.",
        "ServerMetadata",
        tag="Server",
    ),
    Operation(
        "serverLive GET /v2/health/live",
        "Is the process alive?",
        "200 until the process ends, whatever its models and its load: for liveness probes.",
        "Live",
        tag="Health",
    ),
    Operation(
        "serverReady GET /v2/health/ready",
        "Is the server ready?",
        "503 while it starts or drains, or a model wanted at the start has no ready version: for readiness probes.",
        "Ready",
        tag="Health",
    ),
    Operation(
        "v1Alive GET /",
        "Is the process alive? (V1)",
        "The liveness check of KServe's V1 clients.",
        "Alive",
        tag="Health",
    ),
    Operation(
        "repositoryIndex POST /v2/repository/index",
        "List every version",
        "Ready or not, and why not. The protocol makes it a POST, but it only reads; the body may be left out.",
        "Index",
        "IndexRequest",
        tag="Server",
    ),
    Operation(
        "logSettings GET /v2/logging",
        "Show the log settings",
        "What the server logs now. The admin listener changes it.",
        "LogSettings",
        tag="Server",
    ),
)

REFUSALS: Final = {
    400: Refusal("INVALID_ARGUMENT", "The request contradicts the protocol or what the model declares."),
    401: Refusal("UNAUTHENTICATED", "The server has keys, and the request carries none of them.", "www-authenticate"),
    403: Refusal("PERMISSION_DENIED", "The key does not allow this."),
    404: Refusal("NOT_FOUND", "There is no such path, model, version or alias."),
    405: Refusal("METHOD_NOT_ALLOWED", "The path exists and does not take this method.", "allow"),
    413: Refusal("TOO_LARGE", "The body, as sent or after decompression, is above the limit."),
    415: Refusal("UNSUPPORTED_ENCODING", "The body is compressed in a way that is not understood.", "accept-encoding"),
    429: Refusal("OVERLOADED", "More work waits than can end in time, or the key allows no more; try later.", "retry-after"),
    500: Refusal("INTERNAL", "The model failed on this input (`MODEL_FAILED`), or Penstock did and its log tells why."),
    501: Refusal("UNIMPLEMENTED", "The request asks for a sequence (`sequence_id`): nothing is kept from one request to the next."),
    503: Refusal("UNAVAILABLE", "The model is loading or unloading, or the server is draining.", "retry-after"),
    504: Refusal("DEADLINE_EXCEEDED", "The time allowed by the caller or the server was over before the answer."),
}
"""Each error that the listener answers with, by its status."""


ANSWER_HEADERS: Final = ("penstock-model-version", "penstock-arm", "x-request-id", "server-timing")
REQUEST_HEADERS: Final = ("x-request-id", "penstock-deadline-ms", "penstock-priority", "penstock-route", "traceparent")
LENGTH_OF_JSON: Final = "Inference-Header-Content-Length"


def _paths() -> Part:
    paths: dict[str, Part] = defaultdict(dict)
    for operation in OPERATIONS:
        for name, method, path in _places(operation.call):
            paths[path][method] = _operation(operation, name, path)
    return dict(paths)


def _places(call: str) -> Iterator[tuple[str, str, str]]:
    name, method, path = call.split()
    yield name, method.lower(), path
    if "{model}" in path:
        yield f"{name}Version", method.lower(), path.replace("{model}", "{model}/versions/{version}")


def _operation(operation: Operation, name: str, path: str) -> Part:
    return {
        "operationId": name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [ref("parameters", key) for key in _parameters(operation, path)],
        "responses": _responses(operation, path),
    } | _request(operation)


def _parameters(operation: Operation, path: str) -> Iterator[str]:
    yield from re.findall(r"{(\w+)}", path)
    if operation.predicts:
        yield from REQUEST_HEADERS
    if operation.binary:
        yield LENGTH_OF_JSON


def _request(operation: Operation) -> Part:
    if not operation.body:
        return {}
    return {"requestBody": {"required": operation.predicts, "content": _contents(operation, operation.body)}}


def _responses(operation: Operation, path: str) -> Part:
    refusals: Part = {str(status): ref("responses", REFUSALS[status].code) for status in _refusals(operation, path)}
    return {"200": _answer(operation)} | refusals | _not_ready(operation.answer)


def _refusals(operation: Operation, path: str) -> list[int]:
    statuses = {405} if operation.tag == "Health" else {401, 403, 405, 500}
    if "{model}" in path:
        statuses |= {400, 404, 503}
    if operation.body:
        statuses |= {400, 413, 415}
    if operation.binary:
        statuses |= {501}
    return sorted(statuses | {429, 504} if operation.predicts else statuses)


def _answer(operation: Operation) -> Part:
    names = ANSWER_HEADERS if operation.predicts else ()
    headers = _headers(*names, LENGTH_OF_JSON if operation.binary else "")
    return {"description": "The answer.", "headers": headers, "content": _contents(operation, operation.answer)}


def _not_ready(answer: str) -> Part:
    """Return the 503 of a question about readiness: an answer like that of 200, not an error."""
    if answer not in {"Ready", "ModelReady"}:
        return {}
    example = cast("Part", EXAMPLES[answer]) | {"ready": False}
    return {"503": {"description": "Not now.", "content": _content(answer, example)}}


def _headers(*names: str) -> Part:
    return {name: ref("headers", name) for name in names if name}


def _contents(operation: Operation, schema: str) -> Part:
    as_bytes: Part = {"application/octet-stream": {"schema": BYTES}} if operation.binary else {}
    return _content(schema, EXAMPLES[schema]) | as_bytes


def _content(schema: str, example: object) -> Part:
    return {"application/json": {"schema": ref("schemas", schema), "example": example}}
