"""One ONNX Runtime session behind Penstock's `Session` protocol."""

import ctypes
import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from penstock.domain.errors import BadArtifact, DeadlineExceeded, LoadRefused, ModelFailed, OutOfMemory, Overloaded, PenstockError
from penstock.domain.halt import Halt
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Array
from penstock.execution.devices import KIND_OF, Device, Options, missing_libraries
from penstock.execution.engine import ort
from penstock.execution.graph import schema_of

_BF16 = DATATYPES["BF16"]
_ONNX_BFLOAT16 = 16
_PATH_LIKE = re.compile(r"\S*/\S+")
_STATUS = re.compile(r".*Status Message: ", re.DOTALL)
_ENGINE_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_NO_MEMORY = re.compile(r"(?i)failed to allocate memory|out of memory|bad_alloc|alloc_failed|available memory of \d+ is smaller")
_FATAL = 4
_state = ort.capi.onnxruntime_pybind11_state
_BAD_FILE = (_state.InvalidProtobuf, _state.NoSuchFile, _state.InvalidArgument)


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How a session is built."""

    device: Device
    threads: int = 1
    session_options: Mapping[str, str | int | bool] = field(default_factory=dict)
    provider_options: Options = field(default_factory=dict)
    slab_bytes: int = 256 * 1024**2
    """The most memory that is kept between runs for what a server and a worker process share."""


class OrtSession:
    """A graph loaded into ONNX Runtime. Hardened to untrusted models as far as one process allows."""

    def __init__(self, path: Path, settings: SessionSettings, max_batch_size: int | None = None) -> None:
        """Load the graph; blocks. `max_batch_size` is what the model's author declared, None if nothing was.

        Raises `BadArtifact` for a file that is no valid graph, `LoadRefused` for one that this installation cannot serve, `Overloaded`
        where the device has too little memory left.
        """
        self._session = _load(path, settings)
        self._session.disable_fallback()
        self._schema = schema_of(self._session, max_batch_size)
        self._placement = _placement(self._session)
        self._arenas = _arenas(settings)
        datatypes = {spec.datatype for spec in self._schema.inputs + self._schema.outputs}
        self._turn = threading.Lock()
        on_cpu = settings.device.kind == "cpu"
        self._run = self._run_bf16 if _BF16 in datatypes else self._session.run if on_cpu else self._run_in_turn

    @property
    def schema(self) -> ModelSchema:
        """What the graph takes and gives."""
        return self._schema

    @property
    def placement(self) -> Mapping[str, float]:
        """Share of the graph's nodes by device kind."""
        return self._placement

    def run(
        self,
        inputs: Mapping[str, Array],
        outputs: Sequence[str],
        limit_s: float | None = None,
        halt: Halt | None = None,
        *,
        again: bool = False,  # noqa: ARG002 - a graph in this process has no use for it
    ) -> list[Array]:
        """Return the named outputs; see `Session.run`."""
        options = None if limit_s is None and halt is None else ort.RunOptions()
        return self._executed(inputs, outputs, options, limit_s, halt)

    def shrink(self, inputs: Mapping[str, Array], outputs: Sequence[str], halt: Halt | None = None) -> list[Array]:
        """Return the named outputs; see `Session.shrink`."""
        options = ort.RunOptions()
        if self._arenas:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", self._arenas)
        return self._executed(inputs, outputs, options, None, halt)

    def _executed(
        self, inputs: Mapping[str, Array], outputs: Sequence[str], options: ort.RunOptions | None, limit_s: float | None, halt: Halt | None
    ) -> list[Array]:
        alarm = _alarm(options, limit_s)
        if halt is not None:
            halt.when_asked(partial(setattr, options, "terminate", True))
        try:
            return list(self._run(list(outputs), dict(inputs), options))
        except Exception as error:
            if halt is not None and halt.asked:
                raise ModelFailed("the run was ended, for nobody waited for it any more") from error
            if options is not None and options.terminate:
                raise DeadlineExceeded(f"the run was stopped after its limit of {limit_s} s") from error
            text = engine_text(error)
            failure = OutOfMemory if _NO_MEMORY.search(text) else ModelFailed
            raise failure(f"the model failed on this input: {text}") from error
        finally:
            if alarm is not None:
                alarm.cancel()

    def close(self) -> None:
        """Free the graph's memory."""
        del self._session, self._run

    def _run_in_turn(self, names: list[str], inputs: dict[str, Array], options: ort.RunOptions | None) -> list[Array]:
        """Run one batch at a time: two at once would share a GPU, and nobody could say when they end."""
        with self._turn:
            outputs: list[Array] = self._session.run(names, inputs, options)
        return outputs

    def _run_bf16(self, names: list[str], inputs: dict[str, Array], options: ort.RunOptions | None) -> list[Array]:
        """Run through OrtValues: numpy has no BF16, so raw bits go in and come out by address."""
        named = self._schema.input_named
        values = {
            name: ort.OrtValue.ortvalue_from_numpy_with_onnx_type(np.asarray(array, order="C"), _ONNX_BFLOAT16)
            if named[name].datatype is _BF16
            else ort.OrtValue.ortvalue_from_numpy(array)
            for name, array in inputs.items()
        }
        return [_array(value) for value in self._session.run_with_ort_values(names, values, options)]


