"""From a listing in the registry to a version that can answer."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from penstock.batching.batcher import Batcher
from penstock.batching.limits import BatchLimits
from penstock.domain.clock import NS_PER_MS, NS_PER_S
from penstock.domain.errors import BadArtifact, LoadRefused
from penstock.domain.model import ModelArtifact
from penstock.domain.schema import ModelSchema
from penstock.domain.session import Session
from penstock.execution.cores import usable_cores
from penstock.execution.devices import Device, parse_device
from penstock.execution.lane import SessionLanes
from penstock.execution.pool import DevicePool
from penstock.execution.probe import UnsafeBatch, probe_batch
from penstock.execution.session import OrtSession, SessionSettings
from penstock.execution.warmup import warm_up
from penstock.lifecycle.beside import beside
from penstock.lifecycle.declared import apply_declared
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.settings import resolve_options
from penstock.lifecycle.states import VersionState
from penstock.lifecycle.version import Readiness, ServedVersion
from penstock.registry.source import ModelListing, Registry, VersionListing

_RUN_LIMIT_S: Final = 10.0  # of one synthetic run
_WARM_LIMIT_S: Final = 30.0  # of all warm-up runs of a version
_AUTO_SLO_MS: Final = 100.0
_AUTO_QUEUE_BYTES: Final = 256 * 1024 * 1024
_MOST_QUEUE_ROWS: Final = 100_000

OpenSession = Callable[[Path, SessionSettings, int | None], Session]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A version whose sessions exist."""

    artifact: ModelArtifact
    options: ModelOptions
    schema: ModelSchema
    sessions: tuple[Session, ...]


@dataclass(frozen=True, slots=True)
class _Warmed:
    """What the first runs have shown."""

    schema: ModelSchema
    latency_ns: dict[int, int]
    notes: tuple[str, ...]


class Loader:
    """Builds versions: verifies files, opens sessions, probes, warms, and puts a batcher in front."""

    def __init__(
        self,
        registry: Registry,
        defaults: ModelOptions,
        overrides: Mapping[str, Mapping[str, object]],
        open_session: OpenSession = OrtSession,
    ) -> None:
        self._registry = registry
        self._defaults = defaults
        self._overrides = overrides
        self._open_session = open_session
        self._pools: dict[Device, DevicePool] = {}

    def options(self, model: ModelListing, version: VersionListing | None = None) -> ModelOptions:
        """Return the options in force: [defaults], then the model's own files, then the version's, then [models.<name>].

        What the operator of this server says comes last, since it is said closest to where the model runs.
        """
        own = version.settings if version else {}
        return resolve_options(self._defaults, model.settings, own, self._overrides.get(model.name, {}))

    async def load(self, model: ModelListing, listing: VersionListing, version: ServedVersion) -> Readiness:
        """Return what makes the version ready; raises `BadArtifact` or `LoadRefused` with the reason.

        The blocking half runs on a thread of its own, so that serving goes on beside it.
        """
        if problem := model.problem or listing.problem:
            raise BadArtifact(problem)
        opened = await beside(lambda: self._open(model, listing))
        version.enter(VersionState.WARMING)
        warmed = await beside(lambda: _warm(opened))
        lanes = await self._lanes(opened)
        limits, slo_ms = _limits(opened.options, warmed, lanes.count)
        batcher = Batcher(warmed.schema, limits, lanes, version.statistics, slo_ms=slo_ms, measured_ns=warmed.latency_ns)
        return Readiness(opened.artifact, opened.options, warmed.schema, opened.sessions, batcher, warmed.latency_ns, warmed.notes)

    def close(self) -> None:
        """End the worker threads; blocks until their last run is done."""
        for pool in self._pools.values():
            pool.close()

    def _open(self, model: ModelListing, listing: VersionListing) -> _Opened:
        artifact = self._registry.open(model, listing)
        options = self.options(model, listing)
        sessions = tuple(self._session(artifact, options, parse_device(name), model) for name in options.devices)
        return _Opened(artifact, options, apply_declared(sessions[0].schema, model.triton), sessions)

    def _session(self, artifact: ModelArtifact, options: ModelOptions, device: Device, model: ModelListing) -> Session:
        settings = SessionSettings(device, _threads(options, device), options.session_options, options.provider_options)
        declared = model.triton.max_batch_size if model.triton else None
        session = self._open_session(artifact.path, settings, declared)
        _check_placement(session, options)
        return session

    async def _lanes(self, opened: _Opened) -> SessionLanes:
        devices = [parse_device(name) for name in opened.options.devices]
        pools = [self._pool(device) for device in devices]
        for pool in pools:
            if not pool.hop_ns:
                await pool.measure_hop()
        places = [
            (session, pool)
            for session, device, pool in zip(opened.sessions, devices, pools, strict=True)
            for _ in range(_lane_count(opened.options, device))
        ]
        on_cpu = all(device.kind == "cpu" for device in devices)
        return SessionLanes(places, max(pool.hop_ns for pool in pools) if on_cpu else 0)

    def _pool(self, device: Device) -> DevicePool:
        if device not in self._pools:
            self._pools[device] = DevicePool(str(device), max(2, usable_cores()))
        return self._pools[device]


