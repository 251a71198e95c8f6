"""Which versions are wanted, and the next steps towards them."""

from collections.abc import Collection, Mapping

import hypothesis.strategies as st
import pytest
from hypothesis import given

from penstock.lifecycle.policy import Load, Rule, Step, Unload, held, steps, unfound, wanted
from penstock.lifecycle.states import VersionState

LOADING, READY, DRAINING = VersionState.LOADING, VersionState.READY, VersionState.DRAINING
UNLOADED, FAILED = VersionState.UNLOADED, VersionState.FAILED


@pytest.mark.parametrize(
    ("rule", "available", "aliases", "failed", "want"),
    [
        pytest.param("latest:1", {1, 2, 10}, {}, set(), {10}, id="latest-by-number"),
        pytest.param("latest:2", {1, 2, 10}, {}, set(), {2, 10}, id="latest-two"),
        pytest.param("latest:9", {1, 2}, {}, set(), {1, 2}, id="fewer-than-asked"),
        pytest.param("latest:1", set(), {}, set(), set(), id="none-available"),
        pytest.param("latest:1", {1, 2, 3}, {"champion": 1}, set(), {1, 3}, id="alias-adds"),
        pytest.param("latest:1", {2}, {"champion": 1}, set(), {2}, id="alias-names-what-is-not-there"),
        pytest.param("latest:1", {1, 2}, {}, {2}, {1}, id="broken-newest-leaves-its-predecessor"),
        pytest.param("latest:2", {1, 2, 3}, {}, {3}, {1, 2}, id="broken-does-not-count"),
        pytest.param("latest:1", {1, 2}, {"champion": 2}, {2}, {1}, id="broken-alias"),
        pytest.param("latest:1", {1}, {}, {1}, set(), id="all-broken"),
        pytest.param("all", {1, 5}, {"champion": 7}, set(), {1, 5}, id="all"),
        pytest.param("all", {1, 5}, {}, {5}, {1}, id="all-but-the-broken"),
        pytest.param([1, "3"], {1, 2, 3, 4}, {}, set(), {1, 3}, id="list-of-numbers"),
        pytest.param(["champion"], {1, 2}, {"champion": 1}, set(), {1}, id="list-with-alias"),
        pytest.param([9], {1, 2}, {}, set(), set(), id="list-of-nothing-there"),
        pytest.param(["gone"], {1, 2}, {}, set(), set(), id="list-with-unknown-alias"),
        pytest.param([2], {1, 2}, {"champion": 1}, set(), {2}, id="list-is-exact"),
        pytest.param([], {1}, {}, set(), set(), id="empty-list"),
    ],
)
def test_rule_says_which_versions_are_wanted(
    rule: Rule, available: Collection[int], aliases: Mapping[str, int], failed: Collection[int], want: set[int]
) -> None:
    """Of those that can be served."""
    assert wanted(rule, available, aliases, failed) == want


@pytest.mark.parametrize(
    ("rule", "missing"),
    [
        pytest.param("latest:1", [], id="latest"),
        pytest.param("all", [], id="all"),
        pytest.param([1, "2", "champion"], [], id="all-there"),
        pytest.param([1, 9, "gone", "lost"], ["9", "gone", "lost"], id="number-alias-and-alias-of-nothing"),
    ],
)
def test_items_of_a_list_that_name_nothing(rule: Rule, missing: list[str]) -> None:
    """A number that is not there, an unknown alias, and an alias of what is not there."""
    assert unfound(rule, {1, 2}, {"champion": 1, "lost": 7}) == missing


@pytest.mark.parametrize(
    ("aliases", "listed", "ready", "kept"),
    [
        pytest.param({"a": 1}, {"a": 1}, {1}, set(), id="stays"),
        pytest.param({"a": 1}, {"a": 2}, {1}, {1}, id="waits-for-its-new-version"),
        pytest.param({"a": 1}, {"a": 2}, {1, 2}, set(), id="may-move"),
        pytest.param({"a": 1}, {}, {1}, set(), id="is-taken-away"),
        pytest.param({"a": 1}, {"a": 2}, {3}, set(), id="names-nothing-ready"),
        pytest.param({"a": 1, "b": 1, "c": 3}, {"a": 1, "b": 2, "c": 4}, {1, 3, 4}, {1}, id="one-of-several"),
    ],
)
def test_alias_holds_its_version_until_it_may_move(
    aliases: Mapping[str, int], listed: Mapping[str, int], ready: Collection[int], kept: set[int]
) -> None:
    """What it names answers as long as what it is to name does not."""
    assert held(aliases, listed, ready) == kept


@pytest.mark.parametrize(
    ("want", "actual", "stale", "todo"),
    [
        pytest.param({1}, {}, (), [Load(1)], id="new"),
        pytest.param({1}, {1: READY}, (), [], id="settled"),
        pytest.param({2, 1}, {}, (), [Load(1), Load(2)], id="several-in-order"),
        pytest.param({2}, {1: READY}, (), [Load(2)], id="load-before-unload"),
        pytest.param({2}, {1: READY, 2: READY}, (), [Unload(1)], id="unload-once-all-is-ready"),
        pytest.param({2, 3}, {1: READY, 2: READY}, (), [Load(3)], id="unload-waits-for-every-load"),
        pytest.param({2}, {2: READY}, {2}, [Load(2)], id="changed-files"),
        pytest.param({2}, {1: READY, 2: READY}, {2}, [Load(2)], id="changed-files-before-unload"),
        pytest.param({2}, {2: UNLOADED}, (), [Load(2)], id="wanted-again"),
        pytest.param({2}, {2: DRAINING}, (), [Load(2)], id="wanted-while-draining"),
        pytest.param({2}, {2: FAILED}, (), [Load(2)], id="failed-and-wanted-again"),
        pytest.param({2}, {1: FAILED, 2: READY, 3: DRAINING, 4: UNLOADED}, (), [], id="only-the-ready-are-unloaded"),
        pytest.param(set(), {1: READY}, (), [], id="nothing-wanted-keeps-all"),
    ],
)
def test_steps_load_first_and_unload_last(
    want: set[int], actual: dict[int, VersionState], stale: Collection[int], todo: list[Step]
) -> None:
    """Nothing is unloaded before everything wanted is ready."""
    assert steps(want, actual, stale) == todo


@given(
    want=st.sets(st.integers(1, 6)),
    actual=st.dictionaries(st.integers(1, 6), st.sampled_from(VersionState)),
    stale=st.sets(st.integers(1, 6)),
)
def test_steps_end_with_exactly_what_is_wanted(want: set[int], actual: dict[int, VersionState], stale: set[int]) -> None:
    """Taking the steps until none is left gives the wanted versions, and never takes the last ready one on the way."""
    ready_before = {number for number, state in actual.items() if state is READY}
    served = bool(ready_before)

    for _ in range(20):
        todo = steps(want, actual, stale)
        for step in todo:
            if isinstance(step, Load):
                actual[step.number] = READY
                stale = stale - {step.number}
            else:
                actual[step.number] = UNLOADED
            assert not served or READY in actual.values()

    assert todo == []
    assert {number for number, state in actual.items() if state is READY} == (want or ready_before)
