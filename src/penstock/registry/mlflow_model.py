"""What the file `MLmodel` says of the model beside it."""

from typing import Final

import yaml

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


def _flavors(text: bytes) -> dict[object, object]:
    try:
        # Not the loader in C: it recurses without a limit, so that a deeply nested text ends the process.
        # And texts only: what looks like a number or a date is none of our business, and can cost minutes.
        tree = yaml.load(text.decode(), yaml.BaseLoader)  # noqa: S506 - it builds texts, lists and tables
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadArtifact("MLmodel is not valid YAML, or too deeply nested; log the model again") from error
    flavors = tree.get("flavors") if isinstance(tree, dict) else None
    if not isinstance(flavors, dict):
        raise BadArtifact("MLmodel names no flavors; log the model again with mlflow.onnx.log_model")
    return flavors
