"""From a listing in the registry to a version that can answer."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from penstock.batching.batcher import Batcher
from penstock.batching.lane_kind import LaneKind
from penstock.batching.latency import LatencyModel
from penstock.batching.limits import BatchLimits
from penstock.batching.place import RunPlace
from penstock.domain.batch import Batch, Rows
from penstock.domain.errors import BadArtifact, LoadRefused
from penstock.domain.model import ModelArtifact
from penstock.domain.schema import ModelSchema
from penstock.domain.session import Session
from penstock.execution.cores import usable_cores
from penstock.execution.devices import Device, parse_device
from penstock.execution.isolated_session import IsolatedSession
from penstock.execution.lane import SessionLanes
from penstock.execution.memory import machine_bytes, thrifty
from penstock.execution.pool import DevicePool
from penstock.execution.session import OrtSession, SessionSettings
from penstock.execution.synthetic import PADDED_LENGTH, synthetic_inputs
from penstock.execution.warmup import sizes
from penstock.execution.worker_process import WorkerOrder
from penstock.lifecycle.beside import beside
from penstock.lifecycle.bounds import largest_run, limits_of, slab_bytes_of, slo_ms_of
from penstock.lifecycle.columns import apply_columns
from penstock.lifecycle.declared import apply_declared
from penstock.lifecycle.latency_store import LatencyStore
from penstock.lifecycle.layout import layout_of
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.padding import apply_padding
from penstock.lifecycle.places import Place, Places
from penstock.lifecycle.plan_store import PlanStore
from penstock.lifecycle.proof import proven, unproven
from penstock.lifecycle.reference_store import ReferenceStore
from penstock.lifecycle.settings import resolve_options
from penstock.lifecycle.states import VersionState
from penstock.lifecycle.table_memory import TableMemory, Warmth
from penstock.lifecycle.version import Readiness, ServedVersion
from penstock.registry.source import ModelListing, Registry, VersionListing

_WARM_LIMIT_S: Final = 30.0  # of all warm-up runs of a version

OpenSession = Callable[[Path, SessionSettings, int | None], Session]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A version whose sessions exist."""

    artifact: ModelArtifact
    options: ModelOptions
    schema: ModelSchema
    sessions: tuple[Session, ...]
    tuned: Mapping[str, object]
    """The options that a plan decided."""

    def close_sessions(self) -> None:
        """Free the sessions and their memory; their files stay."""
        with thrifty():
            for session in self.sessions:
                session.close()

    def close(self) -> None:
        """Free the sessions and give their files back."""
        self.close_sessions()
        self.artifact.close()


@dataclass(frozen=True, slots=True)
class _Warmed:
    """What the first runs have shown."""

    schema: ModelSchema
    latency_ns: Sequence[Mapping[int, int]]
    """By device: measured nanoseconds of a run, by rows."""
    notes: tuple[str, ...]
    memory: TableMemory
    prior_ns: Sequence[Mapping[int, int]]
    """By device: what an earlier start of the server learnt, by what the scheduler counts."""
    stored: Batch | None = None
    """An input of one row that the model can run."""


