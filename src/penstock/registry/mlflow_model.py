"""What the file `MLmodel` says of the model beside it."""

import json
from typing import Final, NamedTuple

from penstock.domain.errors import BadArtifact
from penstock.domain.names import shown
from penstock.registry.file_name import name_problem

MLMODEL: Final = "MLmodel"
MAX_MLMODEL_BYTES: Final = 1024 * 1024


def graph_of(text: bytes) -> str:
    """Return the path of the ONNX file, relative to `MLmodel`.

    Raises `BadArtifact` for a text that is not MLflow's, and for a model that was not logged as ONNX.
    """
    flavors = _flavors(text)
    onnx = flavors.get("onnx")
    if not isinstance(onnx, dict):
        logged = ", ".join(shown(str(name)) for name in sorted(flavors, key=str)[:8]) or "nothing"
        raise BadArtifact(f"the version was logged as {logged}, not as ONNX; convert it and log it with mlflow.onnx.log_model")
    graph = onnx.get("data", "model.onnx")
    if not isinstance(graph, str) or name_problem(graph):
        raise BadArtifact(f"MLmodel names the ONNX file {shown(str(graph)[:99])}, which is no plain path beside it")
    return graph


class Signature(NamedTuple):
    """The names of the columns that a model was logged with; none where it takes or gives tensors."""

    inputs: list[str]
    outputs: list[str]


def signature_of(text: bytes) -> Signature:
    """Return the column names of the model's signature (MLflow, "Model Signatures and Input Examples"); raises `BadArtifact`."""
    tree = _tree(text)
    signature = tree.get("signature") if isinstance(tree, dict) else None
    sides = signature if isinstance(signature, dict) else {}
    return Signature(_columns(sides.get("inputs")), _columns(sides.get("outputs")))


def _columns(text: object) -> list[str]:
    """Return the names in one side of a signature, which is JSON in a text."""
    try:
        columns = json.loads(text) if isinstance(text, str) else []
    except (ValueError, RecursionError):
        return []
    if not isinstance(columns, list) or any(not isinstance(column, dict) or column.get("type") == "tensor" for column in columns):
        return []
    names = [column.get("name") for column in columns]
    return [str(name) for name in names] if all(isinstance(name, str) and name for name in names) else []


def _tree(text: bytes) -> object:
    try:
        import yaml  # noqa: PLC0415 - of the extra `mlflow`: only whoever has such a file needs it
    except ImportError as error:
        raise BadArtifact("MLmodel cannot be read without the extra `mlflow`: pip install 'penstock[mlflow]'") from error
    try:
        # Not the loader in C: it recurses without a limit, so that a deeply nested text ends the process.
        # And texts only: what looks like a number or a date is none of our business, and can cost minutes.
        return yaml.load(text.decode(), yaml.BaseLoader)  # noqa: S506 - it builds texts, lists and tables
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadArtifact("MLmodel is not valid YAML, or too deeply nested; log the model again") from error


def _flavors(text: bytes) -> dict[object, object]:
    tree = _tree(text)
    flavors = tree.get("flavors") if isinstance(tree, dict) else None
    if not isinstance(flavors, dict):
        raise BadArtifact("MLmodel names no flavors; log the model again with mlflow.onnx.log_model")
    return flavors
