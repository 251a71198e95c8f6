"""What it takes to make an array of an image in JSON, beside orjson's parser alone."""

import statistics
import time
from collections.abc import Callable
from typing import Final

import numpy as np
import orjson
from harness import Row
from http_echo import SIDE

from penstock.domain.request import InferenceRequest
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, TensorSpec
from penstock.http.codec import decode

BUDGET: Final = 1.3
SCHEMA: Final = ModelSchema((TensorSpec("X", DATATYPES["FP32"], SIDE),), (), batched=False)
_ROUNDS: Final = 15


def measure() -> list[Row]:
    """Take turns between the two, and compare their medians."""
    values = np.random.default_rng(11).normal(size=SIDE).astype(np.float32)
    tensor = {"name": "X", "shape": SIDE, "datatype": "FP32", "data": [float(str(value)) for value in values.reshape(-1)]}
    body = orjson.dumps({"inputs": [tensor]})
    ours, bare = [], []
    for _ in range(_ROUNDS):
        bare.append(_taken(lambda: orjson.loads(body)))
        ours.append(_taken(lambda: _array(body)))
    beside = f"{statistics.median(ours):.1f} ms beside {statistics.median(bare):.1f} ms, {len(body) / 1e6:.1f} MB"
    return [Row("image in JSON to array / orjson.loads", statistics.median(ours) / statistics.median(bare), "x", BUDGET, beside)]


def _array(body: bytes) -> object:
    request = InferenceRequest("http", "m", "", [], arrived_ns=0)
    decode(body, None, request, SCHEMA, 64 << 20)
    return request.inputs[0].array


def _taken(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return (time.perf_counter() - started) * 1e3
