"""Versions that an alias has left, kept loaded so that there is a quick way back."""


class KeptWarm:
    """For each alias of a model the version that it named last, and until when that stays loaded.

    One for each alias: however often an alias moves, it holds the memory of no more than its way back.
    """

    def __init__(self) -> None:
        self._left: dict[str, tuple[int, float]] = {}

    def leave(self, alias: str, number: int, until_s: float) -> None:
        """Keep a version until that moment of the caller's clock, in place of the one that the alias had left before."""
        self._left[alias] = number, until_s

    def numbers(self, now_s: float) -> set[int]:
        """Return the versions that are still kept, and forget the others."""
        self._left = {alias: (number, until_s) for alias, (number, until_s) in self._left.items() if until_s > now_s}
        return {number for number, _ in self._left.values()}

    def next_end_s(self) -> float | None:
        """Return when the next of them is given up, None if there is none."""
        return min((until_s for _, until_s in self._left.values()), default=None)
