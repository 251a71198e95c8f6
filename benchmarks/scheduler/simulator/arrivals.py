"""When requests arrive: processes of a mean rate of one request per second over a horizon, later squeezed to the rate asked for.

Every process yields instants in seconds. A change of rate is made by stretching time: a Poisson process of unit rate goes through
the inverse of the cumulative rate, so the same random numbers serve every load.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

Instants = npt.NDArray[np.float64]
Process = Callable[[np.random.Generator, int, float], Instants]
"""Of a generator, how many requests, and the seconds they are spread over."""

_STEPS: Final = 4096
_ON_OFF_S: Final = 0.2


def poisson(random: np.random.Generator, count: int, horizon_s: float) -> Instants:
    """Return instants of independent exponential gaps."""
    return np.cumsum(random.standard_exponential(count)) * (horizon_s / count)


def gamma(cv: float) -> Process:
    """Return a renewal process whose gaps are gamma distributed with this coefficient of variation."""

    def process(random: np.random.Generator, count: int, horizon_s: float) -> Instants:
        gaps = random.gamma(1 / cv**2, cv**2, count)
        instants: Instants = np.cumsum(gaps) * (horizon_s / count)
        return instants

    return process


def shaped(shape: Callable[[Instants], Instants]) -> Process:
    """Return a Poisson process whose rate follows a shape over the horizon, from 0 to 1; its mean becomes 1."""

    def process(random: np.random.Generator, count: int, horizon_s: float) -> Instants:
        edges = np.linspace(0, 1, _STEPS + 1)
        return _stretched(random, count, edges * horizon_s, shape((edges[1:] + edges[:-1]) / 2))

    return process


def mmpp(random: np.random.Generator, count: int, horizon_s: float) -> Instants:
    """Return a Poisson process that switches between 0.6 and 3 times the mean, after 1 s and 0.2 s in the mean."""
    pairs = round(horizon_s / 1.2) + 1
    sojourns = (random.standard_exponential((pairs, 2)) * (1.0, 0.2)).ravel()
    edges = np.concatenate(([0.0], np.cumsum(sojourns)))
    return _stretched(random, count, edges * (horizon_s / edges[-1]), np.tile((0.6, 3.0), pairs))


def on_off(random: np.random.Generator, count: int, horizon_s: float) -> Instants:
    """Return a Poisson process of twice the mean for 100 ms, then nothing for 100 ms."""
    periods = max(1, round(horizon_s / _ON_OFF_S))
    edges = np.linspace(0, horizon_s, 2 * periods + 1)
    return _stretched(random, count, edges, np.tile((2.0, 0.0), periods))


def ramp(at: Instants) -> Instants:
    """Return a rise from nothing to twice the mean and back."""
    return 2 * (1 - np.abs(2 * at - 1))


def step(at: Instants) -> Instants:
    """Return 50 %, for the middle third of the time 150 %, and 50 % again."""
    return np.where((at > 1 / 3) & (at < 2 / 3), 1.5, 0.5) * (6 / 5)


def azure_like(random: np.random.Generator, count: int, horizon_s: float) -> Instants:
    """Return a look-alike of the Azure Functions trace: a day's wave and short spikes. Synthetic: the trace is not at hand."""
    spikes = random.random(12)

    def shape(at: Instants) -> Instants:
        near = np.abs(at[:, None] - spikes[None, :]).min(axis=1) < 0.004
        rates: Instants = 0.8 + 0.4 * np.sin(2 * np.pi * at) + 1.5 * near
        return rates

    return shaped(shape)(random, count, horizon_s)


def twitter_like(random: np.random.Generator, count: int, horizon_s: float) -> Instants:
    """Return a look-alike of the Twitter trace: a day's wave under slow random swings. Synthetic: the trace is not at hand."""
    swings = np.exp(0.25 * np.convolve(random.standard_normal(_STEPS + 64), np.ones(65) / 65**0.5, mode="valid"))
    return shaped(lambda at: (0.9 + 0.3 * np.sin(2 * np.pi * at + 1)) * swings)(random, count, horizon_s)


def _stretched(random: np.random.Generator, count: int, edges: Instants, rates: Instants) -> Instants:
    """Return instants of a Poisson process with these rates between these edges, `count` requests per unit of their integral."""
    seen = np.concatenate(([0.0], np.cumsum(np.diff(edges) * rates)))
    instants: Instants = np.interp(np.cumsum(random.standard_exponential(count)) * (seen[-1] / count), seen, edges)
    return instants
