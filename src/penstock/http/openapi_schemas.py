"""The bodies that the OpenAPI document describes: a schema of each, and an example drawn from an iris classifier."""

from collections.abc import Collection
from typing import Final

from penstock.domain.errors import ErrorCode
from penstock.domain.tensor import DATATYPES

Part = dict[str, object]
"""A piece of the document, as it stands in JSON."""


def ref(kind: str, name: str) -> Part:
    """Return a reference to a component of the document."""
    return {"$ref": f"#/components/{kind}/{name}"}


def _typed(kind: str, description: str = "", **more: object) -> Part:
    """Return the schema of a JSON type."""
    schema: Part = {"type": kind} | more
    return schema | {"description": description} if description else schema


def _record(description: str, optional: Collection[str] = (), **properties: Part) -> Part:
    """Return the schema of an object that has these properties, all but the optional ones always."""
    required = [name for name in properties if name not in optional]
    schema = _typed("object", description, properties=properties)
    return schema | {"required": required} if required else schema


def _list(items: Part, description: str = "") -> Part:
    return _typed("array", description, items=items)


def _map(values: Part, description: str = "", **known: Part) -> Part:
    more: Part = {"properties": known} if known else {}
    return _typed("object", description, additionalProperties=values, **more)


_TEXT: Final = _typed("string")
_COUNT: Final = _typed("integer", minimum=0)
BYTES: Final[Part] = {
    "description": "The JSON of the other media type, then the bytes of its tensors.",
    "contentMediaType": "application/octet-stream",
}

_FLAG = _typed("boolean")
_SCALAR: Part = {"type": ["string", "number", "boolean"]}
_ANY = ["array", "boolean", "number", "object", "string"]
_NAME = _typed("string", "The tensor's name.")
_DATATYPE = _typed("string", "The type of the elements.", enum=list(DATATYPES))
_SHAPE = _list(_COUNT, "The dimensions, batch dimension included.")
_SIZE = _typed("integer", "How many of the bytes after the JSON are this tensor's.", minimum=0)
_AS_BYTES = _typed("boolean", "Return the tensor as bytes after the JSON.", default=False)
_VERSION = _typed("string", "The version's number.")
_CLIENT_ID = _typed("string", "A name of your own for this request; it is echoed, never used as a key.")
_TENSOR = {"name": _NAME, "datatype": _DATATYPE, "shape": _SHAPE}

