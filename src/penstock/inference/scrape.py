"""What a scrape of the metrics reads from the house."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from penstock.batching.batcher import Batcher
from penstock.batching.lane_kind import LaneKind
from penstock.domain.clock import NS_PER_S
from penstock.inference.drift import Drift, Watched
from penstock.inference.ledger import Ledger
from penstock.inference.shadow import Shadows
from penstock.inference.shadow_queue import ShadowQueue
from penstock.inference.worker_views import worker_views
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.version import ServedVersion
from penstock.monitoring.feedback import Feedback
from penstock.payloads.recorder import Recorder
from penstock.telemetry.auditing import AuditView
from penstock.telemetry.drifting import DriftView, SideView
from penstock.telemetry.feedback import FeedbackView, RememberedView
from penstock.telemetry.memory import MemoryView
from penstock.telemetry.metrics import ServerView, VersionView
from penstock.telemetry.payloads import PayloadView
from penstock.telemetry.scheduling import SchedulingView, Speed
from penstock.telemetry.shadowing import ShadowView
from penstock.telemetry.vitals import VitalsView


def server_view(
    ledger: Ledger, *, registry_age_s: float, log_lines_dropped: int, memory: MemoryView, audit: AuditView, vitals: VitalsView
) -> ServerView:
    """Return what is counted for the server as a whole."""
    outcomes = {(protocol, model, str(outcome)): n for (protocol, model, outcome), n in ledger.outcomes.items()}
    counts = ledger.received, outcomes, ledger.unversioned
    return ServerView(*counts, registry_age_s, log_lines_dropped, memory, audit, vitals, failed=ledger.failed)


def version_views(catalog: Catalog) -> Iterator[VersionView]:
    """Yield what is counted for each version."""
    return map(_view, catalog.versions())


def shadow_views(shadows: Shadows) -> Iterator[ShadowView]:
    """Yield what is counted for each version that is run as a shadow, or again beside itself."""
    return map(_shadow, shadows.books)


def payload_views(recorder: Recorder) -> Iterator[PayloadView]:
    """Yield what is counted of recorded payloads, for each sink."""
    for name, writer in recorder.writers.items():
        backlog = writer.backlog
        view = PayloadView(name, writer.intake.accepted, writer.written, writer.dropped, writer.waiting, writer.intake.size_bytes)
        yield view if backlog is None else replace(view, is_up=backlog.is_up, buffer_bytes=backlog.size_bytes)


def drift_views(drift: Drift) -> Iterator[DriftView]:
    """Yield what is known of each version that is watched for drift."""
    return (_drift(watched) for watched in drift if watched.watch.is_on)


def _drift(watched: Watched) -> DriftView:
    identity, most = watched.version.identity, watched.version.readiness.options.monitoring.exported_features
    sides: list[SideView] = []
    for name, side in reversed(watched.watch.sides.items()):  # outputs first
        told = 0
        for arm, windows in side.arms.items():
            figures = {feature.name: feature.figures for feature in windows.latest[:most]}
            sides.append(SideView(name, arm, windows.features, len(windows.drifting), windows.windows, windows.rows, figures))
            told = max(told, len(figures))
        most -= told
    return DriftView(identity.name, identity.version, watched.watch.dropped, tuple(sides))


def feedback_view(feedback: Feedback) -> FeedbackView:
    """Return what is counted of feedback, and the figures that it gives."""
    models = [RememberedView(one.model, len(one.recent), one.recent.size_bytes, one.figures_by_branch()) for one in feedback]
    return FeedbackView(feedback.outcomes, feedback.log.written, feedback.log.dropped, models)


def _shadow(queue: ShadowQueue) -> ShadowView:
    return ShadowView(
        queue.model,
        queue.number,
        queue.again,
        ends={(number, str(end)): count for (number, end), count in queue.ends.items()},
        compared={(number, str(measure)): count for (number, measure), count in queue.compared.items()},
        mismatched={(number, str(measure)): count for (number, measure), count in queue.mismatched.items()},
        busy_ns=queue.device_ns,
        held_bytes=queue.size_bytes,
    )


def _view(version: ServedVersion) -> VersionView:
    identity = version.identity
    version.statistics.count()
    if not version.ready:
        return VersionView(identity.name, identity.version, version.statistics)
    scheduler = version.batcher.scheduler
    return VersionView(
        identity.name,
        identity.version,
        version.statistics,
        ready=True,
        waiting=scheduler.backlog.jobs,
        running=scheduler.running,
        load_s=version.load_s,
        provider=",".join(version.readiness.options.devices),
        digest=identity.digest,
        scheduling=_scheduling(version.batcher, version.readiness.options.devices),
        workers=worker_views(version),
    )


def _scheduling(batcher: Batcher, devices: Sequence[str]) -> SchedulingView:
    scheduler, history = batcher.scheduler, batcher.history
    kinds = dict(zip(devices, scheduler.kinds, strict=True))
    return SchedulingView(
        batches={(str(reason), result): count for (reason, result), count in history.reasons.items()},
        error_percent=history.error_percent,
        run_size=history.run_size,
        padding=history.padding,
        refusals={str(shortage): count for shortage, count in batcher.refusals.items()},
        expired=batcher.expired,
        rows_waiting=scheduler.backlog.rows,
        bytes_waiting=scheduler.backlog.size_bytes,
        overloaded=scheduler.overloaded,
        broken_lanes=scheduler.broken_lanes,
        lanes={device: kind.count for device, kind in kinds.items()},
        speeds=[_speed(device, kind, batcher) for device, kind in kinds.items() if kind.latency.known],
    )


def _speed(device: str, kind: LaneKind, batcher: Batcher) -> Speed:
    latency, limits = kind.latency, batcher.scheduler.limits
    return Speed(
        device,
        alpha_s=latency.line.alpha_ns / NS_PER_S,
        beta_s=latency.line.beta_ns / NS_PER_S,
        batchability=latency.batchability,
        knee=latency.best_rows(limits.max_elements or limits.max_rows),
        full=kind.budget(limits, batcher.scheduler.slo_ns),
        spread=latency.spread,
        drifts=latency.drifts,
    )
