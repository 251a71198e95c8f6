"""Independent streams of random numbers, one per source, so that a policy cannot change what arrives."""

import zlib
from typing import Final

import numpy as np

_SOURCES: Final = ("arrivals", "rows", "classes", "lengths", "cancels", "poison", "service", "policy")


class Streams:
    """The generators of one run, spawned from a seed and the name of what is drawn."""

    def __init__(self, name: str, seed: int) -> None:
        root = np.random.SeedSequence([zlib.crc32(name.encode()), seed])
        self._children: Final = dict(zip(_SOURCES, root.spawn(len(_SOURCES)), strict=True))

    def __getitem__(self, source: str) -> np.random.Generator:
        """Return the generator of one source, at its beginning."""
        return np.random.Generator(np.random.PCG64(self._children[source]))
