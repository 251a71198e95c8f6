"""The latest batches of a model, as `/admin/models/{model}/batches` tells of them."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from statistics import mean, median

import msgspec

from penstock.batching.history import BatchRecord
from penstock.domain.clock import NS_PER_MS, NS_PER_S
from penstock.lifecycle.catalog import ServedModel
from penstock.lifecycle.version import ServedVersion


class BatchReport(msgspec.Struct, kw_only=True):
    """One batch."""

    at: float
    """When it ended, in seconds since the epoch."""
    reason: str
    """Why it started when it did."""
    device: str
    lane: int
    rows: int
    padded_rows: int
    """Rows beyond those, which only fill a size that the device has compiled."""
    length: int | None
    """What shorter rows were padded to, in elements; None where rows are not padded."""
    padding: int
    """Elements that are nobody's; rows where rows are not padded."""
    requests: int
    waited_ms: float
    """How long its first request had waited."""
    predicted_ms: float | None
    """None while nothing was known."""
    real_ms: float
    error_percent: float | None
    """How much longer than predicted, negative for shorter; None for a batch that failed or had no prediction."""
    inline: bool
    """Whether it ran on the event loop, since a hop to a thread would have taken longer."""
    failed: bool


class BatchSummary(msgspec.Struct, kw_only=True):
    """What the batches of a list have in common."""

    batches: int
    failed: int
    mean_rows: float | None
    share: dict[str, float]
    """Part of the batches by reason, the most frequent first."""
    error_percent: float | None
    """Median of the errors without their sign."""


class VersionBatches(msgspec.Struct, kw_only=True):
    """The latest batches of one version."""

    version: str
    summary: BatchSummary
    batches: list[BatchReport]
    """The latest first."""


class ModelBatches(msgspec.Struct, kw_only=True):
    """The latest batches of a model's ready versions."""

    name: str
    versions: list[VersionBatches]


def batches_of(model: ServedModel, reference: str, limit: int) -> object:
    """Return the last `limit` batches of each ready version, or of the one that a number or an alias names, ready to be written as JSON.

    Raises `NotFound`, `InvalidInput` or `Unavailable` as `ServedModel.find` does.
    """
    versions = [model.find(reference)] if reference else [model.versions[number] for number in model.ready_versions]
    return msgspec.to_builtins(ModelBatches(name=model.name, versions=[_version(version, limit) for version in versions]))


def _version(version: ServedVersion, limit: int) -> VersionBatches:
    devices = [
        device
        for device, kind in zip(version.readiness.options.devices, version.batcher.scheduler.kinds, strict=True)
        for _ in range(kind.count)
    ]
    batches = [_batch(record, devices[record.lane]) for record in islice(version.batcher.history, limit)]
    return VersionBatches(version=version.identity.version, summary=_summary(batches), batches=batches)


def _batch(record: BatchRecord, device: str) -> BatchReport:
    return BatchReport(
        at=round(record.at_ns / NS_PER_S, 3),
        reason=str(record.reason),
        device=device,
        lane=record.lane,
        rows=record.rows,
        padded_rows=record.run_rows - record.rows,
        length=record.length or None,
        padding=record.padding,
        requests=record.requests,
        waited_ms=_ms(record.waited_ns),
        predicted_ms=_ms(record.expected_ns) if record.expected_ns else None,
        real_ms=_ms(record.actual_ns),
        error_percent=_error_percent(record),
        inline=record.here,
        failed=record.failed,
    )


def _summary(batches: Sequence[BatchReport]) -> BatchSummary:
    reasons = Counter(batch.reason for batch in batches)
    errors = [abs(batch.error_percent) for batch in batches if batch.error_percent is not None]
    return BatchSummary(
        batches=len(batches),
        failed=sum(batch.failed for batch in batches),
        mean_rows=round(mean(batch.rows for batch in batches), 2) if batches else None,
        share={reason: round(count / len(batches), 4) for reason, count in reasons.most_common()},
        error_percent=round(median(errors), 1) if errors else None,
    )


def _error_percent(record: BatchRecord) -> float | None:
    if record.failed or not record.expected_ns:
        return None
    return round(100 * (record.actual_ns - record.expected_ns) / record.expected_ns, 1)


def _ms(ns: int) -> float:
    return round(ns / NS_PER_MS, 3)
