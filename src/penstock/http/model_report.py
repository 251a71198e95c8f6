"""A model and its versions, as `/admin/models` tells of them."""

from collections.abc import Mapping

import msgspec

from penstock.batching.batcher import Batcher
from penstock.batching.lane_kind import LaneKind
from penstock.domain.clock import NS_PER_US
from penstock.domain.model import ModelArtifact
from penstock.domain.route import Route
from penstock.http.arm_report import DURATION_BOUNDS_S, ArmReport, arms_of
from penstock.http.worker_report import WorkerReport, workers_of
from penstock.lifecycle.catalog import ServedModel
from penstock.lifecycle.routes import Routes, is_in_force
from penstock.lifecycle.version import Readiness


class SizeReport(msgspec.Struct, kw_only=True):
    """Runs of one size."""

    size: int
    runs: int
    """How many of them are remembered; 0 for a figure of the warm-up."""
    measured_us: float
    """Their median time."""
    predicted_us: float


class LatencyReport(msgspec.Struct, kw_only=True):
    """What is known of the runs on one device, and what follows from it. Sizes are rows, elements for a model that pads its rows."""

    device: str
    lanes: int
    runs: int
    """Runs that have been observed under load."""
    alpha_us: float
    """Fixed time of a run, by the line through the table."""
    beta_us: float
    """Time of each further row or element, by the same line."""
    batchability: float
    """alpha / (alpha + beta), between 0 and 1: what a second row saves of its own run."""
    knee: int
    """The smallest size that comes close to the highest throughput."""
    full: int
    """The size of a full batch: what knee, target and memory allow together."""
    spread: float
    """The 95 % quantile of real over predicted time."""
    error_percent: float
    """Mean of the errors of about the last 20 runs, without their sign."""
    drifts: int
    """How often all runs together became slower or faster."""
    table: list[SizeReport]


class QueueReport(msgspec.Struct, kw_only=True):
    """What waits, and what is not taken in."""

    requests: int
    """Requests that wait, or parts of long ones."""
    rows: int
    bytes: int
    overloaded: bool
    """Whether the queue does not empty, whatever is predicted."""
    refused: dict[str, int]
    """Requests since the load, by what they would have needed more of."""
    expired: dict[str, int]
    """Requests, or parts of long ones, that left the queue without a run, by cause."""


class VersionReport(msgspec.Struct, kw_only=True):
    """One version."""

    version: str
    state: str
    reason: str
    since: float
    """Seconds since the epoch."""
    digest: str
    aliases: list[str]
    """Those that name it now."""
    origin: str = ""
    """The registry that its files come from; "" for a directory, whose path is nobody's business."""
    tags: dict[str, str] = {}
    lineage: dict[str, str] = {}
    """Where it comes from: a run, a commit, a data set."""
    signer: str = ""
    """Who signed it, as far as that was proven."""
    size_bytes: int = 0
    leases: int = 0
    slo_ms: float | None = None
    lanes: int = 0
    broken_lanes: int = 0
    """Lanes that could not even run the warm-up input, and were not sound since."""
    unit: str = "rows"
    """What run sizes count: rows, or elements where rows are padded."""
    latency: list[LatencyReport] = []
    """By device, in order of preference."""
    queue: QueueReport | None = None
    placement: dict[str, float] = {}
    """Share of the graph's nodes by device."""
    notes: tuple[str, ...] = ()
    ailment: str = ""
    """What is wrong with a ready version at the moment."""
    workers: list[WorkerReport] = []
    """Its worker processes by device, if it is isolated."""


class EventReport(msgspec.Struct, kw_only=True):
    """One change."""

    at: float
    """Seconds since the epoch."""
    who: str
    """Who wanted it: admin or the name of a key, registry, rollout or server."""
    what: str
    before: str
    after: str
    why: str


class AliasReport(msgspec.Struct, kw_only=True):
    """A model's aliases."""

    name: str
    aliases: dict[str, str]
    """In force: the version that answers, by alias."""
    pending: dict[str, str]
    """Moved in the registry, and not in force yet since the version is not ready."""


class RouteReport(msgspec.Struct, kw_only=True):
    """How a model's traffic is divided."""

    revision: int
    origin: str
    """Who made it: file, admin or rollout."""
    in_force: bool
    """Whether requests follow it; not while one of its versions has never been ready."""
    problem: str
    """Why it is not in force, or not all of it."""
    route: Route
    arms: list[ArmReport]
    duration_bounds_s: list[float]


