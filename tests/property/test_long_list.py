"""Reading a body with its long lists a piece at a time gives just what reading it as a whole gives."""

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, assume, example, given, settings

from penstock.domain.errors import InvalidInput
from penstock.domain.request import InferenceRequest
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, TensorSpec
from penstock.http import codec, long_list, v1

LIMIT = 1 << 20
SCHEMA = ModelSchema(
    (TensorSpec("X", DATATYPES["FP32"], (-1, -1)), TensorSpec("A", DATATYPES["INT64"], (-1,), optional=True)),
    (TensorSpec("Y", DATATYPES["FP32"], (-1, -1)),),
    batched=True,
)
TOKENS = st.sampled_from(
    [
        "[",
        "]",
        ",",
        "[",
        "]",
        ",",
        "1",
        "2.5",
        "-3",
        "0.1,",
        "[1,2]",
        "[[1],[2]]",
        " ",
        "NaN",
        "true",
        "null",
        "1e39",
        '"',
        "{",
        "}",
        ":",
        "x",
    ]
)
VALUES = st.recursive(
    st.sampled_from(["1", "0.5", "-2", "300", "NaN", "-Infinity", "true", "null", "1e39", "01"]),
    lambda inner: st.lists(inner, max_size=5).map(lambda items: f"[{','.join(items)}]") | st.lists(inner, min_size=1).map(", ".join),
    max_leaves=30,
)


def square(rows: int, columns: int) -> str:
    """Return a table of numbers as JSON."""
    row = f"[{','.join(['1.5'] * columns)}]"
    return f"[{','.join([row] * rows)}]"


LISTS = st.builds(square, st.integers(1, 4), st.integers(1, 4)) | VALUES.map("[{}]".format) | st.lists(TOKENS, max_size=20).map("".join)
SHAPES = st.sampled_from(["[2,2]", "[1,4]", "[4,1]", "[3,3]", "[4]", "[1,1]", "[2]"])
NAMES = st.sampled_from(["X", "X", "A", "b"])
TYPES = st.sampled_from(["FP32", "FP32", "INT64", "BOOL", "BYTES", "FP16"])
ENTRIES = st.builds('{{"name":"{}","datatype":"{}","shape":{},"data": {}}}'.format, NAMES, TYPES, SHAPES, LISTS) | st.builds(
    '{{"data":{},"name":"X","datatype":"{}","shape":{},"data":{}}}'.format, LISTS, TYPES, SHAPES, LISTS
)
V2 = st.lists(ENTRIES, min_size=1, max_size=2).map(lambda entries: f'{{"inputs":[{",".join(entries)}]}}') | st.builds(
    '{{"id":{},"inputs":[{}],"parameters":{{"a":{}}}}}'.format, LISTS | st.just('":[1,2,3,4,5,6,7,8,9]"'), ENTRIES, LISTS
)
V1 = (
    st.builds('{{"instances":{}}}'.format, LISTS)
    | st.builds('{{"inputs": {},"signature_name":"a"}}'.format, LISTS)
    | st.builds('{{"inputs":{{"X":{},"{}":{}}}}}'.format, LISTS, NAMES, LISTS)
)


@pytest.fixture(params=[1, 7, 64], autouse=True)
def _pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_list, "_PIECE", request.param)


def told(body: str, *, in_pieces: bool, is_v1: bool) -> list[tuple[object, ...]] | None:
    """Return what is read from a body, as a long one or not; None for one that is refused."""
    request = InferenceRequest("http", "m", "", [], arrived_ns=0)
    with pytest.MonkeyPatch.context() as patch:
        for module in (codec, v1):
            patch.setattr(module, "is_long", lambda _, __: in_pieces)
        try:
            if is_v1:
                v1.decode(body.encode(), request, SCHEMA, LIMIT)
            else:
                codec.decode(body.encode(), None, request, SCHEMA, LIMIT)
            SCHEMA.check(request)
        except InvalidInput:
            return None
    return [(each.name, each.datatype.wire, each.array.shape, repr(each.array.tolist())) for each in request.inputs]


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], max_examples=400)
@given(V2 | st.lists(TOKENS, max_size=30).map("".join))
@example('{"inputs":[{"name":"X","datatype":"FP32","shape":[2,2],"data":[1,2,3,4,]}]}')
@example('{"inputs":[{"name":"X","datatype":"FP32","shape":[2,2],"data":[[1,2],[3,4],]}]}')
@example('{"inputs":[{"name":"X","datatype":"FP32","shape":[2,2],"data":[1,2],[3,4]}]}')
@example('{"inputs":[{"name":"X","datatype":"FP32","shape":[1,1],"data":[1]}],"unknown":[1,2,3,4,,5,6,7]}')
def test_pieces_agree_with_the_whole(body: str) -> None:
    """The same arrays, and the same bodies are refused."""
    assert told(body, in_pieces=True, is_v1=False) == told(body, in_pieces=False, is_v1=False)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], max_examples=400)
@given(V1)
@example('{"instances":[1,[2]]}')
@example('{"instances":[[1,[1]]]}')
@example('{"instances":[[],[1,2]]}')
@example('{"instances":[]]]}')
@example('{"instances":[1,2,3,4]][[}')
@example('{"instances":[[[1],[2]],[[3],[4,5]]]}')
@example('{"instances":[[1,2],[3,4]],"more":[1,2,,3]}')
def test_pieces_of_v1_agree_with_the_whole(body: str) -> None:
    """Shapes are those of the lists, which are to have the same lengths; thousands of rows without a value are refused."""
    assume("[]" not in body.replace(" ", ""))

    assert told(body, in_pieces=True, is_v1=True) == told(body, in_pieces=False, is_v1=True)
