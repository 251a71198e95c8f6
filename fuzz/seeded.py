"""Cases without a coverage-guided engine: what was kept, changed at random, the same ones for the same seed."""

from collections.abc import Iterator
from random import Random
from typing import Final

from target import Target

_POOL: Final = 2_000
_LONGEST_KEPT: Final = 1_000
"""Bytes: long ones would crowd the others out, since most changes lengthen."""
_KEPT_IF_TAKEN: Final = 0.2
_KEPT_IF_REFUSED: Final = 0.01


class Cases:
    """Yields what was kept, then changes of it; a case may be the change of an earlier one, so that changes add up."""

    def __init__(self, target: Target, seed: int) -> None:
        self._target = target
        self._rng = Random(f"{target.name}-{seed}")
        self._pool = list(target.corpus)

    def __iter__(self) -> Iterator[bytes]:
        yield from self._target.corpus
        while True:
            yield self._target.mutate(self._rng.choice(self._pool), self._rng)

    def judged(self, data: bytes, *, taken: bool) -> None:
        """Hear what became of a case: what was taken is worth more changes than what was refused."""
        if len(data) > _LONGEST_KEPT or self._rng.random() >= (_KEPT_IF_TAKEN if taken else _KEPT_IF_REFUSED):
            return
        if len(self._pool) < _POOL:
            self._pool.append(data)
        else:
            self._pool[self._rng.randrange(len(self._target.corpus), _POOL)] = data
