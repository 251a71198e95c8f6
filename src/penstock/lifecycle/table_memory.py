"""What earlier starts of a version learnt of its speed: found before it is warmed, kept when it has served."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import Final, NamedTuple

import msgspec

from penstock.batching.lane_kind import LaneKind
from penstock.domain.model import ModelVersion
from penstock.domain.schema import ModelSchema
from penstock.domain.session import Session
from penstock.execution.devices import parse_device
from penstock.execution.warmup import sizes, warm_up
from penstock.lifecycle.conditions import Conditions, conditions, shapes_of
from penstock.lifecycle.latency_store import LatencyStore, MeasuredTable
from penstock.lifecycle.layout import layout_of
from penstock.lifecycle.options import ModelOptions

_log = logging.getLogger(__name__)
_CONTRADICTION: Final = 2.0
"""A run that takes this many times as long as it did, or as short, was measured on another machine in all but name."""


class Warmth(NamedTuple):
    """What is known of a version on one device when it is ready."""

    idle_ns: Mapping[int, int]
    """What warm-up runs took, now or at an earlier start, by rows."""
    prior_ns: Mapping[int, int]
    """What runs took while an earlier start served, by what the scheduler counts; empty if that is not known."""
    runs: bool
    """Whether the model has run on synthetic input now."""
    note: str | None = None


class TableMemory:
    """The tables of one version, one for each device. Blocks; with no store it knows and keeps nothing."""

    def __init__(self, store: LatencyStore | None, version: ModelVersion, options: ModelOptions, schema: ModelSchema) -> None:
        self._store = store
        self._version = version
        self._options = options
        self._schema = schema

    def recall(self, device: str) -> Warmth:
        """Return what is known without running anything."""
        saved = self._find(device) or self._predecessor(device)
        return Warmth(saved.idle_ns, saved.prior_ns, runs=False) if saved else Warmth({}, {}, runs=False)

    def warm_up(self, session: Session, device: str, max_rows: int, limit_s: float) -> Warmth:
        """Run the batch sizes: all of them, or only the ends and what is not known where an earlier start's table still holds."""
        saved, until = self._find(device), monotonic() + limit_s
        order = sizes(max_rows)
        first = [rows for rows in order if saved is None or rows in order[:2] or rows not in saved.idle_ns]
        measured, note = warm_up(session, self._schema, max_rows, limit_s, first)
        if not measured:  # the model takes no synthetic input
            return self.recall(device)._replace(note=note)
        if saved is None:
            return Warmth(measured, {}, runs=True, note=note)
        if not self._contradicts(device, saved, measured):
            return Warmth({**saved.idle_ns, **measured}, saved.prior_ns, runs=True, note=note)
        rest = [rows for rows in order if rows not in first]
        others, other_note = warm_up(session, self._schema, max_rows, until - monotonic(), rest)
        return Warmth({**measured, **others}, {}, runs=True, note=note or other_note)

    def keep(self, tables: Sequence[Mapping[int, int]], kinds: Iterable[LaneKind]) -> None:
        """Keep what the lanes have learnt beside the warm-up's `tables`; never raises."""
        if self._store is None:
            return
        for device, idle_ns, kind in zip(self._options.devices, tables, kinds, strict=True):
            if kind.latency.known:
                self._store.keep(self._conditions(device), MeasuredTable.of(idle_ns, kind.latency.table()))

    def _find(self, device: str) -> MeasuredTable | None:
        return self._store.find(self._conditions(device)) if self._store else None

    def _predecessor(self, device: str) -> MeasuredTable | None:
        return self._store.predecessor(self._conditions(device)) if self._store else None

    def _conditions(self, device: str) -> Conditions:
        place = parse_device(device)
        layout = layout_of(self._options, place)
        return msgspec.structs.replace(
            conditions(self._version, self._options, place), lanes=layout.lanes, threads=layout.threads, shapes=shapes_of(self._schema)
        )

    def _contradicts(self, device: str, saved: MeasuredTable, measured: Mapping[int, int]) -> bool:
        for rows, ns in measured.items():
            known = saved.idle_ns.get(rows)
            if known and max(ns, known) > _CONTRADICTION * min(ns, known):
                _log.info(
                    "the latency table that %s had on %s is ignored: %d rows took %.3f ms, now %.3f ms; all sizes are measured",
                    self._version, device, rows, known / 1e6, ns / 1e6,
                )  # fmt: skip
                return True
        return False
