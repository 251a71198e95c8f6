"""Counts and hashes bytes on their way."""

import hashlib
from collections.abc import Callable, Iterable, Iterator

from penstock.registry.manifest import FileDigest


def digest_of(pieces: Iterable[bytes], progress: Callable[[int], object] = lambda _: None) -> FileDigest:
    """Return size and digest of all the pieces; `progress` hears of the bytes of each."""
    digester = Digester()
    for piece in digester.through(pieces):
        progress(len(piece))
    return digester.found


class Digester:
    """What has passed through so far. For one thread."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._size = 0

    def through(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield each piece once it is counted."""
        for piece in pieces:
            self._sha256.update(piece)
            self._size += len(piece)
            yield piece

    @property
    def found(self) -> FileDigest:
        """Size and digest of all of it."""
        return FileDigest(self._sha256.hexdigest(), self._size)