def engine_text(error: Exception | str) -> str:
    """Return ONNX Runtime's words about a failure, without its prefixes and without anything that looks like a path."""
    if isinstance(error, UnicodeError):
        return "a string that goes in or out is not UTF-8"
    text = _STATUS.sub("", _ENGINE_PREFIX.sub("", str(error)))
    return " ".join(_PATH_LIKE.sub("", text).split())[:300]


def _load(path: Path, settings: SessionSettings) -> ort.InferenceSession:
    providers = settings.device.providers(settings.provider_options)
    missing = "" if settings.device.kind == "cpu" else missing_libraries()
    try:
        session = ort.InferenceSession(str(path), _options(settings), providers=providers)
    except PenstockError:
        raise
    except Exception as error:
        text = f"ONNX Runtime {ort.__version__} refuses the model: {engine_text(error)}"
        if _NO_MEMORY.search(text):
            raise Overloaded(
                f"{text}; {settings.device} has no room for it beside what it holds: unload something, or name another"
            ) from error
        raise (BadArtifact(text) if isinstance(error, _BAD_FILE) else LoadRefused(text)) from error
    if settings.device.provider not in session.get_providers():
        raise LoadRefused(
            f"the device {str(settings.device)!r} could not be used: ONNX Runtime fell back to {', '.join(session.get_providers())}; "
            f"check the driver and its libraries{missing and f' ({engine_text(missing)})'}"
        )
    return session


def _options(settings: SessionSettings) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.enable_mem_pattern = False  # a plan for each shape that was ever seen, kept for ever: 12 KB in a graph of 450 nodes
    options.log_severity_level = _FATAL  # failures are raised, and reported by Penstock's own log
    # Threads that spin between runs steal the cores that answer requests.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    for name, value in settings.session_options.items():
        _set_option(options, name, value)
    return options


def _set_option(options: ort.SessionOptions, name: str, value: str | int | bool) -> None:
    if "." in name:
        options.add_session_config_entry(name, str(int(value)) if isinstance(value, bool) else str(value))
        return
    if not hasattr(options, name) or callable(getattr(options, name)):
        raise LoadRefused(f"the session option {name!r} is not known to ONNX Runtime {ort.__version__}")
    present = getattr(options, name)
    try:
        setattr(options, name, type(present).__members__[str(value)] if hasattr(present, "__members__") else value)
    except (KeyError, TypeError) as error:
        raise LoadRefused(f"the session option {name!r} cannot be {value!r}") from error


def _arenas(settings: SessionSettings) -> str:
    """Return the names of the memory pools that grow with the largest run, as ONNX Runtime's run option wants them."""
    cpu = "" if settings.session_options.get("enable_cpu_mem_arena") is False else "cpu:0"
    gpu = "" if settings.device.kind == "cpu" else f"gpu:{settings.device.index}"
    return ";".join(filter(None, (cpu, gpu)))


def _placement(session: ort.InferenceSession) -> dict[str, float]:
    nodes = Counter[str]()
    for share in session.get_provider_graph_assignment_info():
        nodes[KIND_OF.get(share.ep_name, share.ep_name)] += len(share.get_nodes())
    total = sum(nodes.values())
    return {kind: count / total for kind, count in nodes.items()} if total else {}


def _alarm(options: ort.RunOptions | None, limit_s: float | None) -> threading.Timer | None:
    if limit_s is None:
        return None
    alarm = threading.Timer(limit_s, setattr, (options, "terminate", True))
    alarm.daemon = True
    alarm.start()
    return alarm


def _array(value: Any) -> Array:  # noqa: ANN401 - onnxruntime ships no types
    if value.data_type() != "tensor(bfloat16)":
        return np.asarray(value.numpy())
    shape = tuple(value.shape())
    size = int(np.prod(shape, dtype=np.int64)) * _BF16.itemsize
    return np.frombuffer(ctypes.string_at(value.data_ptr(), size), dtype=_BF16.dtype).reshape(shape)
