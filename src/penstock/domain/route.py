"""How the traffic of one model is divided between its versions."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec

from penstock.domain.names import is_alias, is_version_number, shown

STABLE, PINNED = "stable", "pinned"
"""The arms that no canary is: what a route falls back to, and what a caller chose by naming a version."""
RESERVED_ARMS: Final = frozenset({STABLE, PINNED, "shadow"})
"""Names that no canary may have."""
_BRANCH: Final = {STABLE: STABLE, PINNED: STABLE, "": ""}
_MOST_ARMS: Final = 32
_WHOLE: Final = 100.0
_LONGEST_NAME: Final = 256


def branch_of(arm: str) -> str:
    """Return what metrics call an arm, `stable` or `canary`: the names of canaries are people's choice, and no labels.

    Who named the version has not asked for a trial, so that `pinned` counts as stable. "" stays "".
    """
    return _BRANCH.get(arm, "canary")


class Canary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version that answers a part of the traffic."""

    name: str
    """The name of its arm."""
    version: str
    """A number or an alias."""
    weight: float
    """Percent of all unpinned traffic, with at most two decimals."""


class Shadow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version that is asked what others are asked, and whose answers nobody gets."""

    version: str
    """A number or an alias."""
    sample: float = 1.0
    """The share of the requests that it is asked too, from 0 to 1."""


class Sticky(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the key of a caller is: requests with equal keys get the same arm. One of the two is given."""

    header: str = ""
    """A header of HTTP, and metadata of gRPC."""
    input: str = ""
    """An input of the model, of datatype BYTES or of integers; its first element counts."""


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The stable version gets what canaries leave over; shadows are asked beside."""

    stable: str = "champion"
    """A number or an alias."""
    canaries: tuple[Canary, ...] = ()
    shadows: tuple[Shadow, ...] = ()
    sticky: Sticky | None = None
    """Without it each request is a draw of its own."""
    override: bool = False
    """Whether a caller may choose the arm, by its name in `penstock-route`."""

    @property
    def versions(self) -> tuple[str, ...]:
        """Every version that the route names, as a number or an alias."""
        named = (self.stable, *(canary.version for canary in self.canaries), *(shadow.version for shadow in self.shadows))
        return tuple(dict.fromkeys(named))


def route_problems(route: Route) -> Iterator[str]:
    """Yield a sentence for everything that makes no sense in a route."""
    yield from _version_problems(route)
    if len(route.canaries) + len(route.shadows) > _MOST_ARMS:
        yield f"the route has {len(route.canaries) + len(route.shadows)} canaries and shadows; {_MOST_ARMS} are the most"
    for name, count in Counter(canary.name for canary in route.canaries).items():
        if not is_alias(name) and not is_version_number(name):
            yield f"the canary's name {shown(name)} is not valid; use letters, digits, '_' and '-'"
        if name in RESERVED_ARMS:
            yield f"a canary cannot be called {shown(name)}; that word has a meaning of its own"
        if count > 1:
            yield f"{count} canaries are called {shown(name)}; give each a name of its own"
    yield from _weight_problems(route)
    if route.sticky is not None:
        yield from _sticky_problems(route.sticky)


def _version_problems(route: Route) -> Iterator[str]:
    for version in route.versions:
        if not is_version_number(version) and not is_alias(version):
            yield f"the version {shown(version)} is neither a number nor an alias"
    for shadow in route.shadows:
        if not 0 <= shadow.sample <= 1:
            yield f"the sample of shadow {shown(shadow.version)} is {shadow.sample:g}; it must be a share from 0 to 1"
    for version, count in Counter(shadow.version for shadow in route.shadows).items():
        if count > 1:
            yield f"{count} shadows are version {shown(version)}; one is enough"


def _weight_problems(route: Route) -> Iterator[str]:
    for canary in route.canaries:
        if not 0 <= canary.weight <= _WHOLE:
            yield f"the weight of canary {shown(canary.name)} is {canary.weight:g}; it must be a percentage from 0 to 100"
        elif abs(canary.weight * 100 - round(canary.weight * 100)) > 1e-6:  # noqa: PLR2004 - floats hold no hundredths
            yield f"the weight of canary {shown(canary.name)} is {canary.weight!r}; it may have two decimals"
    total = sum(canary.weight for canary in route.canaries)
    if total > _WHOLE + 1e-6:
        yield f"the weights of the canaries add up to {total:g} %; 100 is the most"


def _sticky_problems(sticky: Sticky) -> Iterator[str]:
    if bool(sticky.header) == bool(sticky.input):
        yield 'sticky must name one place of the key: {"header": "x-user-id"} or {"input": "user"}'
    if len(sticky.header) > _LONGEST_NAME or not sticky.header.isascii() or not sticky.header.isprintable() or " " in sticky.header:
        yield f"the sticky header {shown(sticky.header)} cannot be the name of a header"
