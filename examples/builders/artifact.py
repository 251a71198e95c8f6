"""Write one version of a model, and ask the written file for its answers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx.parser
import onnxruntime as ort

Array = npt.NDArray[Any]

# Old enough for every ONNX Runtime of the last three years.
HEADER = '<ir_version: 8, opset_import: ["": 17]>'
SKLEARN_OPSETS = {"": 17, "ai.onnx.ml": 3}


class Built(NamedTuple):
    """A version that lies in the registry, and how good it was on data it had not seen."""

    path: Path
    measured: str


def model_of(text: str, weights: Mapping[str, Array], header: str = HEADER) -> onnx.ModelProto:
    """Return the model of a graph in ONNX's text syntax, with `weights` as its initializers."""
    model = onnx.parser.parse_model(header + text)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in weights.items())
    return model


def tidied(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return skl2onnx's model with its batch dimension named and its operator sets stated.

    The converter leaves that dimension nameless, and imports the oldest set that would do, or one set twice.
    """
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(domain, version) for domain, version in SKLEARN_OPSETS.items())
    return model


def write(root: Path, name: str, version: int, model: onnx.ModelProto) -> Path:
    """Check the model and write it as `<root>/<name>/<version>/model.onnx`; return that path."""
    onnx.checker.check_model(model, full_check=True)
    path = root / name / str(version) / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def answer(path: Path, output: str, rows: Array) -> Array:
    """Return one output of the written model for `rows` of its only input."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    (result,) = session.run([output], {session.get_inputs()[0].name: rows})
    return np.asarray(result)


def accuracy(path: Path, output: str, rows: Array, truth: Array) -> str:
    """Return the share of `rows` that the written model classifies rightly, as text."""
    share = np.mean(answer(path, output, rows) == truth)
    return f"accuracy {share:.1%} on {len(rows)} held-out rows"
