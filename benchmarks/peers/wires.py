"""What goes over the wire: how each format writes a model's input, and where it has the output in the answer."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from peers.models import Model

from penstock.wire import inference as pb

Array = np.ndarray[Any, Any]
JSON: Final = {"Content-Type": "application/json"}
BYTES: Final = {"Content-Type": "application/octet-stream"}
_FORM: Final = {"Content-Type": "multipart/form-data; boundary=penstock"}
_DATATYPES: Final = {"float32": "FP32", "int64": "INT64"}


class Format(NamedTuple):
    """A way to ask: the headers and body of a model's request, and the numbers in the body of the answer."""

    write: Callable[[Model], tuple[Mapping[str, str], bytes]]
    read: Callable[[bytes], Array]


def _lists(model: Model) -> tuple[Mapping[str, str], bytes]:
    return JSON, orjson.dumps({name: _numbers(row) for name, row in model.row.items()})


def _stacked(model: Model) -> tuple[Mapping[str, str], bytes]:
    return JSON, orjson.dumps([number for row in model.row.values() for number in _numbers(row)])


def _bytes(model: Model) -> tuple[Mapping[str, str], bytes]:
    [row] = model.row.values()
    return BYTES, row.tobytes()


def _form(model: Model) -> tuple[Mapping[str, str], bytes]:
    [row] = model.row.values()
    head = b'--penstock\r\nContent-Disposition: form-data; name="file"; filename="X"\r\nContent-Type: application/octet-stream\r\n\r\n'
    return _FORM, head + row.tobytes() + b"\r\n--penstock--\r\n"


def _v2_json(model: Model) -> tuple[Mapping[str, str], bytes]:
    inputs = [_tensor(name, row) | {"data": _numbers(row)} for name, row in model.row.items()]
    return JSON, orjson.dumps({"inputs": inputs})


def _v2_binary(model: Model) -> tuple[Mapping[str, str], bytes]:
    inputs = [_tensor(name, row) | {"parameters": {"binary_data_size": row.nbytes}} for name, row in model.row.items()]
    head = orjson.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}})
    return BYTES | {"Inference-Header-Content-Length": str(len(head))}, head + b"".join(row.tobytes() for row in model.row.values())


def _v2_grpc(model: Model) -> tuple[Mapping[str, str], bytes]:
    request = pb.ModelInferRequest(model_name=model.name)
    for name, row in model.row.items():
        request.inputs.add(name=name, datatype=_DATATYPES[row.dtype.name], shape=row.shape)
        request.raw_input_contents.append(row.tobytes())
    return {}, request.SerializeToString()


def _tensor(name: str, row: Array) -> dict[str, Any]:
    return {"name": name, "shape": row.shape, "datatype": _DATATYPES[row.dtype.name]}


def _numbers(row: Array) -> list[float]:
    # Six decimals, as the rows were drawn: float32 widened to Python's float would show its rounding.
    return [round(value, 6) for value in row.ravel().tolist()]


def _read_v2_binary(body: bytes) -> Array:
    size = re.search(rb'"binary_data_size": *(\d+)', body)
    if size is None:
        raise ValueError(f"no tensor in bytes: {body[:200]!r}")
    return np.frombuffer(body[-int(size[1]) :], np.float32)


def _read_v2_grpc(body: bytes) -> Array:
    return np.frombuffer(pb.ModelInferResponse.FromString(body).raw_output_contents[0], np.float32)


def _floats(values: Any) -> Array:  # noqa: ANN401 - what JSON holds
    return np.array(values, np.float32).ravel()


LISTS: Final = Format(_lists, lambda body: _floats(next(iter(orjson.loads(body).values()))))
STACKED: Final = Format(_stacked, lambda body: _floats(orjson.loads(body)))
RAW: Final = Format(_bytes, lambda body: np.frombuffer(body, np.float32))
FORM: Final = Format(_form, LISTS.read)
V2_JSON: Final = Format(_v2_json, lambda body: _floats(orjson.loads(body)["outputs"][0]["data"]))
V2_BINARY: Final = Format(_v2_binary, _read_v2_binary)
V2_GRPC: Final = Format(_v2_grpc, _read_v2_grpc)
