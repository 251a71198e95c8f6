"""What a data scientist does with MLflow, asked for line by line: run with the Python of `.venv-mlflow`.

Each line of the input is JSON, `{"do": NAME, ...}`; each line of the output is the answer. The file stands alone.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import mlflow
import mlflow.onnx
import mlflow.pyfunc
import numpy as np
import onnx
from mlflow.models import infer_signature
from mlflow.types import Schema, TensorSpec
from onnx import helper, numpy_helper

WIDTH = 4
ROWS = np.ones((2, WIDTH), np.float32)


def multiplier(factor: float, width: int = WIDTH) -> onnx.ModelProto:
    """Return a model that multiplies its rows by a factor."""
    weights = numpy_helper.from_array(np.full(width, factor, np.float32), "k")
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "k"], ["y"])],
        "multiplier",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", width])],
        [weights],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def log(model: str, factor: float, *, width: int = WIDTH) -> dict[str, str]:
    """Log an ONNX model in a run, and register it. MLflow puts weights of more than 1 KiB into a file of their own."""
    rows = Schema([TensorSpec(np.dtype("float32"), (-1, width), "x")])
    with mlflow.start_run() as run:
        info = mlflow.onnx.log_model(
            multiplier(factor, width),
            name="model",
            registered_model_name=model,
            signature=mlflow.models.ModelSignature(inputs=rows, outputs=rows),
            pip_requirements=["onnx"],
        )
    return {"version": str(info.registered_model_version), "run_id": run.info.run_id, "model_id": info.model_id}


def log_run_artifacts(model: str, factor: float) -> dict[str, str]:
    """Save an ONNX model, log it as artifacts of a run, and register those, as before MLflow 3."""
    with tempfile.TemporaryDirectory() as directory, mlflow.start_run() as run:
        mlflow.onnx.save_model(multiplier(factor), Path(directory, "model"), pip_requirements=["onnx"])
        mlflow.log_artifacts(str(Path(directory, "model")), "model")
        version = mlflow.register_model(f"runs:/{run.info.run_id}/model", model)
    return {"version": str(version.version), "run_id": run.info.run_id}


class Doubler(mlflow.pyfunc.PythonModel):
    """A model that is not ONNX."""

    def predict(self, context: object, model_input: Any, params: object = None) -> Any:
        """Return twice the input."""
        return model_input * 2


def log_python(model: str) -> dict[str, str]:
    """Log and register a model of another flavour."""
    info = mlflow.pyfunc.log_model(
        name="model",
        python_model=Doubler(),
        registered_model_name=model,
        signature=infer_signature(ROWS, ROWS),
        pip_requirements=["numpy"],
    )
    return {"version": str(info.registered_model_version)}


def call(method: str, *arguments: object) -> dict[str, Any]:
    """Call a method of MLflow's client."""
    result = getattr(mlflow.MlflowClient(), method)(*arguments)
    return {name: str(getattr(result, name)) for name in ("version", "webhook_id", "name") if hasattr(result, name)}


def main() -> None:
    """Answer each line of the input."""
    mlflow.set_tracking_uri(sys.argv[1])
    print(json.dumps({"ready": True}), flush=True)
    deeds = {"log": log, "log_run_artifacts": log_run_artifacts, "log_python": log_python, "call": call}
    for line in sys.stdin:
        order = json.loads(line)
        deed = deeds[order.pop("do")]
        print(json.dumps(deed(*order.pop("with", []), **order)), flush=True)


if __name__ == "__main__":
    main()
