"""A first request for a model, as a line to paste into a terminal."""

import shlex
from typing import Final

import orjson

from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import RAW_ONLY, TensorSpec, element_count
from penstock.lifecycle.catalog import Catalog

_TEXT, _TRUTH, _NUMBER = "hello", False, 0
_MOST_VALUES: Final = 1000
"""Beyond, the line would fill the screen, and with those of an image no shell takes it."""


def first_request(address: str, catalog: Catalog, *, keyed: bool = False) -> str:
    """Return the shortest line for a ready model, of fixed shape if there is one; "" if there is none to paste."""
    ready = [(model.name, model.versions[model.ready_versions[-1]].schema) for model in catalog if model.ready_versions]
    lines = [(not schema.uniform, len(line), line) for name, schema in ready if (line := curl_line(address, name, schema))]
    key = ' -H "authorization: Bearer $KEY"' if keyed else ""
    return min(lines)[2] + key if lines else ""


def curl_line(address: str, model: str, schema: ModelSchema) -> str:
    """Return a curl command that asks the model about one row of zeros, or "" if its inputs are too large, or JSON cannot carry them."""
    specs = [spec for spec in schema.inputs if not spec.optional]
    is_raw = any(spec.datatype.wire in RAW_ONLY for spec in (*specs, *schema.outputs))
    if is_raw or sum(element_count(_shape(spec)) for spec in specs) > _MOST_VALUES:
        return ""
    body = orjson.dumps({"inputs": [_tensor(spec) for spec in specs]}).decode()
    return shlex.join(["curl", "-s", f"{address}/v2/models/{model}/infer", "-d", body])  # a model may call its inputs anything


def _tensor(spec: TensorSpec) -> dict[str, object]:
    shape = _shape(spec)
    value = {"BYTES": _TEXT, "BOOL": _TRUTH}.get(spec.datatype.wire, _NUMBER)
    return {"name": spec.name, "shape": shape, "datatype": spec.datatype.wire, "data": [value] * element_count(shape)}


def _shape(spec: TensorSpec) -> list[int]:
    return [1 if dim == -1 else dim for dim in spec.shape]
