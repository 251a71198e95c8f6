"""Every metric: its name, kind, labels and meaning, and how a scrape reads it. The only door to prometheus-client.

Nothing here is touched while a prediction runs: the house counts in plain integers, and a scrape turns them into families.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    UnknownMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from penstock.domain.clock import NS_PER_S, NS_PER_US
from penstock.domain.route import branch_of
from penstock.telemetry.auditing import AUDIT_FAMILIES, NO_AUDIT, AuditView, audit_samples
from penstock.telemetry.drifting import DRIFT_FAMILIES, DriftView, drift_samples
from penstock.telemetry.family import MODEL, Family, Samples
from penstock.telemetry.feedback import FEEDBACK_FAMILIES, FeedbackView, feedback_samples
from penstock.telemetry.isolation import ISOLATION_FAMILIES, WorkerView, isolation_samples
from penstock.telemetry.memory import MEMORY_FAMILIES, NO_MEMORY, MemoryView, memory_samples
from penstock.telemetry.payloads import PAYLOAD_FAMILIES, PayloadView, payload_samples
from penstock.telemetry.provenance import VERSION_INFO, Provenance, provenance_samples
from penstock.telemetry.readings import Line, Readings
from penstock.telemetry.scheduling import SCHEDULING_FAMILIES, Queue, SchedulingView, error_histograms, scheduling_samples
from penstock.telemetry.shadowing import SHADOW_FAMILIES, ShadowView, shadow_samples
from penstock.telemetry.statistics import Histogram, VersionStatistics
from penstock.telemetry.tracer import Tracer
from penstock.telemetry.traces import TRACE_FAMILIES, trace_samples
from penstock.telemetry.turning_away import ACCESS_FAMILIES, access_samples
from penstock.telemetry.vitals import NO_VITALS, VITAL_FAMILIES, VitalsView, vital_samples

FAMILIES: Final[tuple[Family, ...]] = (
    Family("penstock_received_total", "counter", ("protocol", "model"), "Predictions received, by known model."),
    Family("penstock_outcomes_total", "counter", ("protocol", "model", "outcome"), "Ends of predictions; their sum is received."),
    Family("penstock_requests_total", "counter", (*MODEL, "route", "protocol", "status"), "Predictions at their end, whatever the end."),
    Family("penstock_request_duration_seconds", "histogram", (*MODEL, "route"), "From arrival to end of a prediction."),
    Family("penstock_queue_duration_seconds", "histogram", (*MODEL, "route"), "From arrival to the run, answered predictions."),
    Family("penstock_compute_duration_seconds", "histogram", (*MODEL, "route"), "Stacking, running and splitting, answered predictions."),
    Family("penstock_batch_size", "histogram", MODEL, "Rows of a run."),
    Family("penstock_requests_waiting", "gauge", MODEL, "Requests in the queue."),
    Family("penstock_requests_running", "gauge", MODEL, "Runs under way."),
    Family("penstock_rejected_total", "counter", ("model", "reason"), "Refused: queue_full, quota, deadline, shed, too_large."),
    *SCHEDULING_FAMILIES,
    *SHADOW_FAMILIES,
    *PAYLOAD_FAMILIES,
    *ISOLATION_FAMILIES,
    *MEMORY_FAMILIES,
    *DRIFT_FAMILIES,
    *FEEDBACK_FAMILIES,
    *TRACE_FAMILIES,
    *ACCESS_FAMILIES,
    *AUDIT_FAMILIES,
    *VITAL_FAMILIES,
    Family("penstock_model_ready", "gauge", MODEL, "1 if the version takes requests."),
    Family("penstock_model_load_seconds", "gauge", MODEL, "Time from the start of the load to ready, of a ready version."),
    Family("penstock_model_info", "info", (*MODEL, "provider", "digest"), "What a ready version is made of."),
    VERSION_INFO,
    Family("penstock_registry_stale_seconds", "gauge", (), "Time since the registry was last read."),
    Family("penstock_log_lines_dropped_total", "counter", (), "Access-log lines dropped because the writer was behind."),
    Family("nv_inference_request_success", "untyped", MODEL, "Answered requests."),
    Family("nv_inference_request_failure", "untyped", MODEL, "Requests that ended otherwise."),
    Family("nv_inference_count", "untyped", MODEL, "Rows computed."),
    Family("nv_inference_exec_count", "untyped", MODEL, "Runs."),
    Family("nv_inference_pending_request_count", "gauge", MODEL, "Requests that wait for a run."),
    Family("nv_inference_request_duration_us", "untyped", MODEL, "Cumulative time of answered requests, in microseconds."),
    Family("nv_inference_queue_duration_us", "untyped", MODEL, "Cumulative time in the queue, in microseconds."),
    Family("nv_inference_compute_input_duration_us", "untyped", MODEL, "Cumulative time of stacking, in microseconds."),
    Family("nv_inference_compute_infer_duration_us", "untyped", MODEL, "Cumulative time of runs, in microseconds."),
    Family("nv_inference_compute_output_duration_us", "untyped", MODEL, "Cumulative time of splitting, in microseconds."),
)  # fmt: skip
"""All families, in the order in which a scrape lists them."""

_REASONS: Final = {
    "OVERLOADED": "queue_full",
    "QUOTA_EXCEEDED": "quota",
    "DEADLINE_EXCEEDED": "deadline",
    "UNAVAILABLE": "shed",
    "TOO_LARGE": "too_large",
}


@dataclass(frozen=True, slots=True)
class VersionView:
    """What a scrape reads of one version."""

    model: str
    version: str
    statistics: VersionStatistics
    ready: bool = False
    waiting: int = 0
    running: int = 0
    load_s: float = 0.0
    provider: str = ""
    digest: str = ""
    scheduling: SchedulingView | None = None
    """None for a version that has no queue."""
    workers: Sequence[WorkerView] = ()
    """Its worker processes, if it has any."""

    @property
    def labels(self) -> list[str]:
        """The values of the labels model and version."""
        return [self.model, self.version]


@dataclass(frozen=True, slots=True)
class ServerView:
    """What a scrape reads of the server as a whole."""

    received: Mapping[tuple[str, str], int]
    outcomes: Mapping[tuple[str, str, str], int]
    unversioned: Mapping[tuple[str, str, str], int]
    registry_age_s: float = 0.0
    log_lines_dropped: int = 0
    memory: MemoryView = NO_MEMORY
    audit: AuditView = NO_AUDIT
    vitals: VitalsView = NO_VITALS
    refused: Mapping[tuple[str, str, str, str], int] = field(default_factory=dict)
    """Calls turned away, by listener, protocol, status and reason."""
    failed: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Ends other than answers, by model and status."""


