"""The gRPC service of the Open Inference Protocol for Ray Serve, which takes any that its users have generated code for.

The messages are Penstock's, from their file: the package is not in this environment. They stay bytes between Ray's processes,
for pickle could not find their classes.
"""

import importlib.util
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np

SERVICE: Final = "inference.GRPCInferenceService"
_FILE: Final = Path(__file__).parents[3] / "src" / "penstock" / "wire" / "inference.py"
_TYPES: Final = {"FP32": np.float32, "INT64": np.int64}


def _messages() -> Any:  # noqa: ANN401 - a module
    spec = importlib.util.spec_from_file_location("inference", _FILE)
    if spec is None or spec.loader is None:
        raise ImportError(f"{_FILE} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


messages: Final = _messages()


def add_to_server(servicer: Any, server: Any) -> None:  # noqa: ANN401 - grpcio and Ray have no types for these
    """Add the service to a gRPC server, as generated code does."""
    handler = grpc.unary_unary_rpc_method_handler(servicer.ModelInfer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"ModelInfer": handler}),))


def tensors(request: bytes) -> dict[str, np.ndarray[Any, Any]]:
    """Return the tensors of a request with raw contents."""
    message = messages.ModelInferRequest.FromString(request)
    pairs = zip(message.inputs, message.raw_input_contents, strict=True)
    return {one.name: np.frombuffer(raw, _TYPES[one.datatype]).reshape(one.shape) for one, raw in pairs}


def answer(model: str, name: str, result: np.ndarray[Any, Any]) -> Any:  # noqa: ANN401 - a message
    """Return the response with one output as raw contents."""
    response = messages.ModelInferResponse(model_name=model)
    response.outputs.add(name=name, datatype="FP32", shape=result.shape)
    response.raw_output_contents.append(result.tobytes())
    return response
