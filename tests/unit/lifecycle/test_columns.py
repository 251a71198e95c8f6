"""Names of columns: from the settings, the lineage or MLflow, in that order, and only where they fit."""

import json
import sys
from pathlib import Path

import pytest

from penstock.domain.errors import LoadRefused
from penstock.domain.model import ModelArtifact, ModelVersion
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, TensorSpec
from penstock.lifecycle.columns import apply_columns

FP32 = DATATYPES["FP32"]
SCHEMA = ModelSchema((TensorSpec("X", FP32, (-1, 2)),), (TensorSpec("Y", FP32, (-1,)),), batched=True)


def artifact(home: Path, *, signature: object = None, **lineage: str) -> ModelArtifact:
    """Return a version with that lineage, and with MLflow's file if there is a signature."""
    if signature is not None:
        table = {"flavors": {"onnx": {"data": "model.onnx"}}, "signature": signature}
        (home / "MLmodel").write_text(json.dumps(table))  # which is YAML too
    return ModelArtifact(ModelVersion("m", "1"), home / "model.onnx", lineage=lineage)


def columns(home: Path, said: dict[str, list[str]] | None = None, **known: object) -> tuple[str, ...]:
    """Return what the columns of X are called."""
    return apply_columns(SCHEMA, said or {}, artifact(home, **known)).inputs[0].columns  # type: ignore[arg-type]


def signed(*names: str, kind: str = "double") -> dict[str, object]:
    """Return MLflow's signature of a table."""
    return {"inputs": json.dumps([{"name": name, "type": kind, "required": True} for name in names]), "outputs": None}


def test_whoever_is_closest_to_where_the_model_runs_names_its_columns(tmp_path: Path) -> None:
    """Settings win over the lineage, and that over what MLflow logged."""
    assert columns(tmp_path) == ()
    assert columns(tmp_path, signature=signed("a", "b")) == ("a", "b")
    assert columns(tmp_path, signature=signed("a", "b"), columns="c, d") == ("c", "d")
    assert columns(tmp_path, {"X": ["e", "f"]}, columns="c, d") == ("e", "f")
    assert apply_columns(SCHEMA, {}, artifact(tmp_path, **{"columns.X": "g,h"})).inputs[0].columns == ("g", "h")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"Z": ["a"]}, "no input or output 'Z'"),
        ({"X": ["a"]}, "1 names for 2 columns"),
        ({"Y": ["a"]}, "rows and no columns"),
        ({"X": ["a", "a"]}, "named twice"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, said: dict[str, list[str]], told: str) -> None:
    """For whoever wrote them relies on them to keep something back."""
    with pytest.raises(LoadRefused, match=told):
        apply_columns(SCHEMA, said, artifact(tmp_path))


def test_what_others_say_and_does_not_fit_is_told_and_not_used(tmp_path: Path) -> None:
    """A note, for the model serves well without."""
    schema = apply_columns(SCHEMA, {}, artifact(tmp_path, columns="a,b,c"))
    assert schema.inputs[0].columns == ()
    assert "3 names for 2 columns" in schema.notes[-1]


@pytest.mark.parametrize(
    "signature",
    [
        {"inputs": "not JSON"},
        {"inputs": '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}, "name": "X"}]'},
        {"inputs": '[{"type": "double"}, {"type": "double"}]'},
        {"inputs": '{"type": "double"}'},
        "none",
    ],
)
def test_a_signature_that_names_no_columns_names_none(tmp_path: Path, signature: object) -> None:
    """Tensors have no columns, and what is no signature is passed over."""
    assert columns(tmp_path, signature=signature) == ()


def test_signature_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is served all the same: without the extra that reads YAML too."""
    monkeypatch.setitem(sys.modules, "yaml", None)

    (note,) = apply_columns(SCHEMA, {}, artifact(tmp_path, signature=signed("a", "b"))).notes

    assert "penstock[mlflow]" in note
