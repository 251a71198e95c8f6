"""What is told of a model."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from penstock.domain.schema import ModelSchema
from penstock.inference.descriptions import model_config
from penstock.lifecycle.options import ModelOptions


def test_each_device_has_the_lanes_that_it_has() -> None:
    """A GPU has one more than the CPU beside it: they share nothing out."""
    kinds = [SimpleNamespace(count=count) for count in (3, 1)]
    readiness = SimpleNamespace(
        schema=ModelSchema((), (), batched=False),
        options=ModelOptions(devices=["cuda:1", "cpu"]),
        artifact=SimpleNamespace(path=Path("model.onnx")),
        batcher=SimpleNamespace(scheduler=SimpleNamespace(kinds=kinds, lanes=4, limits=SimpleNamespace(together=False))),
    )
    catalog: Any = SimpleNamespace(find=lambda _, __: SimpleNamespace(readiness=readiness))

    groups = model_config(catalog, "m").instance_group

    assert [(group.name, group.count, list(group.gpus)) for group in groups] == [("cuda:1", 3, [1]), ("cpu", 1, [])]
