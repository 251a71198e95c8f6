"""Which versions have all their files, as far as one can tell from outside."""

from time import monotonic

from penstock.registry.source import Fingerprint, Snapshot


class Settled:
    """Remembers the last look at the registry, to compare it with the next."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], Fingerprint] = {}
        self._looked_at = monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since the last look."""
        return monotonic() - self._looked_at

    def look(self, snapshot: Snapshot) -> dict[str, set[int]]:
        """Return the versions by model whose files are settled: complete by a manifest, or equal in two looks."""
        if not snapshot.stale:
            self._looked_at = monotonic()
        settled: dict[str, set[int]] = {}
        seen: dict[tuple[str, int], Fingerprint] = {}
        for name, listing in snapshot.models.items():
            for number, version in listing.versions.items():
                seen[name, number] = version.fingerprint
                if version.complete or self._seen.get((name, number)) == version.fingerprint:
                    settled.setdefault(name, set()).add(number)
        self._seen = seen
        return settled
