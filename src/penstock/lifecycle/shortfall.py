"""What is wanted of a model and the registry does not have, in words. Pure."""

from collections.abc import Collection
from difflib import get_close_matches

from penstock.lifecycle import policy
from penstock.lifecycle.policy import Rule
from penstock.registry.source import ModelListing


def lost(named: Collection[int], listing: ModelListing, ready: Collection[int]) -> str:
    """Tell which versions that aliases and routes name are gone and serve on, "" if none."""
    gone = ", ".join(map(str, sorted((set(named) & set(ready)) - listing.versions.keys())))
    return f"version {gone} is gone from the registry; it serves on as long as an alias or a route names it" if gone else ""


def unfound(rule: Rule, listing: ModelListing, ready: Collection[int]) -> str:
    """Tell which items of an explicit list name no version that is there, and what is; "" if all do."""
    items = policy.unfound(rule, {*listing.versions, *ready}, listing.aliases)
    there = [*map(str, sorted(listing.versions)), *(f"{alias} -> {number}" for alias, number in sorted(listing.aliases.items()))]
    return f"the registry has no version {' or '.join(items)} of it; it has: {', '.join(there) or 'none'}" if items else ""


def unknown(configured: Collection[str], there: Collection[str]) -> list[str]:
    """Tell of each model that the settings name and the registry does not have, with the name that was probably meant."""
    return [_unknown(name, there) for name in sorted(set(configured) - set(there))]


def _unknown(name: str, there: Collection[str]) -> str:
    nearest = [f"; did you mean {near!r}?" for near in get_close_matches(name, there, 1)]
    return f"the settings name the model {name!r}, but the registry does not have it{''.join(nearest)}"
