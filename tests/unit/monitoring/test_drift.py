"""Chance raises no alarm, a shift does; bins, figures and thresholds agree with SciPy."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2, ks_2samp

from penstock.domain.clock import NS_PER_S
from penstock.monitoring.drift import MEASURES, DriftJudge, _chi_square_quantile
from penstock.monitoring.drift_watch import DriftWatch
from penstock.monitoring.options import Limits
from penstock.monitoring.reference import Reference, reference_of
from penstock.monitoring.sketch import DriftSketch

FEATURES = 64
NAMES = [f"feature {number}" for number in range(FEATURES)]


def mixed(source: np.random.Generator, rows: int, features: int = FEATURES) -> np.ndarray:
    """Rows of four kinds of features by turns: normal, skewed, few values, often missing."""
    values = source.standard_normal((rows, features), np.float32)
    values[:, 1::4] = np.exp(values[:, 1::4])
    values[:, 2::4] = np.clip(np.round(values[:, 2::4]), -2, 2)
    values[:, 3::4][source.random(values[:, 3::4].shape) < 0.1] = np.nan
    return values


def false_alarms(windows: int, window_rows: int, reference_rows: int) -> int:
    """Windows of unchanged rows that show drift; a new reference for each ten, so that no lucky one decides."""
    source = np.random.default_rng(7)
    wrong = 0
    for _ in range(windows // 10):
        watch = DriftWatch(reference_of(NAMES, mixed(source, reference_rows)), window_rows=window_rows)
        for _ in range(10):
            watch.add(mixed(source, window_rows))
            wrong += bool(watch.drifting)
    return wrong


@pytest.mark.parametrize(("window_rows", "reference_rows"), [(200, 1000), (1000, 1000)])
def test_unchanged_rows_raise_no_alarm(window_rows: int, reference_rows: int) -> None:
    """Rows of the reference's own distribution are judged; 60 windows of 64 features."""
    assert false_alarms(60, window_rows, reference_rows) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("window_rows", "reference_rows"), [(200, 200), (200, 1000), (1000, 500), (1000, 5000)])
def test_a_thousand_unchanged_windows_raise_fewer_than_one_alarm_in_a_hundred(window_rows: int, reference_rows: int) -> None:
    """The whole count of the promise, for windows and samples of several lengths."""
    assert false_alarms(1000, window_rows, reference_rows) < 10


