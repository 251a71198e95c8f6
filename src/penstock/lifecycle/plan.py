"""How a model is best run on a machine, chosen from what was measured."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec

from penstock.execution.sweep import Cell, Layout

_ENOUGH: Final = 0.95
"""Share of the highest rate at which larger batches only add latency."""
_CLEARLY: Final = 1.03
"""How much better a plan must be than a simpler one: less is within what measurements differ by."""
_FLAT_AT, _FLAT_GAIN = 8, 1.1
"""Batching is off where so many rows together run at less than this many times the rate of single rows."""

_Positive = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of a model that follow from a measurement."""

    lanes: _Positive
    threads: _Positive
    batching: Literal["adaptive", "off"]
    max_batch_rows: _Positive
    """The largest run that does not lose against smaller ones, and of which two fit into the latency target."""

    @property
    def layout(self) -> Layout:
        """Runs at once, and threads of each."""
        return Layout(self.lanes, self.threads)


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A plan and what it promises."""

    plan: Plan
    rows_per_s: float
    """At the knee, all lanes together."""
    knee_rows: int
    """The smallest run that comes close to the highest rate."""
    p50_ns: int
    """Of a run of so many rows."""
    default_rows_per_s: float
    """The same for the plan that is followed without a measurement."""


def choose(cells: Sequence[Cell], simplest: Layout, slo_ns: float, *, together: bool = True) -> Choice:
    """Return the layout with the highest rate at its knee, within the target; pure.

    `simplest` is kept unless another is better by more than measurements differ, and so on in the order of the cells. Where
    rows of several requests do not run `together`, the rate of single rows decides. Raises `ValueError` if there is no cell.
    """
    tried = sorted({cell.layout: None for cell in cells}, key=lambda layout: layout != simplest)
    if not tried:
        raise ValueError("nothing was measured")
    usable = {layout: _within([cell for cell in cells if cell.layout == layout], slo_ns) for layout in tried}
    knees = {layout: _knee(usable[layout], together=together) for layout in tried}
    best = tried[0]
    for layout in tried[1:]:
        if knees[layout].rows_per_s > _CLEARLY * knees[best].rows_per_s:
            best = layout
    knee = knees[best]
    return Choice(
        plan=_plan(best, usable[best]),
        rows_per_s=knee.rows_per_s,
        knee_rows=knee.rows,
        p50_ns=knee.p50_ns,
        default_rows_per_s=knees[tried[0]].rows_per_s,
    )


def _within(cells: Sequence[Cell], slo_ns: float) -> list[Cell]:
    """Return the sizes whose runs keep the target for a row that has just missed one; at least the smallest size.

    A size that a larger one proves to be fast enough was disturbed when it was measured.
    """
    ordered = sorted(cells, key=lambda cell: cell.rows)
    keeping = [number for number, cell in enumerate(ordered, 1) if (1 + 1 / cell.layout.lanes) * cell.p50_ns <= slo_ns]
    return ordered[: max(keeping, default=1)]


def _knee(cells: Sequence[Cell], *, together: bool) -> Cell:
    if not together or not _pays(cells):
        return cells[0]
    return next(cell for cell in cells if cell.rows_per_s >= _ENOUGH * max(cell.rows_per_s for cell in cells))


def _pays(cells: Sequence[Cell]) -> bool:
    """Tell whether rows that run together are answered faster than one by one: the server's own rule."""
    trial = max((cell for cell in cells if cell.rows <= _FLAT_AT), key=lambda cell: cell.rows, default=cells[0])
    return trial.rows_per_s >= _FLAT_GAIN * cells[0].rows_per_s


def _plan(layout: Layout, cells: Sequence[Cell]) -> Plan:
    highest = max(cell.rows_per_s for cell in cells)
    largest = max(cell.rows for cell in cells if cell.rows_per_s >= _ENOUGH * highest)
    return Plan(lanes=layout.lanes, threads=layout.threads, batching="adaptive" if _pays(cells) else "off", max_batch_rows=largest)
