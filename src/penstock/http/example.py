"""A first request for a model, as a line to paste into a terminal."""

import orjson

from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import RAW_ONLY, TensorSpec, element_count
from penstock.lifecycle.catalog import Catalog

_TEXT, _TRUTH, _NUMBER = "hello", False, 0


def first_request(address: str, catalog: Catalog, *, keyed: bool = False) -> str:
    """Return the shortest line for a ready model, of fixed shape if there is one; "" if no model takes JSON."""
    ready = [(model.name, model.versions[model.ready_versions[-1]].schema) for model in catalog if model.ready_versions]
    lines = [(not schema.uniform, len(line), line) for name, schema in ready if (line := curl_line(address, name, schema))]
    key = ' -H "authorization: Bearer $KEY"' if keyed else ""
    return min(lines)[2] + key if lines else ""


def curl_line(address: str, model: str, schema: ModelSchema) -> str:
    """Return a curl command that asks the model about one row of zeros, or "" if JSON cannot carry its inputs."""
    specs = [spec for spec in schema.inputs if not spec.optional]
    if any(spec.datatype.wire in RAW_ONLY for spec in (*specs, *schema.outputs)):
        return ""
    body = orjson.dumps({"inputs": [_tensor(spec) for spec in specs]}).decode()
    return f"curl -s {address}/v2/models/{model}/infer -d '{body}'"


def _tensor(spec: TensorSpec) -> dict[str, object]:
    shape = [1 if dim == -1 else dim for dim in spec.shape]
    value = {"BYTES": _TEXT, "BOOL": _TRUTH}.get(spec.datatype.wire, _NUMBER)
    return {"name": spec.name, "shape": shape, "datatype": spec.datatype.wire, "data": [value] * element_count(shape)}
