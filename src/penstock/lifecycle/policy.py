"""Which versions should be loaded, and the next steps towards that. Pure: snapshots in, steps out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from penstock.lifecycle.states import VersionState

_LATEST: Final = "latest:"
Rule = str | Sequence[str | int]


@dataclass(frozen=True, slots=True)
class Load:
    """Load this version, beside what is there."""

    number: int


@dataclass(frozen=True, slots=True)
class Unload:
    """Drain this version and free it."""

    number: int


Step = Load | Unload


def wanted(
    rule: Rule, available: Collection[int], aliases: Mapping[str, int], failed: Collection[int] = (), routed: Collection[str] = ()
) -> set[int]:
    """Return the versions that should be ready.

    `latest:N` means the N highest that can be served, plus whatever an alias or a route (`routed`) names; versions in `failed` do not
    count, so a broken newest version leaves its predecessor in place. `all` and an explicit list are exact.
    """
    good = sorted(set(available) - set(failed), reverse=True)
    if rule == "all":
        return set(good)
    if isinstance(rule, str):
        return set(good[: int(rule.removeprefix(_LATEST))]) | (named(aliases, routed) & set(good))
    return {_meant(item, aliases) for item in rule} & set(good)


def unfound(rule: Rule, there: Collection[int], aliases: Mapping[str, int]) -> list[str]:
    """Return the items of an explicit list that name no version which is there."""
    return [] if isinstance(rule, str) else [str(item) for item in rule if _meant(item, aliases) not in there]


def named(aliases: Mapping[str, int], routed: Collection[str]) -> set[int]:
    """Return the versions that an alias names, or a route by its number."""
    return {*aliases.values(), *map(_number, routed)}


def held(aliases: Mapping[str, int], listed: Mapping[str, int], ready: Collection[int]) -> set[int]:
    """Return the versions that an alias cannot leave yet, since the one that it is to name is not ready.

    `aliases` are in force, `listed` is what the registry says now.
    """
    return {number for alias, number in aliases.items() if number in ready and listed.get(alias, number) not in ready}


def steps(want: Collection[int], actual: Mapping[int, VersionState], stale: Collection[int] = ()) -> list[Step]:
    """Return what to do next: first load, and only when everything wanted is ready, unload what is no longer wanted.

    `stale` holds versions whose files have changed since they were loaded. Nothing wanted means nothing is known: keep all.
    """
    loads = [number for number in sorted(want) if actual.get(number) is not VersionState.READY or number in stale]
    if loads:
        return [Load(number) for number in loads]
    if not want:
        return []
    return [Unload(number) for number, state in sorted(actual.items()) if number not in want and state is VersionState.READY]


def _meant(item: str | int, aliases: Mapping[str, int]) -> int:
    return aliases.get(str(item), _number(item))


def _number(item: str | int) -> int:
    return int(item) if str(item).isdecimal() else -1
