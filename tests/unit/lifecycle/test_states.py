"""The life of a version, as a table."""

import itertools
from collections.abc import Iterator

import pytest

from penstock.lifecycle.states import NEXT, VersionState, advance


def lives(state: VersionState) -> Iterator[list[VersionState]]:
    """Yield every way from a state to an end."""
    if not NEXT[state]:
        yield [state]
    for then in NEXT[state]:
        for life in lives(then):
            yield [state, *life]


def test_table_has_a_row_for_every_state() -> None:
    """No state is forgotten, and none leads outside the table."""
    assert set(NEXT) == set(VersionState)
    assert set().union(*NEXT.values()) <= set(VersionState)


def test_every_life_ends_unloaded_or_failed() -> None:
    """From the start every way ends, in one of two states, and no way leads back."""
    ends = {life[-1] for life in lives(VersionState.LOADING)}

    assert ends == {VersionState.UNLOADED, VersionState.FAILED}
    assert all(len(set(life)) == len(life) for life in lives(VersionState.LOADING))


def test_every_state_is_lived() -> None:
    """No state stands in the table for nothing."""
    assert {state for life in lives(VersionState.LOADING) for state in life} == set(VersionState)


@pytest.mark.parametrize(("now", "then"), list(itertools.product(VersionState, VersionState)))
def test_step_is_taken_exactly_if_the_table_allows_it(now: VersionState, then: VersionState) -> None:
    """Anything else is refused, and named."""
    if then in NEXT[now]:
        assert advance(now, then) is then
    else:
        with pytest.raises(ValueError, match=f"from {now} to {then}"):
            advance(now, then)
