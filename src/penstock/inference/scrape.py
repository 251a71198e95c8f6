"""What a scrape of the metrics reads from the house."""

from collections.abc import Iterator

from penstock.inference.ledger import Ledger
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.version import ServedVersion
from penstock.telemetry.metrics import ServerView, VersionView


def server_view(ledger: Ledger, *, registry_age_s: float, log_lines_dropped: int) -> ServerView:
    """Return what is counted for the server as a whole."""
    outcomes = {(protocol, model, str(outcome)): n for (protocol, model, outcome), n in ledger.outcomes.items()}
    return ServerView(ledger.received, outcomes, ledger.unversioned, registry_age_s, log_lines_dropped)


def version_views(catalog: Catalog) -> Iterator[VersionView]:
    """Yield what is counted for each version."""
    return map(_view, catalog.versions())


def _view(version: ServedVersion) -> VersionView:
    identity = version.identity
    if not version.ready:
        return VersionView(identity.name, identity.version, version.statistics)
    scheduler = version.batcher.scheduler
    return VersionView(
        identity.name,
        identity.version,
        version.statistics,
        ready=True,
        waiting=scheduler.waiting_jobs,
        running=scheduler.running,
        load_s=version.load_s,
        provider=",".join(version.readiness.options.devices),
        digest=identity.digest,
    )
