"""What `pad` declares, held against the graph: every contradiction is refused with the key that causes it."""

import numpy as np
import pytest

from penstock.domain.errors import LoadRefused
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, TensorSpec
from penstock.lifecycle.options import ModelOptions, PadOptions
from penstock.lifecycle.padding import apply_padding
from penstock.lifecycle.settings import resolve_options

SPECS = (
    TensorSpec("tokens", DATATYPES["INT64"], (-1, -1)),
    TensorSpec("types", DATATYPES["INT64"], (-1, -1)),
    TensorSpec("mask", DATATYPES["FP32"], (-1, -1)),
    TensorSpec("wide", DATATYPES["FP32"], (-1, 4, -1)),
    TensorSpec("square", DATATYPES["FP32"], (-1, -1, -1)),
    TensorSpec("text", DATATYPES["BYTES"], (-1, -1)),
)
SCHEMA = ModelSchema(SPECS, (TensorSpec("Y", DATATYPES["FP32"], (-1,)),), batched=True)


def pads(**declared: dict[str, object]) -> dict[str, PadOptions]:
    """Return declarations as the settings give them."""
    return resolve_options(ModelOptions(), {"pad": declared}).pad


def test_nothing_declared_changes_nothing() -> None:
    """Most models."""
    assert apply_padding(SCHEMA, {}) is SCHEMA


def test_masks_need_not_be_given_and_are_padded_with_0() -> None:
    """Two inputs may share one; the first of them gives it its length."""
    schema = apply_padding(SCHEMA, pads(tokens={"axis": 1, "value": 3, "mask": "mask"}, types={"axis": 1, "mask": "mask"}))

    assert "mask" not in schema.required
    assert schema.padding is not None
    assert [(rule.name, rule.axis, rule.value.tolist()) for rule in schema.padding.rules] == [
        ("tokens", 1, 3),
        ("types", 1, 0),
        ("mask", 1, 0.0),
    ]
    (mask,) = schema.padding.masks
    assert (mask.name, mask.source.name, mask.one.dtype, mask.one.tolist()) == ("mask", "tokens", np.dtype("<f4"), 1.0)
    assert schema.padding.follows is None, "unproven"


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        pytest.param({"token": {"axis": 1}}, "pad names the input 'token'; the graph has: tokens, types", id="unknown-input"),
        pytest.param({"tokens": {"axis": 0}}, "pad.tokens.axis is 0; .* it must be from 1 to 1", id="the-batch"),
        pytest.param({"tokens": {"axis": 2}}, "pad.tokens.axis is 2", id="beyond-the-rank"),
        pytest.param({"wide": {"axis": 1}}, r"fixed: the input has shape \[-1, 4, -1\]", id="fixed"),
        pytest.param({"tokens": {"axis": 1, "value": 0.5}}, "pad.tokens.value is 0.5; .* INT64", id="fraction-for-whole"),
        pytest.param({"tokens": {"axis": 1, "value": 2**63}}, "must be a value of that datatype", id="too-large"),
        pytest.param({"tokens": {"axis": 1, "value": True}}, "must be a value of that datatype", id="boolean-for-number"),
        pytest.param({"tokens": {"axis": 1, "value": "x"}}, "must be a number", id="text-for-number"),
        pytest.param({"mask": {"axis": 1, "value": 1e39}}, "must be a value of that datatype", id="too-large-a-float"),
        pytest.param({"text": {"axis": 1}}, "pad.text.value is 0; .* BYTES, so it must be text", id="number-for-text"),
        pytest.param({"tokens": {"axis": 1, "mask": "m"}}, "pad.tokens.mask names the input 'm'", id="unknown-mask"),
        pytest.param({"tokens": {"axis": 1, "mask": "text"}}, "which holds text", id="mask-of-text"),
        pytest.param({"tokens": {"axis": 1, "mask": "square"}}, "one variable dimension beside the batch", id="mask-of-two-lengths"),
        pytest.param({"tokens": {"axis": 1, "mask": "tokens"}}, "which pad declares too", id="its-own-mask"),
        pytest.param({"tokens": {"axis": 1, "mask": "mask"}, "mask": {"axis": 1}}, "which pad declares too", id="mask-declared"),
    ],
)
def test_declaration_that_contradicts_the_graph_is_refused(declared: dict[str, dict[str, object]], told: str) -> None:
    """The load fails, and the message names the key and what is expected."""
    with pytest.raises(LoadRefused, match=told):
        apply_padding(SCHEMA, pads(**declared))


@pytest.mark.parametrize("entry", [{}, {"axis": 1, "values": 0}, {"axis": "1"}], ids=["no-axis", "unknown-key", "text"])
def test_malformed_declaration_is_refused(entry: dict[str, object]) -> None:
    """By the settings themselves."""
    with pytest.raises(LoadRefused, match="pad"):
        pads(tokens=entry)


def test_model_whose_rows_are_not_batched_cannot_be_padded() -> None:
    """There is nobody to share a run with; the reason is told."""
    schema = ModelSchema(SPECS, (), batched=False, notes=("served one by one: so it is declared",))

    with pytest.raises(LoadRefused, match=r"not run together .served one by one: so it is declared"):
        apply_padding(schema, pads(tokens={"axis": 1}))


@pytest.mark.parametrize(
    ("name", "value", "held"),
    [
        ("BOOL", True, True),
        ("UINT8", 255, 255),
        ("INT64", -1, -1),
        ("FP16", 1.5, 1.5),
        ("FP32", float("-inf"), float("-inf")),
        ("BYTES", "", ""),
        ("BF16", 1.0, 0x3F80),
    ],
)
def test_value_is_held_in_the_datatype_of_its_input(name: str, value: object, held: object) -> None:
    """Every kind of datatype; BF16 by its bits."""
    schema = ModelSchema((TensorSpec("X", DATATYPES[name], (-1, -1)),), (), batched=True)

    padding = apply_padding(schema, pads(X={"axis": 1, "value": value})).padding

    assert padding is not None
    assert padding.rules[0].value.dtype == DATATYPES[name].dtype
    assert padding.rules[0].value.tolist() == held
