"""Bounds of benchmarks, which can be missed."""

import pytest


@pytest.mark.parametrize(
    ("values", "at_least", "verdict", "code"),
    [
        ([1.3, 1.4, 1.5], False, "met", 0),
        ([1.4, 1.4, 1.6, 1.6, 1.7], False, "missed, within the noise", 0),
        ([1.6, 1.7, 1.8], False, "missed", 1),
        ([1.6, 1.7, 1.8], True, "met", 0),
        ([1.3, 1.4, 1.45], True, "missed", 1),
    ],
)
def test_bound_is_missed_only_where_the_noise_does_not_explain_it(bound, capsys, values, at_least, *, verdict, code):
    """The line says which, and the exit code whether somebody has to look."""
    assert bound.judge([bound.Bound("a lease", values, 1.5, " us", at_least)]) == code
    assert capsys.readouterr().out.endswith(f"wanted {'>=' if at_least else '<='} 1.5 us: {verdict}\n")


def test_one_missed_bound_of_several_is_enough(bound):
    """Whichever it is."""
    good, bad = bound.Bound("good", [1.0], 1.5), bound.Bound("bad", [2.0], 1.5)

    assert [bound.judge(bounds) for bounds in ([good, good], [bad, good], [good, bad])] == [0, 1, 1]
