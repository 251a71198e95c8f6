"""A route as a terminal shows it."""

from typing import Any

import pytest

from penstock.cli.route_view import quantile_s, route_lines, since

BOUNDS_S = [0.001, 0.002, 0.01]


def arm(name: str, number: str, **told: Any) -> dict[str, Any]:
    """Return an arm as the server reports it."""
    arm = {"name": name, "version": number, "number": number, "weight": 5.0, "ready": True, "requests": 0, "errors": 0}
    return {**arm, "durations": [0, 0, 0, 0], **told}


def report(*arms: dict[str, Any], **route: Any) -> dict[str, Any]:
    """Return a model as the server reports it."""
    plain = {"stable": "1", "canaries": [], "shadows": [], "sticky": None, "override": False}
    told = {"revision": 3, "origin": "file", "in_force": True, "problem": "", "arms": list(arms), "duration_bounds_s": BOUNDS_S}
    return {"name": "fraud", "route": {**told, "route": {**plain, **route}}}


def test_model_without_a_route_says_who_answers() -> None:
    """Rather than nothing."""
    assert list(route_lines({"name": "fraud", "route": None})) == ["fraud: no route; the champion, else the highest version, answers"]


def test_arms_stand_in_a_table_below_the_rules() -> None:
    """With what an alias stands for, and what is not ready."""
    stable = arm("stable", "1", version="champion", weight=95.0, requests=200, errors=1, durations=[100, 100, 0, 0])
    told = report(
        stable,
        arm("b", "", version="next", ready=False),
        sticky={"header": "x-user-id"},
        override=True,
        shadows=[{"version": "7", "sample": 0.1}],
    )
    assert list(route_lines(told)) == [
        "fraud: route of revision 3, by file, in force",
        "callers keep their arm by the header x-user-id",
        "callers may choose an arm with penstock-route",
        "ARM     VERSION              WEIGHT  REQUESTS  ERRORS  P50   P99",
        "stable  1 (champion)         95 %    200       0.50 %  1 ms  1.98 ms",
        "b       ? (next), not ready  5 %     0         -       -     -",
        "shadow: version 7 is asked 10 % too",
    ]


def test_interval_tells_only_what_has_happened_in_it() -> None:
    """As rates; a version that was loaded meanwhile counts whole."""
    before = report(arm("stable", "1", requests=100, errors=1, durations=[100, 0, 0, 0]), arm("b", "2", requests=9))
    after = report(
        arm("stable", "1", requests=120, errors=11, durations=[100, 0, 20, 0]), arm("b", "3", requests=4, durations=[4, 0, 0, 0])
    )
    lines = list(route_lines(since(before, after), elapsed_s=2.0))
    assert lines[2].split() == ["stable", "1", "5", "%", "10.0/s", "50.00", "%", "6", "ms", "9.92", "ms"]
    assert lines[3].split() == ["b", "3", "5", "%", "2.0/s", "0.00", "%", "0.5", "ms", "0.99", "ms"]


def test_route_that_came_or_went_meanwhile_is_told_as_it_is() -> None:
    """There is nothing to subtract from."""
    none = {"name": "fraud", "route": None}
    some = report(arm("stable", "1", requests=5))
    assert since(none, some) == some
    assert since(some, none) == none


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        pytest.param([0, 0, 0, 0], 0.5, None, id="nothing"),
        pytest.param([10, 0, 0, 0], 0.5, 0.0005, id="within-the-first"),
        pytest.param([0, 10, 0, 0], 1.0, 0.002, id="all"),
        pytest.param([50, 0, 50, 0], 0.75, 0.006, id="over-a-gap"),
        pytest.param([0, 0, 0, 1], 0.5, 0.01, id="beyond-all-bounds"),
    ],
)
def test_quantiles_lie_within_their_buckets(counts: list[int], share: float, expected: float | None) -> None:
    """By a straight line in each."""
    assert quantile_s(counts, BOUNDS_S, share) == (None if expected is None else pytest.approx(expected))