class ModelReport(AliasReport, kw_only=True):
    """One model."""

    route: RouteReport | None

    unloaded: bool
    problem: str
    versions: list[VersionReport]
    events: list[EventReport]
    """The latest, the oldest first."""


def aliases_of(model: ServedModel) -> object:
    """Return a model's aliases, ready to be written as JSON."""
    return msgspec.to_builtins(AliasReport(name=model.name, aliases=_texts(model.aliases), pending=_texts(model.pending)))


def report_of(model: ServedModel, routes: Routes) -> object:
    """Return everything about a model, ready to be written as JSON."""
    return msgspec.to_builtins(
        ModelReport(
            name=model.name,
            aliases=_texts(model.aliases),
            pending=_texts(model.pending),
            route=_route(model, routes),
            unloaded=model.unloaded,
            problem=model.problem,
            versions=[_version(model, number) for number in sorted(model.versions)],
            events=[EventReport(**event._asdict()) for event in model.events.latest()],
        )
    )


def _route(model: ServedModel, routes: Routes) -> RouteReport | None:
    active = routes.of(model.name)
    if active is None:
        return None
    return RouteReport(
        revision=active.revision,
        origin=active.origin,
        in_force=is_in_force(model, active),
        problem=routes.problem(model),
        route=active.route,
        arms=arms_of(model, active.route),
        duration_bounds_s=DURATION_BOUNDS_S,
    )


def _texts(aliases: Mapping[str, int]) -> dict[str, str]:
    return {alias: str(number) for alias, number in sorted(aliases.items())}


def _version(model: ServedModel, number: int) -> VersionReport:
    version = model.versions[number]
    report = VersionReport(
        version=version.identity.version,
        state=version.state.value,
        reason=version.reason,
        since=version.since,
        digest=version.identity.digest,
        aliases=sorted(alias for alias, target in model.aliases.items() if target == number),
        leases=version.leases,
    )
    if version.ready:
        _add_readiness(report, version.readiness)
        report.ailment, report.workers = version.ailment, workers_of(version)
    return report


def _add_readiness(report: VersionReport, readiness: Readiness) -> None:
    batcher = readiness.batcher
    scheduler = batcher.scheduler
    _add_artifact(report, readiness.artifact)
    report.slo_ms = batcher.slo_ms
    report.lanes, report.broken_lanes = scheduler.lanes, scheduler.broken_lanes
    report.unit = "rows" if scheduler.limits.max_elements is None else "elements"
    kinds = zip(readiness.options.devices, scheduler.kinds, strict=True)
    report.latency = [_latency(device, kind, batcher) for device, kind in kinds]
    report.queue = _queue(batcher)
    report.placement = dict(readiness.sessions[0].placement)
    report.notes = readiness.notes


def _add_artifact(report: VersionReport, artifact: ModelArtifact) -> None:
    remote = "://" in artifact.origin and not artifact.origin.startswith("file:")
    report.origin = artifact.origin if remote else ""
    report.tags, report.lineage = dict(artifact.tags), dict(artifact.lineage)
    report.signer = artifact.signer
    report.size_bytes = artifact.size_bytes


def _latency(device: str, kind: LaneKind, batcher: Batcher) -> LatencyReport:
    model, limits = kind.latency, batcher.scheduler.limits
    return LatencyReport(
        device=device,
        lanes=kind.count,
        runs=model.runs,
        alpha_us=_us(model.line.alpha_ns),
        beta_us=_us(model.line.beta_ns),
        batchability=round(model.batchability, 4),
        knee=model.best_rows(limits.max_elements or limits.max_rows),
        full=kind.budget(limits, batcher.scheduler.slo_ns),
        spread=round(model.spread, 3),
        error_percent=round(100 * model.error, 1),
        drifts=model.drifts,
        table=[
            SizeReport(size=size, runs=runs, measured_us=_us(ns), predicted_us=_us(model.expect(size))) for size, ns, runs in model.table()
        ],
    )


def _queue(batcher: Batcher) -> QueueReport:
    backlog = batcher.scheduler.backlog
    return QueueReport(
        requests=backlog.jobs,
        rows=backlog.rows,
        bytes=backlog.size_bytes,
        overloaded=batcher.scheduler.overloaded,
        refused={str(shortage): count for shortage, count in batcher.refusals.items()},
        expired=dict(batcher.expired),
    )


def _us(ns: float) -> float:
    return round(ns / NS_PER_US, 3)