@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(5, 200))])
def test_half_a_deviation_in_one_feature_of_many_is_seen_within_2000_rows(seed: int) -> None:
    """It is found by name, and nothing else is."""
    source = np.random.default_rng(seed)
    watch = DriftWatch(reference_of(NAMES, mixed(source, 2000)))
    shifted = 4 * int(source.integers(FEATURES // 4))
    rows = mixed(source, 2000)
    rows[:, shifted] += 0.5

    crossings = watch.add(rows)

    assert [crossing.feature for crossing in crossings] == [NAMES[shifted]]
    assert "ks" in crossings[0].after


def test_a_feature_that_comes_back_is_told_once_each_way() -> None:
    """Windows that repeat what is known say nothing."""
    source = np.random.default_rng(3)
    watch = DriftWatch(reference_of(["a", "b"], source.standard_normal((1000, 2))), window_rows=500)
    rows = source.standard_normal((2000, 2))
    rows[500:1500, 1] += 2

    told = watch.add(rows)

    assert [(crossing.feature, bool(crossing.before), bool(crossing.after)) for crossing in told] == [
        ("b", False, True),
        ("b", True, False),
    ]
    assert watch.windows == 4
    assert not watch.drifting


def test_missing_values_and_values_out_of_range_are_drift_of_their_own() -> None:
    """Six rows in a hundred are enough, where the distribution of the others is as it was."""
    source = np.random.default_rng(4)
    watch = DriftWatch(reference_of(["a", "b"], source.random((1000, 2))), window_rows=500)
    rows = source.random((500, 2))
    rows[:30, 0] = np.nan
    rows[:30, 1] = 7

    watch.add(rows)

    assert watch.drifting == {"a": ("missing",), "b": ("out_of_range",)}


def test_a_feature_that_is_gone_shows_as_missing_alone() -> None:
    """Without values there is nothing to compare, and nothing to divide by."""
    watch = DriftWatch(reference_of(["a"], np.random.default_rng(5).random((500, 1))), window_rows=500)

    watch.add(np.full((500, 1), np.nan))

    assert watch.drifting == {"a": ("missing",)}


def test_a_constant_that_stays_constant_does_not_drift_and_one_that_moves_does() -> None:
    """A feature of one value has no edges."""
    watch = DriftWatch(reference_of(["still", "moved"], np.full((500, 2), 3.0)), window_rows=500)

    watch.add(np.tile([3.0, 4.0], (500, 1)))

    assert watch.drifting == {"moved": ("out_of_range",)}


def test_a_window_ends_by_time_once_it_has_rows_enough() -> None:
    """Too few rows tell nothing, however old they are."""
    now = [0]
    source = np.random.default_rng(6)
    watch = DriftWatch(reference_of(["a"], source.random((500, 1))), window_s=60, least_rows=200, clock=lambda: now[0])
    watch.add(source.random((150, 1)))
    now[0] = 61 * NS_PER_S
    watch.tick()
    assert watch.windows == 0

    watch.add(source.random((50, 1)))

    assert watch.windows == 1


def test_figures_agree_with_scipy() -> None:
    """KS is taken at the edges alone, so it is no larger than the exact one, and short of it by less than a bin."""
    source = np.random.default_rng(8)
    sample, rows = source.standard_normal((5000, 1)), source.standard_normal((3000, 1)) * 1.3 + 0.4
    reference = reference_of(["a"], sample)
    sketch = DriftSketch(reference)
    sketch.add(rows)

    found = DriftJudge(reference).judge(sketch.tally())[0].figures

    edges = [-np.inf, *reference.features[0].edges, np.inf]
    p, q = (np.histogram(-values, -np.array(edges[::-1]))[0] for values in (sample, rows))  # bins closed above, as ours are
    exact = ks_2samp(sample[:, 0], rows[:, 0]).statistic
    assert found["js"] == pytest.approx(jensenshannon(p, q, 2))
    assert exact - 1 / 16 < found["ks"] <= exact
    assert found["psi"] == pytest.approx(np.sum((q / 3000 - p / 5000) * np.log(q / 3000 / (p / 5000))), rel=0.01)


def test_the_quantile_of_chi_square_errs_far_out_only_towards_fewer_alarms() -> None:
    """Far out, where Bonferroni asks for it."""
    freedom = np.array([1, 3, 7, 15])

    ratio = _chi_square_quantile(freedom, 3e-6) / chi2.isf(3e-6, freedom)

    assert (ratio >= 1).all()
    assert (ratio < [1.2, 1.1, 1.05, 1.03]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_counts_do_not_depend_on_how_rows_are_cut_into_batches(dtype: type) -> None:
    """Blocks and batches meet in every way."""
    rows = mixed(np.random.default_rng(9), 1500, 8).astype(dtype)
    reference = reference_of(NAMES[:8], rows)
    whole, cut = DriftSketch(reference), DriftSketch(reference)
    whole.add(rows)
    for part in np.split(rows, [1, 2, 300, 811]):
        cut.add(part)

    assert all(np.array_equal(one, other) for one, other in zip(whole.tally(), cut.tally(), strict=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_sample_itself_is_counted_as_the_reference_counts_it(dtype: type) -> None:
    """FP32 and FP64 fall on the same side of every edge as they did in the reference."""
    rows = mixed(np.random.default_rng(10), 1000, 8).astype(dtype)
    reference = reference_of(NAMES[:8], rows)
    sketch = DriftSketch(reference)
    sketch.add(rows)

    for feature in DriftJudge(reference).judge(sketch.tally()):
        assert feature.figures == dict.fromkeys(MEASURES, pytest.approx(0, abs=1e-9))


def test_a_stricter_limit_keeps_a_small_shift_quiet() -> None:
    """What is certain need not matter."""
    source = np.random.default_rng(11)
    reference = reference_of(["a"], source.standard_normal((5000, 1)))
    rows = source.standard_normal((5000, 1)) + 0.2
    loose, strict = DriftWatch(reference, window_rows=5000), DriftWatch(reference, Limits(ks=0.2, js=0.3, psi=0.3), window_rows=5000)
    loose.add(rows)
    strict.add(rows)

    assert (bool(loose.drifting), bool(strict.drifting)) == (True, False)


def test_a_reference_survives_being_written() -> None:
    """Not a digit is lost."""
    reference = reference_of(NAMES, mixed(np.random.default_rng(12), 300))

    assert Reference.decode(reference.encode()) == reference


@pytest.mark.parametrize(
    ("names", "rows", "words"),
    [
        (["a"], np.zeros((99, 1)), "99 rows"),
        (["a"], np.zeros((100, 2)), r"shape \[100, 2\]"),
        (["a", "a"], np.zeros((100, 2)), "twice"),
        (["a"], np.full((100, 1), np.nan), "'a'"),
        (["a"], np.full((100, 1), np.inf), "finite"),
    ],
)
def test_a_sample_that_tells_nothing_is_refused_with_the_reason(names: list[str], rows: np.ndarray, words: str) -> None:
    """Too short, of another width, named twice, empty or infinite."""
    with pytest.raises(ValueError, match=words):
        reference_of(names, rows)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'"rows": 300', b'"rows": 1', "contradict"),
        (b'"low"', b'"least"', "unknown field"),
        (b'"high": ', b'"high": -1e9, "_": ', "unknown|ascend"),
    ],
)
def test_a_reference_that_was_tampered_with_is_refused(old: bytes, new: bytes, words: str) -> None:
    """Counts that contradict each other and unknown keys."""
    text = reference_of(["a"], np.random.default_rng(13).random((300, 1))).encode()

    with pytest.raises(ValueError, match=words):
        Reference.decode(text.replace(old, new))


def test_rows_of_another_width_are_refused() -> None:
    """Nothing is counted in the wrong column."""
    sketch = DriftSketch(reference_of(["a"], np.random.default_rng(14).random((300, 1))))

    with pytest.raises(ValueError, match="1 features are watched"):
        sketch.add(np.zeros((3, 2)))
