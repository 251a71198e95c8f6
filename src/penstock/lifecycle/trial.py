"""A model tried out before it is published: loaded, probed and run once, in a process that may die of it."""

import multiprocessing
import os
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import numpy as np

from penstock.domain.errors import LoadRefused, PenstockError
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import Array, TensorSpec
from penstock.execution.devices import parse_device
from penstock.execution.session import OrtSession, SessionSettings
from penstock.execution.warmup import warm_up
from penstock.lifecycle.declared import apply_declared
from penstock.lifecycle.layout import layout_of
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.padding import apply_padding
from penstock.lifecycle.proof import proven
from penstock.lifecycle.settings import resolve_options
from penstock.registry.source import ModelListing
from penstock.registry.triton import TritonSettings

_ONE_RUN_S: Final = 30.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Trial:
    """What a model has shown of itself."""

    inputs: tuple[TensorSpec, ...]
    """As the graph declares them."""
    outputs: tuple[TensorSpec, ...]
    batched: bool
    """Whether rows of different requests may share a run."""
    run_ns: int | None
    """What a run of one row took, in nanoseconds; None if the model takes no made-up input."""
    notes: tuple[str, ...] = ()
    """What an operator should know."""


@dataclass(frozen=True, slots=True)
class _Subject:
    """What the process of its own is given."""

    graph: Path
    options: ModelOptions
    triton: TritonSettings | None


def options_of(defaults: ModelOptions, *said: Mapping[str, object]) -> ModelOptions:
    """Return the options of a trial, the stronger word later: on the CPU, since who publishes need not have what serves.

    Raises `LoadRefused` for settings that no server would take.
    """
    return msgspec.structs.replace(resolve_options(defaults, *said), devices=["cpu"], require_placement={}, provider_options={})


def try_out(graph: Path, model: ModelListing, options: ModelOptions, limit_s: float) -> Trial:
    """Return what the model file does under these options when it is loaded as a server loads it.

    Blocks, for no longer than the limit. The process that loads it may take no more memory than the machine has. Raises `BadArtifact` or
    `LoadRefused` with the reason.
    """
    return _apart(partial(_tried, _Subject(graph, options, model.triton)), limit_s)


def answers(graph: Path, model: ModelListing, options: ModelOptions, inputs: Mapping[str, Array], limit_s: float) -> dict[str, Array]:
    """Return the outputs of a model of rows by name, one row for each row of the inputs; raises as `try_out` does, and `ModelFailed`."""
    return _apart(partial(_answered, _Subject(graph, options, model.triton), inputs), limit_s)


def _apart(work: Callable[[], _T], limit_s: float) -> _T:
    """Return what the work returns in a process of its own, which ends with it."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, work), daemon=True)
    process.start()
    sender.close()
    try:
        result = _result(receiver, limit_s)
    finally:
        receiver.close()
        process.kill()
        process.join()
    if isinstance(result, PenstockError):
        raise result
    found: _T = result
    return found


def _result(receiver: Connection, limit_s: float) -> Any:  # noqa: ANN401 - whatever the work returns
    if not receiver.poll(limit_s):
        return LoadRefused(f"the model was not loaded and run within {limit_s:g} s; allow more with --timeout if it is that large")
    try:
        return receiver.recv()
    except EOFError:
        return LoadRefused("the process that tried the model died; it needs more memory than there is, or makes the engine crash")


def _child(sender: Connection, work: Callable[[], object]) -> None:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        sender.send(work())
    except PenstockError as error:
        sender.send(error)


def _tried(subject: _Subject) -> Trial:
    session, schema, note = _opened(subject)
    table, remark = warm_up(session, schema, 1, _ONE_RUN_S, only=[1])
    notes = (*schema.notes, *dict.fromkeys(text for text in (note, remark) if text))
    return Trial(session.schema.inputs, session.schema.outputs, schema.batched, table.get(1), notes)


def _answered(subject: _Subject, inputs: Mapping[str, Array]) -> dict[str, Array]:
    session, schema, _ = _opened(subject)
    step, rows = subject.options.max_batch_rows if schema.batched else 1, len(next(iter(inputs.values())))
    parts = [{name: array[start : start + step] for name, array in inputs.items()} for start in range(0, rows, step)]
    runs = [session.run(part, schema.output_names) for part in parts]
    return {name: np.concatenate(pieces) for name, pieces in zip(schema.output_names, zip(*runs, strict=True), strict=True)}


def _opened(subject: _Subject) -> tuple[OrtSession, ModelSchema, str | None]:
    options, triton, cpu = subject.options, subject.triton, parse_device("cpu")
    settings = SessionSettings(cpu, layout_of(options, cpu).threads, options.session_options)
    session = OrtSession(subject.graph, settings, triton.max_batch_size if triton else None)
    schema, note = proven(session, apply_padding(apply_declared(session.schema, triton), options.pad), options)
    return session, schema, note
