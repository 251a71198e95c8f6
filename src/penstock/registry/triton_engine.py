"""What Triton's configuration says to ONNX Runtime: graph level, back-end parameters, execution accelerators."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from penstock.registry.triton_fields import ACCELERATORS, Notes
from penstock.wire import inference

_GRAPH_LEVELS: Final = {-1: "ORT_ENABLE_BASIC", 1: "ORT_ENABLE_EXTENDED", 2: "ORT_DISABLE_ALL"}


class _Parameter(NamedTuple):
    """Where a parameter of Triton's ONNX Runtime back end goes, and what its texts mean there."""

    section: str
    name: str
    values: Mapping[str, object] | None = None
    """None: a count, of which 0 means the engine's default."""


_FLAG: Final = {"1": True, "true": True, "0": False, "false": False}
_FLAG_TEXT: Final = {text: str(int(flag)) for text, flag in _FLAG.items()}
_ALLOCATOR: Final = "session.use_device_allocator_for_initializers"
_PARAMETERS: Final = {
    "intra_op_thread_count": _Parameter("model", "threads"),
    "inter_op_thread_count": _Parameter("session", "inter_op_num_threads"),
    "execution_mode": _Parameter("session", "execution_mode", {"0": "ORT_SEQUENTIAL", "1": "ORT_PARALLEL"}),
    "enable_mem_arena": _Parameter("session", "enable_cpu_mem_arena", _FLAG),
    "enable_mem_pattern": _Parameter("session", "enable_mem_pattern", _FLAG),
    _ALLOCATOR: _Parameter("session", _ALLOCATOR, _FLAG_TEXT),
    "cudnn_conv_algo_search": _Parameter("cuda", "cudnn_conv_algo_search", {"0": "EXHAUSTIVE", "1": "HEURISTIC", "2": "DEFAULT"}),
    "gpu_mem_limit": _Parameter("cuda", "gpu_mem_limit"),
    "arena_extend_strategy": _Parameter("cuda", "arena_extend_strategy", {"0": "kNextPowerOfTwo", "1": "kSameAsRequested"}),
    "do_copy_in_default_stream": _Parameter("cuda", "do_copy_in_default_stream", _FLAG_TEXT),
}

_PRECISIONS: Final[dict[str, dict[str, str]]] = {
    "FP32": {},
    "FP16": {"trt_fp16_enable": "1"},
    "BF16": {"trt_bf16_enable": "1"},
    "INT8": {"trt_int8_enable": "1"},
}
_TENSORRT_NAMES: Final = {
    "max_workspace_size_bytes": "trt_max_workspace_size",
    "int8_calibration_table_name": "trt_int8_calibration_table_name",
    "int8_use_native_calibration_table": "trt_int8_use_native_calibration_table",
}
_NATIVE: Final = re.compile(".*(plugin|bytestream|compute_stream|gpu_external).*")
"""Provider options that name a library to load or an address in memory."""


def engine_options(config: inference.ModelConfig, notes: Notes) -> dict[str, object]:
    """Return the settings `threads`, `session_options` and `provider_options`, those that the configuration decides."""
    sections: dict[str, dict[str, object]] = {"model": {}, "session": {}, "cuda": {}, "tensorrt": {}}
    sections["session"] |= _graph_level(config.optimization.graph.level, notes)
    for accelerator in config.optimization.execution_accelerators.gpu_execution_accelerator:
        _accelerate(accelerator, sections, notes)
    for accelerator in config.optimization.execution_accelerators.cpu_execution_accelerator:
        notes.ignore(f"{ACCELERATORS}.cpu_execution_accelerator", f"{accelerator.name!r} is not among our devices")
    for name in sorted(config.parameters):
        _set_parameter(name, config.parameters[name].string_value, sections, notes)
    providers = {name: sections[name] for name in ("cuda", "tensorrt") if sections[name]}
    options = {"session_options": sections["session"], "provider_options": providers}
    return sections["model"] | {name: table for name, table in options.items() if table}


def _graph_level(level: int, notes: Notes) -> dict[str, object]:
    if level and level not in _GRAPH_LEVELS:
        notes.ignore("optimization.graph.level", f"{level} is none of -1, 0, 1 and 2")
    return {"graph_optimization_level": _GRAPH_LEVELS[level]} if level in _GRAPH_LEVELS else {}


def _set_parameter(name: str, text: str, sections: dict[str, dict[str, object]], notes: Notes) -> None:
    path = f"parameters.{name}"
    if name == "share_session_between_instances":
        return  # all lanes of a device share one session anyway
    if name not in _PARAMETERS:
        notes.ignore(path, "the engine has no such parameter")
        return
    section, ours, values = _PARAMETERS[name]
    value = _count(text) if values is None else values.get(text.lower())
    if value is None:
        notes.refuse(path, f"{text!r} is no " + ("count" if values is None else f"value of {', '.join(values)}"))
    elif values is not None or value:
        sections[section][ours] = value


def _count(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,19}", text) else None


def _accelerate(
    accelerator: inference.ModelOptimizationPolicy.ExecutionAccelerators.Accelerator,
    sections: dict[str, dict[str, object]],
    notes: Notes,
) -> None:
    path = f"{ACCELERATORS}.gpu_execution_accelerator"
    if accelerator.name not in ("cuda", "tensorrt"):
        notes.refuse(path, f"{accelerator.name!r} is neither 'cuda' nor 'tensorrt'")
        return
    section = sections[accelerator.name]
    translate = _own_name if accelerator.name == "cuda" else _tensorrt
    for name, text in sorted(accelerator.parameters.items()):
        section |= translate(name, text, f"{path}.parameters.{name}", notes)


def _own_name(name: str, text: str, path: str, notes: Notes) -> dict[str, str]:
    """Return a provider's option of that name, nothing if a registry may not set it."""
    if _NATIVE.fullmatch(name):
        notes.refuse(path, "a registry may name neither native code nor addresses in memory")
    elif name == "device_id":
        notes.ignore(path, "the instance group says which GPU")
    else:
        return {name: text}
    return {}


def _tensorrt(name: str, text: str, path: str, notes: Notes) -> dict[str, str]:
    """Return the options of ONNX Runtime's TensorRT provider that one parameter means."""
    if name == "precision_mode":
        if text not in _PRECISIONS:
            notes.refuse(path, f"{text!r} is none of {', '.join(_PRECISIONS)}")
        return _PRECISIONS.get(text, {})
    ours = _TENSORRT_NAMES.get(name, name)
    if ours.startswith("trt_"):
        return _own_name(ours, text, path, notes)
    notes.ignore(path, "TensorRT has no such option")
    return {}
