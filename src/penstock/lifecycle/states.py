"""The life of a loaded version, as a table."""

from enum import StrEnum
from typing import Final


class VersionState(StrEnum):
    """States in the order in which they are lived."""

    LOADING = "LOADING"
    """Files are verified, the session is built."""
    WARMING = "WARMING"
    """The batch-safety probe and the first runs."""
    READY = "READY"
    """Takes requests. Announced only after it is true."""
    DRAINING = "DRAINING"
    """Takes no new requests, finishes those it has. Announced before it is true."""
    UNLOADED = "UNLOADED"
    """Its memory is free."""
    FAILED = "FAILED"
    """Could not be loaded; the reason is kept."""


NEXT: Final[dict[VersionState, frozenset[VersionState]]] = {
    VersionState.LOADING: frozenset({VersionState.WARMING, VersionState.FAILED}),
    VersionState.WARMING: frozenset({VersionState.READY, VersionState.FAILED}),
    VersionState.READY: frozenset({VersionState.DRAINING}),
    VersionState.DRAINING: frozenset({VersionState.UNLOADED}),
    VersionState.UNLOADED: frozenset(),
    VersionState.FAILED: frozenset(),
}
"""The legal steps. A version never comes back: a reload is a new version object beside the old one."""


def advance(now: VersionState, then: VersionState) -> VersionState:
    """Return the next state, or raise `ValueError` if the table does not allow the step."""
    if then not in NEXT[now]:
        raise ValueError(f"a version cannot go from {now} to {then}")
    return then
