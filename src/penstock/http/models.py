"""What the server tells about itself and its models; the same routes on V2 and V1."""

from collections.abc import Callable, Mapping
from typing import Final

from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response

import penstock
from penstock.domain.errors import InvalidInput, Unavailable
from penstock.domain.names import shown
from penstock.domain.tensor import TensorSpec
from penstock.http.answers import json_response, optional_object
from penstock.inference import descriptions
from penstock.inference.descriptions import NO_LIMITS
from penstock.lifecycle.catalog import Catalog
from penstock.wire.rendering import as_json

_DTYPES_V1: Final = {
    "BOOL": "DT_BOOL",
    "UINT8": "DT_UINT8",
    "UINT16": "DT_UINT16",
    "UINT32": "DT_UINT32",
    "UINT64": "DT_UINT64",
    "INT8": "DT_INT8",
    "INT16": "DT_INT16",
    "INT32": "DT_INT32",
    "INT64": "DT_INT64",
    "FP16": "DT_HALF",
    "FP32": "DT_FLOAT",
    "FP64": "DT_DOUBLE",
    "BYTES": "DT_STRING",
    "BF16": "DT_BFLOAT16",
}


class Models:
    """The endpoints that only read. Lives on the event loop."""

    def __init__(self, catalog: Catalog, ready: Callable[[], bool], limits: Mapping[str, int] = NO_LIMITS) -> None:
        """`limits` are told to whoever asks for the server's metadata."""
        self._limits = limits
        self._catalog = catalog
        self._ready = ready

    async def root(self, _: Request) -> Response:
        """Answer `GET /`, which V1 clients take for liveness."""
        return json_response({"status": "alive"})

    async def live(self, _: Request) -> Response:
        """Answer liveness: true as long as the process answers at all."""
        return json_response({"live": True})

    async def ready(self, _: Request) -> Response:
        """Answer readiness: 503 until everything wanted is loaded, and while draining."""
        ready = self._ready()
        return json_response({"ready": ready}, 200 if ready else 503)

    async def server(self, _: Request) -> Response:
        """Answer server metadata."""
        return _message(descriptions.server_metadata(penstock.__version__, self._limits))

    async def names(self, _: Request) -> Response:
        """Answer the names of all models."""
        return json_response({"models": [model.name for model in self._catalog]})

    async def metadata(self, request: Request) -> Response:
        """Answer a model's inputs and outputs."""
        return _message(descriptions.model_metadata(self._catalog, *_target(request)), skip="properties")

    async def model_ready(self, request: Request) -> Response:
        """Answer whether a model, or one version of it, takes requests."""
        name, reference = _target(request)
        ready = descriptions.is_ready(self._catalog, name, reference)
        return json_response({"name": name, "ready": ready}, 200 if ready else 503)

    async def config(self, request: Request) -> Response:
        """Answer a model's configuration as Triton's ModelConfig."""
        return _message(descriptions.model_config(self._catalog, *_target(request)))

    async def statistics(self, request: Request) -> Response:
        """Answer the counters of all models, one model or one version."""
        return _message(descriptions.model_statistics(self._catalog, *_target(request)))

    async def index(self, request: Request) -> Response:
        """Answer the repository index: a JSON array of versions and their states."""
        return json_response(_index(self._catalog, await optional_object(request)))

    async def status_v1(self, request: Request) -> Response:
        """Answer a model's versions for TensorFlow Serving's clients, and `ready` for KServe's."""
        name, reference = _target(request)
        model = self._catalog.model(name)
        if not descriptions.is_ready(self._catalog, name, reference):
            raise Unavailable(f"model {name!r} is not ready")
        numbers = [int(model.find(reference).identity.version)] if reference else model.ready_versions[::-1]
        return json_response({"name": name, "ready": True, "model_version_status": [_version_v1(number) for number in numbers]})

    async def metadata_v1(self, request: Request) -> Response:
        """Answer a model's signature as TensorFlow Serving does."""
        name, reference = _target(request)
        version = self._catalog.find(name, reference)
        signature = {
            "inputs": {spec.name: _spec_v1(spec) for spec in version.schema.inputs},
            "outputs": {spec.name: _spec_v1(spec) for spec in version.schema.outputs},
            "method_name": "tensorflow/serving/predict",
        }
        return json_response(
            {
                "model_spec": {"name": name, "signature_name": "", "version": version.identity.version},
                "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
            }
        )


def _target(request: Request) -> tuple[str, str]:
    parameters: Mapping[str, str] = request.path_params
    return parameters.get("model", ""), parameters.get("version", "")


def _message(message: Message, skip: str = "") -> Response:
    return json_response({name: value for name, value in as_json(message).items() if name != skip})


def _index(catalog: Catalog, document: Mapping[str, object]) -> list[dict[str, object]]:
    ready_only = document.get("ready", False)
    if type(ready_only) is not bool:
        raise InvalidInput(f"'ready' of the repository index is {shown(repr(ready_only))}; expected a boolean")
    index = descriptions.repository_index(catalog, ready_only=ready_only)
    return [{key: value for key, value in as_json(entry).items() if value} for entry in index.models]


def _version_v1(number: int) -> dict[str, object]:
    return {"version": str(number), "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}


def _spec_v1(spec: TensorSpec) -> dict[str, object]:
    dims = [{"size": str(dim), "name": ""} for dim in spec.shape]
    return {"name": spec.name, "dtype": _DTYPES_V1[spec.datatype.wire], "tensor_shape": {"dim": dims, "unknown_rank": False}}
