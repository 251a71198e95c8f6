"""The latest word on each model of the registry."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from penstock.registry.aliases import moved
from penstock.registry.source import ModelListing


class Listings:
    """What looks at the registry have found, and what this server has changed there since.

    A look takes time, and an alias may be moved meanwhile: what the look has found of that model is then the older word.
    """

    def __init__(self) -> None:
        self._listings: dict[str, ModelListing] = {}
        self._turns: dict[str, int] = {}
        self._turn = 0
        self._moving: set[str] = set()

    def __contains__(self, name: object) -> bool:
        return name in self._listings

    def __getitem__(self, name: str) -> ModelListing:
        return self._listings[name]

    def begin_look(self) -> int:
        """Return the turn of a look that begins now; give it to `hear` with what the look finds."""
        self._turn += 1
        return self._turn

    def hear(self, listing: ModelListing, turn: int) -> None:
        """Take in what a look has found, unless something newer is known of the model."""
        if turn > self._turns.get(listing.name, 0):
            if listing.name in self._moving:
                listing = replace(listing, aliases=self[listing.name].aliases)
            self._listings[listing.name] = listing
            self._turns[listing.name] = turn

    def hear_aliases(self, listing: ModelListing, turn: int) -> bool:
        """Take in the aliases alone, for whoever is working with the rest; tells whether they are news."""
        known = self._listings.get(listing.name)
        if known is None or listing.problem or listing.name in self._moving or turn <= self._turns[listing.name]:
            return False
        self._listings[listing.name] = replace(known, aliases=listing.aliases)
        self._turns[listing.name] = turn
        return True

    @contextlib.contextmanager
    def moving(self, name: str) -> Iterator[None]:
        """Keep the aliases for as long as this server moves one of them in the registry; a look must have found the model.

        A look that ends in between may have seen the move, and would be taken for the word of somebody else.
        """
        self._moving.add(name)
        try:
            yield
        finally:
            self._moving.discard(name)

    def alias_moved(self, name: str, alias: str, number: int | None) -> None:
        """Take in that this server has moved an alias in the registry, or removed it with None; a look must have found the model."""
        listing = self._listings[name]
        self._turn += 1
        self._turns[name] = self._turn
        self._listings[name] = replace(listing, aliases=moved(listing.aliases, alias, number))
