"""`penstock models verify`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

from penstock.cli.models_registry import Opened, as_json, leave, reference_of, say, version_of, with_registry
from penstock.cli.options import USAGE
from penstock.cli.tables import aligned
from penstock.config.settings import WantedModel
from penstock.domain.errors import PenstockError
from penstock.registry.options import RegistryOptions

if TYPE_CHECKING:
    from penstock.registry.source import ModelListing, VersionListing
    from penstock.registry.verified import VerifiedRegistry


class _Verdict(NamedTuple):
    """What became of one version."""

    version: int
    intact: bool
    digest: str
    signer: str
    problem: str


@click.command()
@click.argument("wanted", metavar="MODEL[@REF|:N]", callback=reference_of)
@click.option(
    "--key",
    "keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PEM",
    multiple=True,
    help="A public key; the version must be signed by one of them. May be repeated.",
)
@as_json
@with_registry
def verify(opened: Opened, wanted: WantedModel, keys: tuple[Path, ...], as_json: bool) -> None:
    """Read every byte of a version, or of all versions of MODEL, and hold it against the manifest.

    With --key, or where registry.signatures is set, the signature too. Each version is copied to the temporary directory
    (TMPDIR) for that, and nothing is loaded into an engine.

    \b
    Exit codes: 0 every version is as it was published; 1 one is not, and why; 2 a mistake in usage, or no registry.

    \b
    Examples:
      penstock models verify fraud --registry ./registry
      penstock models verify fraud:3 --key release.pub.pem --json
    """
    model = opened.model(wanted.name)
    versions = [version_of(model, wanted.reference)] if wanted.reference else [found for _, found in sorted(model.versions.items())]
    options = _options(opened.settings.registry, keys)
    try:
        with opened.fresh(options) as registry:
            verdicts = [_verdict(registry, model, version) for version in versions]
    except ValueError as error:
        leave(str(error), USAGE)
    _tell(model.name, verdicts, as_json)
    sys.exit(0 if all(verdict.intact for verdict in verdicts) else 1)


def _options(options: RegistryOptions, keys: tuple[Path, ...]) -> RegistryOptions:
    options = msgspec.structs.replace(options, require_manifest=True)
    return msgspec.structs.replace(options, signatures="enforce", trusted_keys=list(map(str, keys))) if keys else options


def _verdict(registry: "VerifiedRegistry", model: "ModelListing", version: "VersionListing") -> _Verdict:
    try:
        artifact = registry.open(model, version)
    except PenstockError as error:
        return _Verdict(version.number, intact=False, digest="", signer="", problem=error.message)
    artifact.close()
    return _Verdict(version.number, intact=True, digest=artifact.version.digest, signer=artifact.signer, problem="")


def _tell(model: str, verdicts: list[_Verdict], as_json: bool) -> None:
    if as_json:
        say({"model": model, "versions": [verdict._asdict() for verdict in verdicts]})
        return
    rows = [
        (str(verdict.version), "intact" if verdict.intact else "REFUSED", verdict.signer[:23] or "-", verdict.problem)
        for verdict in verdicts
    ]
    for line in aligned(("VERSION", "FILES", "SIGNER", "PROBLEM"), rows):
        click.echo(line)