class Loader:
    """Builds versions: verifies files, opens sessions, probes, warms, and puts a batcher in front."""

    def __init__(
        self,
        registry: Registry,
        defaults: ModelOptions,
        overrides: Mapping[str, Mapping[str, object]],
        open_session: OpenSession = OrtSession,
        state_dir: Path | None = None,
    ) -> None:
        """`state_dir` is where measurements and plans are kept; without one there are none."""
        self._registry = registry
        self._defaults = defaults
        self._overrides = overrides
        self.configured: Final = overrides.keys()
        self._open_session = open_session
        self._tables = LatencyStore(state_dir) if state_dir else None
        self._plans = PlanStore(state_dir) if state_dir else None
        self._places = Places()
        self._references = ReferenceStore(state_dir)
        self._turns = asyncio.Semaphore(max(2, usable_cores() // 2))

    def options(self, model: ModelListing, version: VersionListing | None = None) -> ModelOptions:
        """Return the options in force: [defaults], then the model's own files, then the version's, then [models.<name>].

        What the operator of this server says comes last, since it is said closest to where the model runs.
        """
        return resolve_options(self._defaults, *self._said(model, version))

    def check_floor(self, model: ModelListing, number: int) -> None:
        """Raise `LoadRefused` for a version that is too old to be served here. What a version says of itself does not count."""
        lowest = self.options(model).lowest_version
        if number < lowest:
            raise LoadRefused(f"version {number} of {model.name!r} is below lowest_version, {lowest}; nothing older is served here")

    async def load(self, model: ModelListing, listing: VersionListing, version: ServedVersion) -> Readiness:
        """Return what makes the version ready; raises `BadArtifact` or `LoadRefused` with the reason.

        The blocking half runs on a thread, beside what serves. At most half of the cores load at once, and two at least, so that one
        load that takes long does not hold up all others; whoever comes later waits in state LOADING.
        """
        if problem := model.problem or listing.problem:
            raise BadArtifact(problem)
        self.check_floor(model, listing.number)
        async with self._turns:
            return await self._loaded(model, listing, version)

    async def _loaded(self, model: ModelListing, listing: VersionListing, version: ServedVersion) -> Readiness:
        opened = await beside(lambda: self._open(model, listing))
        try:
            return await self._readied(opened, version)
        except Exception:  # not where the load is cancelled: then its thread may still be running the sessions
            await beside(opened.close)
            raise

    async def _readied(self, opened: _Opened, version: ServedVersion) -> Readiness:
        version.enter(VersionState.WARMING)
        warmed = await beside(lambda: _warm(opened, self._tables))
        batcher = await self._batcher(opened, warmed, version)
        remember = partial(warmed.memory.keep, warmed.latency_ns, batcher.scheduler.kinds)
        await beside(remember)
        references = await beside(lambda: self._references.known(opened.artifact))
        tuned = tuple(f"{key} = {value} (tuned)" for key, value in opened.tuned.items())
        notes = (*warmed.notes, *tuned, *filter(None, [references.problem]))
        return Readiness(
            opened.artifact, opened.options, warmed.schema, opened.sessions, batcher, notes, opened.tuned, references, remember
        )

    def examine(self, model: ModelListing, listing: VersionListing) -> tuple[ModelArtifact, ModelOptions, ModelSchema]:
        """Return a version's files, options, and schema as far as probes bear it out, without keeping its sessions; blocks.

        The files stay until the caller closes them. Raises `BadArtifact` or `LoadRefused` with the reason.
        """
        opened = self._open(model, listing)
        try:
            schema, _ = proven(opened.sessions[0], opened.schema, opened.options)
        except BaseException:
            opened.close()
            raise
        opened.close_sessions()
        return opened.artifact, opened.options, schema

    def session(self, artifact: ModelArtifact, options: ModelOptions, device: Device, model: ModelListing) -> Session:
        """Return a session with the options' threads; blocks. Raises `BadArtifact` or `LoadRefused`."""
        settings = SessionSettings(
            device, layout_of(options, device).threads, options.session_options, options.provider_options, slab_bytes_of(options)
        )
        declared = model.triton.max_batch_size if model.triton else None
        if options.isolation == "process":
            session: Session = IsolatedSession(_order(artifact, settings, declared, options))
        else:
            session = self._open_session(artifact.path, settings, declared)
        try:
            _check_placement(session, options)
        except LoadRefused:
            session.close()
            raise
        return session

    def close(self) -> None:
        """End the worker threads; blocks until their last run is done."""
        self._places.close()

    def _open(self, model: ModelListing, listing: VersionListing) -> _Opened:
        artifact = self._registry.open(model, listing)
        try:
            with thrifty():
                return self._opened(artifact, model, listing)
        except BaseException:
            artifact.close()
            raise

    def _opened(self, artifact: ModelArtifact, model: ModelListing, listing: VersionListing) -> _Opened:
        options = self.options(model, listing)
        tuned = self._plans.settings(artifact.version, options, self._said(model, listing)) if self._plans else {}
        options = msgspec.structs.replace(options, **tuned)
        with contextlib.ExitStack() as opened:  # closed again unless all goes well
            devices = map(parse_device, options.devices)
            sessions = [opened.enter_context(contextlib.closing(self.session(artifact, options, each, model))) for each in devices]
            declared = apply_declared(sessions[0].schema, model.triton)
            schema = apply_padding(apply_columns(declared, options.columns, artifact), options.pad)
            opened.pop_all()
        return _Opened(artifact, options, schema, tuple(sessions), tuned)

    def _said(self, model: ModelListing, version: VersionListing | None) -> tuple[Mapping[str, object], ...]:
        """Return what is said about the model beyond [defaults], the stronger word later."""
        return model.settings, version.settings if version else {}, self._overrides.get(model.name, {})

    async def _batcher(self, opened: _Opened, warmed: _Warmed, version: ServedVersion) -> Batcher:
        limits = limits_of(opened.options, warmed.schema)
        kinds, runs, places = list[LaneKind](), list[tuple[Session, DevicePool]](), list[Place]()
        measured = zip(warmed.latency_ns, warmed.prior_ns, strict=True)
        for name, session, (idle_ns, prior_ns) in zip(opened.options.devices, opened.sessions, measured, strict=True):
            device, table = parse_device(name), _by_cost(idle_ns, limits)
            count = layout_of(opened.options, device).lanes
            place = await self._places.of(session, device, count)
            kind = _lane_kind(device, count, LatencyModel(prior_ns or table), RunPlace(place.hop_ns, table), limits.max_rows)
            kinds.append(kind)
            places.append(place)
            runs += [(session, place.pool)] * kind.count
        lanes = SessionLanes(runs, warmed.stored)
        batcher = Batcher(
            warmed.schema, limits, kinds, lanes, version.statistics, slo_ms=slo_ms_of(opened.options, warmed.latency_ns[0].get(1, 0))
        )
        for kind, place in zip(kinds, places, strict=True):
            kind.tenant = place.share.join(batcher.decide_soon)
        return batcher


def _order(artifact: ModelArtifact, settings: SessionSettings, max_batch_size: int | None, options: ModelOptions) -> WorkerOrder:
    memory = machine_bytes() if options.memory_bytes == "auto" else options.memory_bytes
    return WorkerOrder(artifact.path, settings, max_batch_size, options.hang_s, memory)


def _check_placement(session: Session, options: ModelOptions) -> None:
    for kind, least in options.require_placement.items():
        share = session.placement.get(kind, 0.0)
        if share < least:
            seen = ", ".join(f"{name} {part:.2f}" for name, part in session.placement.items())
            raise LoadRefused(f"require_placement: {kind} runs {share:.2f} of the nodes, {least:.2f} is required (placed: {seen})")


def _warm(opened: _Opened, store: LatencyStore | None) -> _Warmed:
    schema, options = opened.schema, opened.options
    if options.warmup == "off":
        memory = TableMemory(store, opened.artifact.version, options, schema)
        known = [memory.recall(device) for device in options.devices]
        return _warmed(schema, memory, known, (*schema.notes, *unproven(schema)))
    schema, probe_note = proven(opened.sessions[0], schema, options)
    memory, most = TableMemory(store, opened.artifact.version, options, schema), largest_run(schema, options)
    known = [memory.warm_up(*place, most, _WARM_LIMIT_S) for place in zip(opened.sessions, options.devices, strict=True)]
    notes = (*schema.notes, *dict.fromkeys(note for note in (probe_note, *(warmth.note for warmth in known)) if note))
    return _warmed(schema, memory, known, notes)


def _warmed(schema: ModelSchema, memory: TableMemory, known: Sequence[Warmth], notes: tuple[str, ...]) -> _Warmed:
    stored = _stored(schema) if all(warmth.runs for warmth in known) else None
    return _Warmed(schema, [warmth.idle_ns for warmth in known], notes, memory, [warmth.prior_ns for warmth in known], stored)


def _stored(schema: ModelSchema) -> Batch:
    return Batch([Rows(synthetic_inputs(schema, 1), 1)], schema.output_names)


def _by_cost(table: Mapping[int, int], limits: BatchLimits) -> Mapping[int, int]:
    """Return warm-up times by what the scheduler counts: rows, or the elements of padded rows."""
    return table if limits.max_elements is None else {rows * PADDED_LENGTH: ns for rows, ns in table.items()}


def _lane_kind(device: Device, lanes: int, latency: LatencyModel, place: RunPlace, max_rows: int) -> LaneKind:
    """Return the lanes of one device. A GPU has one more, which puts a batch together while another runs, and few sizes."""
    if device.kind == "cpu":
        return LaneKind(lanes, latency, place=place)
    return LaneKind(lanes + 1, latency, independent=False, sizes=sorted(sizes(max_rows)), staged=True)
