"""Whether what is loaded is what lies in the registry."""

from penstock.lifecycle.catalog import ServedModel
from penstock.lifecycle.version import ServedVersion
from penstock.registry.source import VersionListing


def is_stale(model: ServedModel, found: VersionListing | None) -> bool:
    """Tell whether a version serves whose files have changed since it was loaded."""
    return found is not None and model.is_ready(found.number) and not is_unchanged(model.versions[found.number], found)


def is_unchanged(version: ServedVersion, found: VersionListing | None) -> bool:
    """Tell whether the files are those that the version was, or was to be, loaded from; those that are gone count as such."""
    return found is None or version.fingerprint == found.fingerprint
