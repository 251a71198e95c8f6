"""What a version that answers is made of, as an info series."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from penstock.telemetry.family import MODEL, Family, Samples

MOST_ALIASES: Final = 16

VERSION_INFO: Final = Family(
    "penstock_version_info",
    "info",
    (*MODEL, "digest", "aliases"),
    "The bytes and the aliases of a ready version; join it on model and version.",
)


class Provenance(NamedTuple):
    """Which bytes answer for a version, and by which aliases it is asked for."""

    model: str
    version: str
    digest: str
    aliases: Sequence[str]


def provenance_samples(versions: Iterable[Provenance]) -> Samples:
    """Return one sample for each version; of more than `MOST_ALIASES` aliases the rest is counted, so that a label stays short."""
    for model, version, digest, aliases in versions:
        more = len(aliases) - MOST_ALIASES
        names = [*aliases[:MOST_ALIASES], *([f"+{more}"] if more > 0 else [])]
        yield [model, version, digest, ",".join(names)], 1
