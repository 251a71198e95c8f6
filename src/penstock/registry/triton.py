"""From Triton's model configuration to Penstock's settings."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from penstock.registry.triton_engine import engine_options
from penstock.registry.triton_fields import ACCELERATORS, Notes, judge
from penstock.wire import inference


@dataclass(frozen=True, slots=True)
class DeclaredTensor:
    """What a configuration declares of one input or output."""

    name: str
    datatype: str
    """The name on the wire: "FP32", "BYTES"."""
    dims: tuple[int, ...]
    """Without the batch dimension where the model has one; -1 for any size."""
    optional: bool = False
    label_filename: str = ""
    reshape: tuple[int, ...] | None = None
    """What the graph has in place of `dims`."""
    labels: tuple[str, ...] = ()
    """The lines of the label file, for its reader to fill in."""


@dataclass(frozen=True, slots=True)
class TritonSettings:
    """A configuration in Penstock's words."""

    options: dict[str, object] = field(default_factory=dict)
    """Settings of the model, only those that the configuration decides."""
    max_batch_size: int | None = None
    """0: there is no batch dimension; None: the graph decides, as in Triton where not all tensors are listed."""
    inputs: tuple[DeclaredTensor, ...] = ()
    outputs: tuple[DeclaredTensor, ...] = ()
    model_filename: str = "model.onnx"
    warnings: tuple[str, ...] = ()
    """A sentence for each thing that has no effect."""
    refusals: tuple[str, ...] = ()
    """A sentence for each thing that forbids to serve the model."""


def translate(config: inference.ModelConfig) -> TritonSettings:
    """Return what a configuration means here; whether it fits the graph and the directory is for others to check."""
    notes = judge(config)
    _check_identity(config, notes)
    complete = bool(config.input) and bool(config.output)
    options = _versions(config.version_policy, notes) | _batching(config, complete=complete) | _places(config, notes)
    return TritonSettings(
        options=options | engine_options(config, notes),
        max_batch_size=config.max_batch_size if complete or config.max_batch_size else None,
        inputs=tuple(_input(tensor, notes) for tensor in config.input),
        outputs=tuple(_output(tensor, notes) for tensor in config.output),
        model_filename=config.default_model_filename or "model.onnx",
        warnings=tuple(notes.warnings),
        refusals=tuple(notes.refusals),
    )


def _check_identity(config: inference.ModelConfig, notes: Notes) -> None:
    for path, value, ours in (
        ("backend", config.backend, "onnxruntime"),
        ("platform", config.platform, "onnxruntime_onnx"),
    ):
        if value not in ("", ours):
            notes.refuse(path, f"{value!r} is not {ours!r}")
    if config.max_batch_size < 0:
        notes.refuse("max_batch_size", f"{config.max_batch_size} is below 0")
    _check_inside("default_model_filename", config.default_model_filename, notes)


def _check_inside(path: str, filename: str, notes: Notes) -> None:
    name = PurePosixPath(filename)
    if name.is_absolute() or ".." in name.parts or "\\" in filename or "\0" in filename:
        notes.refuse(path, f"{filename!r} leads out of the model's directory")


def _input(tensor: inference.ModelInput, notes: Notes) -> DeclaredTensor:
    return DeclaredTensor(tensor.name, _datatype("input", tensor, notes), tuple(tensor.dims), tensor.optional, reshape=_reshape(tensor))


def _output(tensor: inference.ModelOutput, notes: Notes) -> DeclaredTensor:
    _check_inside("output.label_filename", tensor.label_filename, notes)
    return DeclaredTensor(
        tensor.name,
        _datatype("output", tensor, notes),
        tuple(tensor.dims),
        label_filename=tensor.label_filename,
        reshape=_reshape(tensor),
    )


def _reshape(tensor: inference.ModelInput | inference.ModelOutput) -> tuple[int, ...] | None:
    return tuple(tensor.reshape.shape) if tensor.HasField("reshape") else None


