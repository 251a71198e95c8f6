"""A trace: what arrives, drawn once; rows are made of it for every run anew."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.arrivals import Process
from simulator.curves import MEAN_LENGTH
from simulator.row import MS, NEVER, SECOND, Row
from simulator.streams import Streams

_Numbers = npt.NDArray[np.int64]

_PARETO: Final = 1.5
_PATIENCE_NS: Final = 30 * SECOND
_LONGEST: Final = 512
_LENGTH_SIGMA: Final = 0.6
MODELS: Final = 20


@dataclass(frozen=True)
class Mix:
    """What requests are like, beside when they arrive."""

    heavy: bool = False
    """Whether the rows of a request follow a bounded Pareto law, exponent 1.5, from 1 to 64 or the largest batch."""
    budgets_ms: tuple[int, ...] = ()
    """Deadlines instead of the objective, drawn evenly."""
    patient: bool = False
    """Whether callers wait for 30 s: the objective then orders and sizes, and no deadline tells when a row is useless."""
    sheddable: float = 0.0
    """The share of requests of the lowest class; the others are critical."""
    cancelled: float = 0.0
    """The share of requests whose caller leaves, evenly within the objective."""
    poison: float = 0.0
    """The share of requests that make their batch fail."""
    lengths: bool = False
    """Whether requests have lengths, lognormal of sigma 0.6 around 128, 16 to 512."""
    models: int = 1
    """How many models share the device, asked for by Zipf's law of exponent 1."""
    flood: float = 0.0
    """Requests for the last model on top, as a share of the rate."""


@dataclass(frozen=True)
class Trace:
    """Requests in the order of their arrival, as columns."""

    arrivals_ns: _Numbers
    rows: _Numbers
    budgets_ns: _Numbers
    patience_ns: _Numbers
    priorities: _Numbers
    lengths: _Numbers
    models: _Numbers
    cancels_ns: _Numbers
    """After the arrival; NEVER for most."""
    poison: npt.NDArray[np.bool_]

    def requests(self) -> list[Row]:
        """Return the requests as rows that nothing has happened to."""
        columns = zip(
            self.arrivals_ns.tolist(),
            self.budgets_ns.tolist(),
            self.patience_ns.tolist(),
            self.rows.tolist(),
            self.priorities.tolist(),
            self.lengths.tolist(),
            self.models.tolist(),
            self.cancels_ns.tolist(),
            self.poison.tolist(),
            strict=True,
        )
        return [_row(number, *column) for number, column in enumerate(columns)]

    def without(self, model: int) -> "Trace":
        """Return the trace without what is asked of one model."""
        chosen = self.models != model
        return replace(self, **{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})


def drawn(process: Process, mix: Mix, streams: Streams, *, rate: float, horizon_s: float, slo_ns: int, max_rows: int) -> Trace:  # noqa: PLR0913
    """Draw a trace of a mean rate in rows per second."""
    sizes = _sizes(mix, streams["rows"], round(rate * horizon_s), max_rows)
    count = len(sizes)
    budgets = np.array([budget * MS for budget in mix.budgets_ms] or [slo_ns])
    classes = streams["classes"]
    within = budgets[classes.integers(len(budgets), size=count)]
    return Trace(
        arrivals_ns=np.round(process(streams["arrivals"], count, horizon_s) * SECOND).astype(np.int64),
        rows=sizes,
        budgets_ns=within,
        patience_ns=np.full(count, _PATIENCE_NS) if mix.patient else within,
        priorities=np.where(classes.random(count) < mix.sheddable, 2, 0 if mix.sheddable else 1),
        lengths=_lengths(mix, streams["lengths"], count),
        models=_models(mix, classes, count),
        cancels_ns=_cancels(mix, streams["cancels"], count, slo_ns),
        poison=streams["poison"].random(count) < mix.poison,
    )


def _sizes(mix: Mix, random: np.random.Generator, rows: int, max_rows: int) -> _Numbers:
    if not mix.heavy:
        return np.ones(max(rows, 1), np.int64)
    most = min(64, max_rows)
    share = random.random(max(rows, 1)) * (1 - (most + 1.0) ** -_PARETO)
    sizes = np.minimum(np.floor((1 - share) ** (-1 / _PARETO)), most).astype(np.int64)
    enough = int(np.searchsorted(np.cumsum(sizes), rows)) + 1
    kept: _Numbers = sizes[:enough]
    return kept


def _lengths(mix: Mix, random: np.random.Generator, count: int) -> _Numbers:
    if not mix.lengths:
        return np.zeros(count, np.int64)
    drawn_ = random.lognormal(np.log(MEAN_LENGTH) - _LENGTH_SIGMA**2 / 2, _LENGTH_SIGMA, count)
    return np.clip(drawn_, 16, _LONGEST).astype(np.int64)


def _models(mix: Mix, random: np.random.Generator, count: int) -> _Numbers:
    if mix.models == 1:
        return np.zeros(count, np.int64)
    shares = 1 / np.arange(1, mix.models + 1)
    shares *= (1 - mix.flood) / shares.sum()
    shares[-1] += mix.flood
    return random.choice(mix.models, count, p=shares)


def _cancels(mix: Mix, random: np.random.Generator, count: int, slo_ns: int) -> _Numbers:
    after = (random.random(count) * slo_ns).astype(np.int64)
    return np.where(random.random(count) < mix.cancelled, after, NEVER)


def _row(number: int, arrival: int, budget: int, patience: int, *rest: int) -> Row:
    row = Row(number, arrival, arrival + budget, arrival + patience)
    row.rows, row.priority, row.length, row.model, cancel, poison = rest
    row.poison = bool(poison)
    if cancel != NEVER:
        row.cancel_ns = arrival + cancel
    return row
