"""What `penstock check` finds when everything has been loaded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from penstock.domain.names import shown
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.states import VersionState
from penstock.lifecycle.version import ServedVersion
from penstock.payloads.unmatched import unmatched


class VersionSummary(NamedTuple):
    """One row."""

    model: str
    version: str
    state: VersionState
    reason: str
    load_s: float
    tuned: Mapping[str, object]
    """Settings that a plan of `penstock tune` decided."""

    @classmethod
    def of(cls, version: ServedVersion) -> Self:
        """Return the row of a version."""
        identity = version.identity
        tuned = version.readiness.tuned if version.ready else {}
        return cls(identity.name, identity.version, version.state, version.reason, version.load_s, tuned)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Problems and versions of all models."""

    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    """What is no reason not to serve, and probably not what was meant."""
    versions: tuple[VersionSummary, ...]

    @classmethod
    def of(cls, catalog: Catalog, warnings: Sequence[str] = ()) -> Self:
        """Return what there is to tell of a catalog whose start is over, beside the warnings that are known."""
        rows = tuple(map(VersionSummary.of, catalog.versions()))
        problems = [f"{model.name}: {model.problem}" for model in catalog if model.problem]
        problems += [f"{row.model}/{row.version}: {row.reason}" for row in rows if row.state is VersionState.FAILED]
        return cls(tuple(problems), (*warnings, *_warnings(catalog)), rows)


def _warnings(catalog: Catalog) -> Iterator[str]:
    """Yield the names in rules that a version does not have: what they were to keep back may be recorded of it under another name."""
    for version in catalog.versions():
        names = unmatched(version.readiness.options.payloads, [version.schema]) if version.ready else []
        if names:
            yield f"{version.identity}: payloads names what the version does not have: {', '.join(map(shown, names))}"