def _lane_count(options: ModelOptions, device: Device) -> int:
    if options.lanes != "auto":
        return options.lanes
    return min(2, usable_cores()) if device.kind == "cpu" else 1


def _threads(options: ModelOptions, device: Device) -> int:
    if options.threads != "auto":
        return options.threads
    return max(1, usable_cores() // _lane_count(options, device)) if device.kind == "cpu" else 1


def _check_placement(session: Session, options: ModelOptions) -> None:
    for kind, least in options.require_placement.items():
        share = session.placement.get(kind, 0.0)
        if share < least:
            seen = ", ".join(f"{name} {part:.2f}" for name, part in session.placement.items())
            raise LoadRefused(f"require_placement: {kind} runs {share:.2f} of the nodes, {least:.2f} is required (placed: {seen})")


def _warm(opened: _Opened) -> _Warmed:
    schema, options = opened.schema, opened.options
    if options.warmup == "off":
        return _Warmed(schema, {}, schema.notes)
    schema, probe_note = _probed(opened.sessions[0], schema)
    tables = [warm_up(session, schema, _max_rows(schema, options), _WARM_LIMIT_S) for session in opened.sessions]
    latency_ns, warm_note = tables[0]
    return _Warmed(schema, latency_ns, (*schema.notes, *(note for note in (probe_note, warm_note) if note)))


def _probed(session: Session, schema: ModelSchema) -> tuple[ModelSchema, str | None]:
    if not schema.batched:
        return schema, None
    try:
        return schema, probe_batch(session, schema, _RUN_LIMIT_S)
    except UnsafeBatch as error:
        return replace(schema, batched=False, notes=(f"served one by one: {error}",)), None


def _max_rows(schema: ModelSchema, options: ModelOptions) -> int:
    if not schema.batched:
        return 1
    return min(options.max_batch_rows, schema.max_batch_rows or options.max_batch_rows)


def _limits(options: ModelOptions, warmed: _Warmed, lanes: int) -> tuple[BatchLimits, float]:
    max_rows = _max_rows(warmed.schema, options)
    slo_ms = _slo_ms(options, warmed.latency_ns)
    queue_rows = _queue_rows(slo_ms, warmed.latency_ns, max_rows, lanes) if options.queue_rows == "auto" else options.queue_rows
    queue_bytes = _AUTO_QUEUE_BYTES if options.queue_bytes == "auto" else options.queue_bytes
    together = warmed.schema.batched and options.batching != "off"
    return BatchLimits(max_rows, queue_rows, queue_bytes, together), slo_ms


def _slo_ms(options: ModelOptions, latency_ns: Mapping[int, int]) -> float:
    if options.slo_ms != "auto":
        return options.slo_ms
    return max(_AUTO_SLO_MS, 10 * latency_ns.get(1, 0) / NS_PER_MS)


def _queue_rows(slo_ms: float, latency_ns: Mapping[int, int], max_rows: int, lanes: int) -> int:
    """Return Little's bound: the rows that the lanes can finish in half the target, never below one full batch per lane."""
    rows, run_ns = max(latency_ns.items(), default=(max_rows, NS_PER_S // 100))
    per_second = lanes * rows * NS_PER_S / max(run_ns, 1)
    return max(lanes * max_rows, min(_MOST_QUEUE_ROWS, math.ceil(per_second * slo_ms / 2000)))
