"""When requests are due."""

from itertools import pairwise

import pytest

from penstock.bench.arrivals import Constant, Poisson, Ramp, Recorded, arrivals, first_rate, recorded, with_warmup


def test_constant_arrivals_are_evenly_spaced() -> None:
    """A rate of four per second for one second is four requests."""
    assert list(arrivals(Constant(4), 1.0)) == [0.0, 0.25, 0.5, 0.75]


def test_poisson_arrivals_have_the_rate_and_its_scatter() -> None:
    """The mean gap is the inverse of the rate, and so is its standard deviation."""
    offsets = list(arrivals(Poisson(1000, seed=3), 20.0))
    gaps = [later - earlier for earlier, later in pairwise(offsets)]
    mean = sum(gaps) / len(gaps)

    assert len(offsets) == pytest.approx(20_000, rel=0.03)
    assert (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5 == pytest.approx(0.001, rel=0.05)


def test_poisson_arrivals_repeat_by_their_seed() -> None:
    """The same seed is the same run, another one is another."""
    one, same, other = (list(arrivals(Poisson(100, seed), 1.0)) for seed in (1, 1, 2))

    assert one == same != other


@pytest.mark.parametrize(("start", "end"), [(10, 30), (30, 10), (20, 20)])
def test_ramp_changes_the_rate_evenly(start: float, end: float) -> None:
    """Each half of a ramp has as many arrivals as the integral of its rate."""
    offsets = list(arrivals(Ramp(start, end), 10.0))

    assert len(offsets) == 200
    assert offsets == sorted(offsets)
    assert sum(offset < 5 for offset in offsets) == pytest.approx(5 * (3 * start + end) / 4, abs=1)


def test_recorded_arrivals_begin_at_their_first() -> None:
    """Timestamps count from the earliest, in whatever order the file has them."""
    assert recorded("1700000001.5\n\n1700000001\n").offsets_s == (0.0, 0.5)


@pytest.mark.parametrize(("text", "what"), [("1\nx\n", "line 2 holds 'x'"), ("nan", "line 1"), ("\n", "no arrivals")])
def test_recorded_arrivals_name_what_is_wrong(text: str, what: str) -> None:
    """A line that is no number is named."""
    with pytest.raises(ValueError, match=what):
        recorded(text)


def test_warmup_comes_first_at_the_first_rate() -> None:
    """A ramp is warmed up at the rate where it begins."""
    assert list(with_warmup(Ramp(2, 2), 1.0, 1.0)) == [0.0, 0.5, 1.0, 1.5]
    assert first_rate(Ramp(10, 90), 5.0) == 10
    assert first_rate(Recorded((0.0, 0.1, 0.2, 9.0)), 1.0) == 3
