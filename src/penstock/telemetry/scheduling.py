"""The metrics of the queues: why batches start, how well their time is predicted, and what is not taken in."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from penstock.telemetry.family import MODEL, Family, Samples
from penstock.telemetry.statistics import Histogram

_DEVICE: Final = (*MODEL, "device")

SCHEDULING_FAMILIES: Final = (
    Family("penstock_batches_total", "counter", (*MODEL, "reason", "result"), "Runs, by why they started when they did."),
    Family("penstock_run_size_total", "counter", MODEL, "Rows of all runs, or elements of a model that pads them; padding included."),
    Family("penstock_padding_total", "counter", MODEL, "The part of the run size that is nobody's."),
    Family("penstock_run_error_ratio", "histogram", MODEL, "How far a run's time was from the predicted one, as a part of that."),
    Family("penstock_refusals_total", "counter", (*MODEL, "shortage"), "Requests that the queue did not take in."),
    Family("penstock_expired_total", "counter", (*MODEL, "cause"), "Requests, or parts of long ones, that left the queue without a run."),
    Family("penstock_rows_waiting", "gauge", MODEL, "Rows in the queue."),
    Family("penstock_bytes_waiting", "gauge", MODEL, "Bytes of input in the queue."),
    Family("penstock_overloaded", "gauge", MODEL, "1 while the queue does not empty, whatever is predicted."),
    Family("penstock_lanes", "gauge", _DEVICE, "Runs that may be under way at once."),
    Family("penstock_lanes_broken", "gauge", MODEL, "Lanes that could not even run the warm-up input."),
    Family("penstock_run_alpha_seconds", "gauge", _DEVICE, "Fixed time of a run, by the line through what was measured."),
    Family(
        "penstock_run_beta_seconds", "gauge", _DEVICE, "Time of each further row, or element of a model that pads them, by the same line."
    ),
    Family("penstock_batchability_ratio", "gauge", _DEVICE, "alpha / (alpha + beta): what a second row saves of its own run."),
    Family("penstock_knee_size", "gauge", _DEVICE, "The smallest run size that comes close to the highest throughput."),
    Family("penstock_full_size", "gauge", _DEVICE, "The size of a full batch: what knee, target and memory allow together."),
    Family("penstock_run_spread_ratio", "gauge", _DEVICE, "The 95 % quantile of real over predicted time of a run."),
    Family("penstock_speed_changes_total", "counter", _DEVICE, "How often all runs together became slower or faster."),
)


class Speed(NamedTuple):
    """What is known of the runs on one device."""

    device: str
    alpha_s: float
    beta_s: float
    batchability: float
    knee: int
    full: int
    spread: float
    drifts: int


@dataclass(frozen=True, slots=True)
class SchedulingView:
    """What a scrape reads of one version's queue."""

    batches: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By reason and result."""
    error_percent: Histogram = field(default_factory=Histogram)
    run_size: int = 0
    padding: int = 0
    refusals: Mapping[str, int] = field(default_factory=dict)
    """By shortage."""
    expired: Mapping[str, int] = field(default_factory=dict)
    """By cause."""
    rows_waiting: int = 0
    bytes_waiting: int = 0
    overloaded: bool = False
    broken_lanes: int = 0
    lanes: Mapping[str, int] = field(default_factory=dict)
    """By device."""
    speeds: Sequence[Speed] = ()
    """Of each device on which anything has been measured."""


Queue = tuple[list[str], SchedulingView]
"""The labels model and version, and what is read under them."""


def scheduling_samples(queues: Sequence[Queue]) -> dict[str, Samples]:
    """Return the samples of each family that is not a histogram."""
    return {name: list(read(queues)) for name, read in _READERS.items()}


def error_histograms(queues: Sequence[Queue]) -> list[tuple[list[str], Histogram, float]]:
    """Return the prediction errors of each version, and the divisor that turns percent into parts of one."""
    return [(labels, view.error_percent, 100) for labels, view in queues]


_Read = Callable[[Sequence[Queue]], Iterator[tuple[list[str], float]]]


def _of_queue(read: Callable[[SchedulingView], float]) -> _Read:
    return lambda queues: ((labels, read(view)) for labels, view in queues)


def _of_device(read: Callable[[Speed], float]) -> _Read:
    return lambda queues: (([*labels, speed.device], read(speed)) for labels, view in queues for speed in view.speeds)


def _by_key(read: Callable[[SchedulingView], Mapping[str, int]]) -> _Read:
    return lambda queues: (([*labels, key], count) for labels, view in queues for key, count in read(view).items())


def _batches(queues: Sequence[Queue]) -> Iterator[tuple[list[str], float]]:
    return (([*labels, *key], count) for labels, view in queues for key, count in view.batches.items())


_READERS: Final[Mapping[str, _Read]] = {
    "penstock_batches_total": _batches,
    "penstock_run_size_total": _of_queue(lambda view: view.run_size),
    "penstock_padding_total": _of_queue(lambda view: view.padding),
    "penstock_refusals_total": _by_key(lambda view: view.refusals),
    "penstock_expired_total": _by_key(lambda view: view.expired),
    "penstock_rows_waiting": _of_queue(lambda view: view.rows_waiting),
    "penstock_bytes_waiting": _of_queue(lambda view: view.bytes_waiting),
    "penstock_overloaded": _of_queue(lambda view: view.overloaded),
    "penstock_lanes": _by_key(lambda view: view.lanes),
    "penstock_lanes_broken": _of_queue(lambda view: view.broken_lanes),
    "penstock_run_alpha_seconds": _of_device(lambda speed: speed.alpha_s),
    "penstock_run_beta_seconds": _of_device(lambda speed: speed.beta_s),
    "penstock_batchability_ratio": _of_device(lambda speed: speed.batchability),
    "penstock_knee_size": _of_device(lambda speed: speed.knee),
    "penstock_full_size": _of_device(lambda speed: speed.full),
    "penstock_run_spread_ratio": _of_device(lambda speed: speed.spread),
    "penstock_speed_changes_total": _of_device(lambda speed: speed.drifts),
}
