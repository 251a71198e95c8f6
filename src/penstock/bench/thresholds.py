"""Thresholds in k6's spelling, such as `p(99)<20ms`: what they say, and whether a round keeps them."""

import operator
import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from penstock.bench.latency import Latencies
from penstock.bench.result import Figures, Round, Verdict, figures_of

MEANINGS: Final = {
    "p(N)": "the latency that N percent of the answers do not exceed, such as p(50), p(99) or p(99.9)",
    "avg": "the mean latency",
    "min": "the shortest latency",
    "max": "the longest latency",
    "error_rate": "the share of requests that failed or were never answered",
    "rate": "the share of requests that were sent in time, of those that were due",
    "rps": "successful answers per second",
    "cpu_us": "CPU time of the server per answer, in microseconds; needs --server-pid",
}
"""Each figure that a threshold may be about, and what it means."""

_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0, "": 1.0}
_LATENCIES: Final = {"avg": "mean_ms", "min": "min_ms", "max": "max_ms"}
_SYNTAX: Final = re.compile(
    r"\s*(p\(\s*(?P<percent>[\d.]+)\s*\)|\w+)\s*(?P<op><=|>=|==|!=|<|>)\s*(?P<number>[\d.]+(?:e-?\d+)?)\s*(?P<unit>\w*)\s*"
)
_UNITS: Final = {"rps": "/s", "cpu_us": "us"}
_ALL: Final = 100


class Threshold(NamedTuple):
    """A limit on one figure."""

    text: str
    """As it was given."""
    figure: str
    """The name of a figure, or `p`."""
    percent: float
    """Which percentile, if it is about one."""
    compare: str
    limit: float
    """In milliseconds, if it is about a latency."""

    def judge(self, measured: Round) -> Verdict:
        """Return whether the round keeps it. A figure that was not measured keeps nothing."""
        value = self._value(measured, figures_of(measured))
        return Verdict(self.text, value, self.unit, value is not None and _COMPARE[self.compare](value, self.limit))

    def _value(self, measured: Round, figures: Figures) -> float | None:
        if _is_latency(self.figure) and not measured.latencies_us:
            return None
        if self.figure == "p":
            return Latencies(measured.latencies_us).percentile_ms(self.percent)
        value: float | None = getattr(figures, _LATENCIES.get(self.figure, self.figure))
        return value

    @property
    def unit(self) -> str:
        """What the figure is counted in."""
        return "ms" if _is_latency(self.figure) else _UNITS.get(self.figure, "")


def threshold(text: str) -> Threshold:
    """Return the threshold that a text like `p(99)<20ms` or `error_rate<0.001` says.

    Latencies are in milliseconds unless they carry `us` or `s`. Raises `ValueError`, which repeats the text.
    """
    found = _SYNTAX.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no threshold; write a figure, a comparison and a number, such as p(99)<20ms or error_rate<0.001")
    figure = "p" if found["percent"] else found[1]
    if not found["percent"] and figure not in MEANINGS:
        raise ValueError(f"{text!r} is about {figure!r}, which is not measured; there are {', '.join(MEANINGS)}")
    percent, number = _number(text, found["percent"] or "0"), _number(text, found["number"])
    if percent > _ALL:
        raise ValueError(f"{text!r} asks for a percentile above 100")
    return Threshold(text, figure, percent, found["op"], number * _scale(text, figure, found["unit"]))


def judged(thresholds: Iterable[Threshold], measured: Round) -> tuple[Verdict, ...]:
    """Return the verdict on each threshold."""
    return tuple(one.judge(measured) for one in thresholds)


def _number(text: str, digits: str) -> float:
    try:
        return float(digits)
    except ValueError as error:
        raise ValueError(f"{text!r} holds {digits!r}, which is no number") from error


def _is_latency(figure: str) -> bool:
    return figure == "p" or figure in _LATENCIES


def _scale(text: str, figure: str, unit: str) -> float:
    if _is_latency(figure):
        if unit not in _MS:
            raise ValueError(f"{text!r} has the unit {unit!r}; a latency is in us, ms or s")
        return _MS[unit]
    if unit and not (figure == "cpu_us" and unit == "us"):
        raise ValueError(f"{text!r} has the unit {unit!r}; {figure} takes none")
    return 1.0