SCHEMAS: Final[dict[str, Part]] = {
    "Error": _record(
        "Why there is no answer.",
        error=_typed("string", "For people: what was wrong, the value seen, what to do."),
        code=_typed("string", "For programs.", enum=[code.value for code in ErrorCode]),
    ),
    "Live": _record("The process answers.", live=_FLAG),
    "Ready": _record("Whether predictions can be answered.", ready=_FLAG),
    "Alive": _record("The process answers.", status=_typed("string", const="alive")),
    "ServerMetadata": _record(
        "The server, and what it offers beyond the core protocol.",
        name=_TEXT,
        version=_TEXT,
        extensions=_list(_TEXT, "The names of the protocol's extensions that are implemented."),
        parameters=_map(_typed("integer"), "The limits in force by name; times are in milliseconds."),
    ),
    "ModelNames": _record("The models of this server.", models=_list(_TEXT)),
    "TensorSpec": _record(
        "What a model declares of one input or output.",
        name=_NAME,
        datatype=_DATATYPE,
        shape=_list(_typed("integer", minimum=-1), "The dimensions; -1 stands for one that may vary."),
    ),
    "ModelMetadata": _record(
        "What a model takes and gives.",
        name=_TEXT,
        versions=_list(_TEXT, "The versions that are ready; if the path names one, only that one."),
        platform=_TEXT,
        inputs=_list(ref("schemas", "TensorSpec")),
        outputs=_list(ref("schemas", "TensorSpec")),
    ),
    "ModelReady": _record("Whether the model, or the version in the path, can answer.", name=_TEXT, ready=_FLAG),
    "InferInput": _record(
        "One tensor. Its values stand in `data`, or as `binary_data_size` bytes after the JSON.",
        optional=("data", "parameters"),
        **_TENSOR,
        data=_list({}, "The values in row-major order, flat or nested: only their number counts."),
        parameters=_map(_SCALAR, binary_data_size=_SIZE),
    ),
    "RequestedOutput": _record(
        "An output that you want.",
        optional=("parameters",),
        name=_NAME,
        parameters=_map(
            _SCALAR,
            binary_data=_AS_BYTES,
            classification=_typed("integer", "Return the k largest values as texts, `value:index`.", minimum=1),
        ),
    ),
    "InferRequest": _record(
        "One prediction.",
        optional=("id", "parameters", "outputs"),
        id=_CLIENT_ID,
        inputs=_list(ref("schemas", "InferInput"), "Every input of the model, in any order."),
        outputs=_list(ref("schemas", "RequestedOutput"), "The outputs you want, in this order; empty means all."),
        parameters=_map(_SCALAR, "Unknown names are ignored.", binary_data_output=_AS_BYTES),
    ),
    "InferOutput": _record(
        "One tensor of the answer.",
        optional=("data", "parameters"),
        **_TENSOR,
        data=_list({}, "The values in row-major order, flat; absent if they follow as bytes."),
        parameters=_record("Present if the values follow as bytes.", binary_data_size=_SIZE),
    ),
    "InferResponse": _record(
        "The answer of one version.",
        optional=("id",),
        id=_CLIENT_ID,
        model_name=_TEXT,
        model_version=_VERSION,
        outputs=_list(ref("schemas", "InferOutput")),
    ),
    "ModelConfig": _record(
        "Triton's `ModelConfig`, by its proto field names. Only the fields that clients use most are listed here.",
        name=_TEXT,
        platform=_TEXT,
        max_batch_size=_typed("integer", "0 if the model does not batch."),
        input=_list(_map({}), "`name`, `data_type` and `dims` of each input; `dims` leave out the batch dimension."),
        output=_list(_map({}), "The same of each output."),
    ),
    "Duration": _record("How often something happened, and how long that took in all.", count=_COUNT, ns=_COUNT),
    "Statistics": _record("Counters by version.", model_stats=_list(ref("schemas", "VersionStatistics"))),
    "VersionStatistics": _record(
        "Counters of one version since it was loaded.",
        name=_TEXT,
        version=_VERSION,
        last_inference=_typed("integer", "Milliseconds since the epoch; 0 if there was none."),
        inference_count=_typed("integer", "Rows predicted."),
        execution_count=_typed("integer", "Runs of the model; batching makes them fewer than the rows."),
        inference_stats=_map(ref("schemas", "Duration"), "By stage, such as `queue`; and `success`, `fail`."),
        batch_stats=_list(_map({}), "The computing stages by `batch_size`."),
    ),
    "IndexRequest": _record("Which entries you want.", optional=("ready",), ready=_typed("boolean", default=False)),
    "Index": _list(
        _record(
            "One version of one model.",
            optional=("version", "state", "reason"),
            name=_TEXT,
            version=_VERSION,
            state=_typed("string", enum=["READY", "UNAVAILABLE", "LOADING", "UNLOADING", "UNKNOWN"]),
            reason=_typed("string", "Why it is not ready."),
        )
    ),
    "LogSettings": _map(_SCALAR, "The settings in force, by name."),
    "V1Model": _record(
        "`ready` is for clients of KServe, `model_version_status` for those of TensorFlow Serving.",
        name=_TEXT,
        ready=_FLAG,
        model_version_status=_list(_map({}), "`version`, `state` and `status` of each version, newest first."),
    ),
    "V1Request": _record(
        "Exactly one of rows (`instances`) and whole tensors (`inputs`).",
        optional=("instances", "inputs"),
        instances=_typed("array", "For each row its value, or its values by input name.", items={}, minItems=1),
        inputs={"type": _ANY, "description": "The tensor, or the tensors by input name."},
    )
    | {"oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}]},
    "V1Response": _record(
        "`predictions` answer `instances`, `outputs` answer `inputs`.",
        optional=("predictions", "outputs"),
        predictions=_list({}, "For each row its value, or its values by output name."),
        outputs={"type": _ANY, "description": "The tensor, or the tensors by output name."},
    ),
}

_FEATURES = [5.1, 3.5, 1.4, 0.2]
_PROBABILITIES = [0.97, 0.02, 0.01]
_DURATION = {"count": 8, "ns": 912_000}


def _tensor(name: str, datatype: str, shape: list[int], **more: object) -> Part:
    return {"name": name, "datatype": datatype, "shape": shape} | more


def _field(name: str, data_type: str, dims: list[int]) -> Part:
    return {"name": name, "data_type": data_type, "dims": dims}


EXAMPLES: Final[dict[str, object]] = {
    "Live": {"live": True},
    "Ready": {"ready": True},
    "Alive": {"status": "alive"},
    "ServerMetadata": {
        "name": "penstock",
        "version": "0.1.0",
        "extensions": ["binary_tensor_data", "statistics"],
        "parameters": {"max_body_bytes": 67108864},
    },
    "ModelNames": {"models": ["iris"]},
    "ModelMetadata": {
        "name": "iris",
        "versions": ["1", "2"],
        "platform": "onnxruntime_onnx",
        "inputs": [_tensor("features", "FP32", [-1, 4])],
        "outputs": [_tensor("label", "INT64", [-1]), _tensor("probabilities", "FP32", [-1, 3])],
    },
    "ModelReady": {"name": "iris", "ready": True},
    "InferRequest": {"inputs": [_tensor("features", "FP32", [1, 4], data=_FEATURES)]},
    "InferResponse": {
        "model_name": "iris",
        "model_version": "2",
        "outputs": [
            _tensor("label", "INT64", [1], data=[0]),
            _tensor("probabilities", "FP32", [1, 3], data=_PROBABILITIES),
        ],
    },
    "ModelConfig": {
        "name": "iris",
        "platform": "onnxruntime_onnx",
        "max_batch_size": 64,
        "input": [_field("features", "TYPE_FP32", [4])],
        "output": [_field("label", "TYPE_INT64", [1]), _field("probabilities", "TYPE_FP32", [3])],
    },
    "Statistics": {
        "model_stats": [
            {
                "name": "iris",
                "version": "2",
                "last_inference": 1_795_000_000_000,
                "inference_count": 12,
                "execution_count": 5,
                "inference_stats": {"success": _DURATION, "fail": {"count": 0, "ns": 0}, "queue": _DURATION},
                "batch_stats": [{"batch_size": 4, "compute_infer": _DURATION}],
            }
        ]
    },
    "IndexRequest": {"ready": True},
    "Index": [{"name": "iris", "version": "2", "state": "READY"}],
    "LogSettings": {"log_info": True, "log_warning": True, "log_error": True, "log_verbose_level": 0},
    "V1Model": {
        "name": "iris",
        "ready": True,
        "model_version_status": [{"version": "2", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}],
    },
    "V1Request": {"instances": [_FEATURES]},
    "V1Response": {"predictions": [{"label": 0, "probabilities": _PROBABILITIES}]},
}
"""An example of each body, by the name of its schema."""


def _header(description: str, schema: Part, example: object) -> Part:
    return {"description": description, "schema": schema, "example": example}


_LENGTH = _header("Where the JSON ends, if tensors follow it as bytes.", _COUNT, 156)
_PRIORITY = _typed("string", enum=["critical", "normal", "sheddable"], default="normal")
_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

HEADERS: Final[dict[str, Part]] = {
    "penstock-model-version": _header("The version that answered.", _TEXT, "2"),
    "penstock-arm": _header("The arm of the route: `stable`, a canary's name, or `pinned` by the path.", _TEXT, "stable"),
    "x-request-id": _header("The id of this request, given or made: logs and records carry it.", _TEXT, "5f1c0a72"),
    "server-timing": _header("Milliseconds by stage.", _TEXT, "queue;dur=0.02, compute;dur=0.11, total;dur=0.19"),
    "Inference-Header-Content-Length": _LENGTH,
    "retry-after": _header("How many seconds to wait before a new try.", _COUNT, 1),
    "www-authenticate": _header("How to show a key.", _TEXT, "Bearer"),
    "allow": _header("The methods of this path.", _TEXT, "POST"),
    "accept-encoding": _header("The encodings that are understood.", _TEXT, "gzip, deflate"),
}
"""The headers of answers."""

_REQUEST_HEADERS: Final[dict[str, Part]] = {
    "x-request-id": _header("The id of this request; one is made if you give none.", _TEXT, "5f1c0a72"),
    "penstock-deadline-ms": _header("How many milliseconds you will wait.", _COUNT, 250),
    "penstock-priority": _header("Under load: who is served first and refused last.", _PRIORITY, "critical"),
    "penstock-route": _header("The arm that shall answer, where the route allows the choice.", _TEXT, "stable"),
    "traceparent": _header("The W3C trace context.", _TEXT, _TRACE),
    "Inference-Header-Content-Length": _LENGTH,
}
_PATH_PARTS: Final[dict[str, Part]] = {
    "model": _header("The model's name.", _TEXT, "iris"),
    "version": _header("The number of a version, or an alias such as `champion`.", _TEXT, "2"),
}

PARAMETERS: Final[dict[str, Part]] = {name: {"name": name, "in": "header"} | row for name, row in _REQUEST_HEADERS.items()} | {
    name: {"name": name, "in": "path", "required": True} | row for name, row in _PATH_PARTS.items()
}
"""What a request may say besides its body."""
