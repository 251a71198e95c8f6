"""When requests are due: pure functions from a load to offsets in seconds."""

import math
from collections.abc import Iterator
from itertools import accumulate, chain, takewhile

import msgspec
import numpy as np

_BLOCK = 4096


class Constant(msgspec.Struct, frozen=True, tag="constant"):
    """Requests at equal distances."""

    rate: float
    """Requests per second."""


class Poisson(msgspec.Struct, frozen=True, tag="poisson"):
    """Requests that know nothing of each other, as those of many independent callers."""

    rate: float
    """Requests per second, on the average."""
    seed: int = 0


class Ramp(msgspec.Struct, frozen=True, tag="ramp"):
    """A rate that changes evenly from the first to the last second."""

    start: float
    """Requests per second at the start."""
    end: float
    """Requests per second at the end."""


class Recorded(msgspec.Struct, frozen=True, tag="recorded"):
    """Requests at moments that were noted elsewhere."""

    offsets_s: tuple[float, ...]
    """Seconds since the start, in order."""


class Closed(msgspec.Struct, frozen=True, tag="closed"):
    """A fixed number of callers, each of whom asks again as soon as it is answered: a closed loop."""

    concurrency: int
    """Requests under way at any time."""


Open = Constant | Poisson | Ramp | Recorded
"""Loads whose requests are due at their time, answered or not: open loops."""
Load = Open | Closed


def arrivals(load: Open, duration_s: float) -> Iterator[float]:
    """Yield when each request is due, in seconds since the start and in order, up to the duration."""
    return takewhile(lambda offset: offset < duration_s, _offsets(load, duration_s))


def with_warmup(load: Open, warmup_s: float, duration_s: float) -> Iterator[float]:
    """Yield the arrivals of a warm-up at the load's first rate, then those of the load."""
    before = arrivals(Constant(first_rate(load, duration_s)), warmup_s)
    return chain(before, (warmup_s + offset for offset in arrivals(load, duration_s)))


def first_rate(load: Open, duration_s: float) -> float:
    """Return the rate at which a load begins; of recorded arrivals, their mean rate."""
    match load:
        case Ramp():
            return load.start
        case Recorded():
            return sum(offset < duration_s for offset in load.offsets_s) / duration_s
        case _:
            return load.rate


def recorded(text: str) -> Recorded:
    """Return the arrivals of a text with one number a line: offsets or timestamps in seconds, the first is the start.

    Raises `ValueError`, which names the line, for what is no number, and for a text without any.
    """
    moments = sorted(_moment(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip())
    if not moments:
        raise ValueError("there are no arrivals in it")
    return Recorded(tuple(moment - moments[0] for moment in moments))


def _moment(number: int, line: str) -> float:
    try:
        moment = float(line)
    except ValueError as error:
        raise ValueError(f"line {number} holds {line.strip()[:40]!r}, which is no time in seconds") from error
    if not math.isfinite(moment):
        raise ValueError(f"line {number} holds {line.strip()[:40]!r}, which is no time in seconds")
    return moment


def _offsets(load: Open, duration_s: float) -> Iterator[float]:
    match load:
        case Constant(rate):
            return (number / rate for number in range(math.ceil(duration_s * rate)))
        case Poisson(rate, seed):
            return accumulate(_gaps(rate, seed))
        case Ramp(start, end):
            return _ramp(start, end, duration_s)
        case Recorded(offsets_s):
            return iter(offsets_s)


def _gaps(rate: float, seed: int) -> Iterator[float]:
    """Yield gaps between arrivals without end: exponential ones, which make a Poisson process."""
    generator = np.random.default_rng(seed)
    while True:
        yield from generator.exponential(1 / rate, _BLOCK).tolist()


def _ramp(start: float, end: float, duration_s: float) -> Iterator[float]:
    """Yield when the integral of the rate passes each whole number."""
    slope = (end - start) / duration_s
    for number in range(math.ceil((start + end) / 2 * duration_s)):
        # The usual root of a quadratic, turned round so that a slope of 0 needs no case of its own.
        yield 2 * number / (start + math.sqrt(max(0.0, start * start + 2 * slope * number))) if number else 0.0
