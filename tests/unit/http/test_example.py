"""The line that is printed at the start, to be pasted into a terminal."""

import json
import shlex

import pytest

from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, TensorSpec
from penstock.http.example import curl_line


def line(name: str, wire: str, *shape: int) -> str:
    """Return the line for a model of one input."""
    return curl_line("http://localhost:1", "m", ModelSchema((TensorSpec(name, DATATYPES[wire], (-1, *shape)),), (), batched=True))


@pytest.mark.parametrize("name", ["features", "it's", "'; exit 1; '", "a b$(c)`d`", 'say "so"', "\u00e9\n"])
def test_line_is_one_command_whatever_the_inputs_are_called(name: str) -> None:
    """A shell hands the body on as it is: names come with the model, and anybody may have made that."""
    command, silent, address, data, body = shlex.split(line(name, "FP32", 2))

    assert [command, silent, address, data] == ["curl", "-s", "http://localhost:1/v2/models/m/infer", "-d"]
    assert json.loads(body) == {"inputs": [{"name": name, "shape": [1, 2], "datatype": "FP32", "data": [0, 0]}]}


@pytest.mark.parametrize(("wire", "shape"), [("FP32", (3, 224, 224)), ("FP32", (1001,)), ("FP16", (2,))])
def test_no_line_is_better_than_one_that_nobody_can_paste(wire: str, shape: tuple[int, ...]) -> None:
    """An image has hundreds of thousands of values, which no shell takes as one argument; some datatypes are no JSON."""
    assert line("X", wire, *shape) == ""