class Metrics(Collector):
    """Answers scrapes."""

    def __init__(
        self,
        server: Callable[[], ServerView],
        versions: Callable[[], Iterable[VersionView]],
        provenance: Callable[[], Iterable[Provenance]] = tuple,
        shadows: Callable[[], Iterable[ShadowView]] = tuple,
        payloads: Callable[[], Iterable[PayloadView]] = tuple,
        *,
        tracer: Tracer | None = None,
        drift: Callable[[], Iterable[DriftView]] = tuple,
        feedback: Callable[[], FeedbackView] = FeedbackView,
    ) -> None:
        self._server = server
        self._versions = versions
        self._provenance = provenance
        self._shadows = shadows
        self._payloads = payloads
        self._tracer = tracer
        self._drift = drift
        self._feedback = feedback
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def scrape(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics in the format that the Accept header prefers, and its content type."""
        try:
            encode, content_type = choose_encoder(accept)
        except TypeError:  # it takes the version of a format for a number, and a scraper has quoted it, or has a word for it
            encode, content_type = choose_encoder("")
        return encode(self._registry), content_type

    @property
    def readings(self) -> Readings:
        """The metrics by their name, for whoever compares versions."""
        return Readings(FAMILIES, self._lines)

    def _lines(self) -> Iterator[Line]:
        return ((sample.name, sample.labels, sample.value) for family in self.collect() for sample in family.samples)

    def collect(self) -> Iterator[Metric]:
        """Yield every family of `FAMILIES`."""
        server, versions = self._server(), list(self._versions())
        queues: list[Queue] = [(view.labels, view.scheduling) for view in versions if view.scheduling is not None]
        samples = _server_samples(server, versions) | _version_samples(versions) | scheduling_samples(queues)
        samples |= shadow_samples(self._shadows()) | payload_samples(self._payloads()) | trace_samples(self._tracer)
        samples |= isolation_samples([worker for view in versions for worker in view.workers])
        samples |= (
            memory_samples(server.memory) | audit_samples(server.audit) | vital_samples(server.vitals) | access_samples(server.refused)
        )
        samples |= drift_samples(self._drift())
        samples |= feedback_samples(self._feedback())
        samples[VERSION_INFO.name] = provenance_samples(self._provenance())
        histograms = _histograms(versions) | {"penstock_run_error_ratio": error_histograms(queues)}
        for family in FAMILIES:
            if family.kind == "histogram":
                yield _histogram_family(family, histograms[family.name])
            else:
                yield _family(family, samples[family.name])

    def describe(self) -> list[Metric]:
        """Return nothing: the names are checked by a test, not at registration."""
        return []


def _server_samples(server: ServerView, versions: list[VersionView]) -> dict[str, Samples]:
    by_status = [([*view.labels, *key], count) for view in versions for key, count in _by_branch(view.statistics.requests).items()]
    without = [([model, "", "", protocol, status], count) for (protocol, model, status), count in server.unversioned.items()]
    return {
        "penstock_received_total": [(list(key), count) for key, count in server.received.items()],
        "penstock_outcomes_total": [(list(key), count) for key, count in server.outcomes.items()],
        "penstock_requests_total": by_status + without,
        "penstock_rejected_total": _rejected(server.failed),
        "penstock_registry_stale_seconds": [([], server.registry_age_s)],
        "penstock_log_lines_dropped_total": [([], server.log_lines_dropped)],
    }


def _by_branch(requests: Mapping[tuple[str, str, str], int]) -> Counter[tuple[str, str, str]]:
    sums: Counter[tuple[str, str, str]] = Counter()
    for (arm, protocol, status), count in requests.items():
        sums[branch_of(arm), protocol, status] += count
    return sums


def _rejected(failed: Mapping[tuple[str, str], int]) -> Samples:
    return [([model, _REASONS[status]], count) for (model, status), count in failed.items() if status in _REASONS]


def _version_samples(versions: list[VersionView]) -> dict[str, Samples]:
    def each(read: Callable[[VersionView], float]) -> Samples:
        return [(view.labels, read(view)) for view in versions]

    ready = [view for view in versions if view.ready]
    return {
        "penstock_requests_waiting": each(lambda v: v.waiting),
        "penstock_requests_running": each(lambda v: v.running),
        "penstock_model_ready": each(lambda v: v.ready),
        "penstock_model_load_seconds": [(view.labels, view.load_s) for view in ready],
        "penstock_model_info": [([*view.labels, view.provider, view.digest], 1) for view in ready],
        "nv_inference_request_success": each(lambda v: v.statistics.success.count),
        "nv_inference_request_failure": each(lambda v: v.statistics.fail.count),
        "nv_inference_count": each(lambda v: v.statistics.inference_count),
        "nv_inference_exec_count": each(lambda v: v.statistics.execution_count),
        "nv_inference_pending_request_count": each(lambda v: v.waiting),
        "nv_inference_request_duration_us": each(lambda v: v.statistics.success.ns // NS_PER_US),
        "nv_inference_queue_duration_us": each(lambda v: v.statistics.queue.ns // NS_PER_US),
        "nv_inference_compute_input_duration_us": each(lambda v: v.statistics.compute_input.ns // NS_PER_US),
        "nv_inference_compute_infer_duration_us": each(lambda v: v.statistics.compute_infer.ns // NS_PER_US),
        "nv_inference_compute_output_duration_us": each(lambda v: v.statistics.compute_output.ns // NS_PER_US),
    }


def _histograms(versions: list[VersionView]) -> dict[str, list[tuple[list[str], Histogram, float]]]:
    names = ("penstock_request_duration_seconds", "penstock_queue_duration_seconds", "penstock_compute_duration_seconds")
    found: dict[str, list[tuple[list[str], Histogram, float]]] = {name: [] for name in (*names, "penstock_batch_size")}
    for view in versions:
        found["penstock_batch_size"].append((view.labels, view.statistics.batch_rows, 1))
        for branch, histograms in _times_by_branch(view.statistics.durations).items():
            for name, histogram in zip(names, histograms, strict=True):
                found[name].append(([*view.labels, branch], histogram, NS_PER_S))
    return found


def _times_by_branch(durations: Mapping[str, Sequence[Histogram]]) -> dict[str, Sequence[Histogram]]:
    merged: dict[str, Sequence[Histogram]] = {}
    for arm, histograms in durations.items():
        there = merged.get(branch := branch_of(arm))
        merged[branch] = histograms if there is None else [one.plus(other) for one, other in zip(there, histograms, strict=True)]
    return merged


def _family(family: Family, samples: Samples) -> Metric:
    if family.kind == "info":
        return _info_family(family, samples)
    kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "untyped": UnknownMetricFamily}
    metric: CounterMetricFamily | GaugeMetricFamily | UnknownMetricFamily = kinds[family.kind](
        family.name.removesuffix("_total"), family.help, labels=family.labels
    )
    for labels, value in samples:
        metric.add_metric(labels, value)
    return metric


def _info_family(family: Family, samples: Samples) -> InfoMetricFamily:
    metric = InfoMetricFamily(family.name.removesuffix("_info"), family.help, labels=())
    for labels, _ in samples:
        metric.add_metric((), dict(zip(family.labels, labels, strict=True)))
    return metric


def _histogram_family(family: Family, entries: list[tuple[list[str], Histogram, float]]) -> HistogramMetricFamily:
    metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    for labels, histogram, unit in entries:
        metric.add_metric(labels, _cumulative(histogram, unit), histogram.total / unit)
    return metric


def _cumulative(histogram: Histogram, unit: float) -> list[tuple[str, float]]:
    buckets, seen = [], 0
    for edge, count in zip(histogram.edges, histogram.counts, strict=False):
        seen += count
        buckets.append((repr(edge / unit), float(seen)))
    return [*buckets, ("+Inf", float(seen + histogram.counts[-1]))]