def _datatype(kind: str, tensor: inference.ModelInput | inference.ModelOutput, notes: Notes) -> str:
    if tensor.data_type == inference.TYPE_INVALID:
        notes.refuse(f"{kind}.data_type", f"{tensor.name!r} has none")
    name = inference.DataType.Name(tensor.data_type).removeprefix("TYPE_")
    return "BYTES" if name == "STRING" else name


def _versions(policy: inference.ModelVersionPolicy, notes: Notes) -> dict[str, object]:
    match policy.WhichOneof("policy_choice"):
        case "latest":
            return {"versions": f"latest:{max(1, policy.latest.num_versions)}"}
        case "all":
            return {"versions": "all"}
        case "specific":
            versions = list(policy.specific.versions)
            if min(versions, default=0) < 1:
                notes.refuse("version_policy.specific.versions", f"{versions} is no list of version numbers")
            return {"versions": [str(version) for version in versions]}
    return {}


def _batching(config: inference.ModelConfig, *, complete: bool) -> dict[str, object]:
    """Return how rows are batched; where not all tensors are listed, Triton batches whatever the graph allows."""
    options: dict[str, object] = {}
    if config.max_batch_size > 0:
        options["max_batch_rows"] = config.max_batch_size
    if config.max_batch_size > 0 and config.HasField("dynamic_batching"):
        options["batching"] = "adaptive"
    elif complete:
        options["batching"] = "off"
    if queue_rows := config.dynamic_batching.default_queue_policy.max_queue_size:
        options["queue_rows"] = queue_rows
    return options


def _places(config: inference.ModelConfig, notes: Notes) -> dict[str, object]:
    """Return devices and lanes."""
    lanes = Counter[str]()
    for group in config.instance_group or [inference.ModelInstanceGroup()]:
        for device in _devices(group, config):
            lanes[device] += group.count or 1
    _note_places(config, lanes, notes)
    devices = [device for device in lanes if device]
    counted = lanes and any(group.count for group in config.instance_group)
    return {
        **({"devices": devices} if devices else {}),
        **({"lanes": max(lanes.values())} if counted else {}),
    }


def _devices(group: inference.ModelInstanceGroup, config: inference.ModelConfig) -> list[str]:
    """Return the devices of an instance group, "" for one that the settings decide."""
    accelerators = [wanted.name for wanted in config.optimization.execution_accelerators.gpu_execution_accelerator]
    gpu = "tensorrt" if "tensorrt" in accelerators else "cuda"
    if group.passive:
        return []
    if group.kind == inference.ModelInstanceGroup.KIND_CPU:
        return ["cpu"]
    if group.gpus or group.kind == inference.ModelInstanceGroup.KIND_GPU or accelerators:
        return [f"{gpu}:{number}" for number in group.gpus or [0]]
    return [""]


def _note_places(config: inference.ModelConfig, lanes: Counter[str], notes: Notes) -> None:
    """Say where the groups mean more than one list of devices and one number of lanes can say."""
    for group in config.instance_group:
        if group.passive:
            notes.ignore("instance_group.passive", "a passive group takes no requests, so that it is left out")
        if not group.gpus and group.kind == inference.ModelInstanceGroup.KIND_GPU:
            notes.ignore("instance_group.gpus", "an empty list means every GPU, here GPU 0; list those to use")
    if "" in lanes and config.instance_group:
        notes.ignore("instance_group.kind", "KIND_AUTO runs where `devices` says, on the CPU if it says nothing")
    if len(set(lanes.values())) > 1:
        notes.ignore("instance_group.count", "every device has the same number of lanes, the largest of the counts")
    if set(lanes) == {"cpu"} and config.optimization.execution_accelerators.gpu_execution_accelerator:
        notes.ignore(f"{ACCELERATORS}.gpu_execution_accelerator", "no instance group is on a GPU")
