"""`penstock models reference`."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli.models_registry import Opened, as_json, reference_of, say, with_registry
from penstock.cli.options import DAY_S, Number
from penstock.config.settings import WantedModel
from penstock.domain.errors import LoadRefused

if TYPE_CHECKING:
    from penstock.domain.schema import ModelSchema
    from penstock.domain.tensor import Array
    from penstock.lifecycle.options import ModelOptions
    from penstock.registry.source import ModelListing, VersionListing

SAMPLE = click.Path(exists=True, dir_okay=False, path_type=Path)
"""The type of an option that names a sample."""


@click.command()
@click.argument("wanted", metavar="MODEL[@REF|:N]", callback=reference_of)
@click.option("--from", "sample", type=SAMPLE, required=True, help="A sample from when all was well: .jsonl, .parquet or .csv.")
@click.option("--timeout", type=Number(1, DAY_S), default=300, show_default=True, help="Seconds in which the version must answer it.")
@as_json
@with_registry
def reference(opened: Opened, wanted: WantedModel, sample: Path, timeout: float, as_json: bool) -> None:
    """Give a version the reference that its inputs and outputs are compared with, to see drift.

    The sample is recorded payloads (.jsonl), or a table (.parquet, .csv) with a column for each feature: `age` for an input
    of one number, `X.0`, `X.1` for one of several, `prediction.Y.0` for outputs; so does penstock payloads export write them.
    To a table without outputs the version gives its own answers. What is kept of a sample are counts between edges, not its
    rows. Servers see the file and load the version again.

    The file reference.json lies beside the version and may be replaced. The manifest of a version does not change by it; one
    that was published with a reference keeps that one.

    \b
    Examples:
      penstock models reference fraud:3 --from training.parquet --registry ./registry
      penstock models reference fraud@champion --from payloads.jsonl
    """
    from penstock.cli.models_facts import facts_of  # noqa: PLC0415 - the registry takes a while to import; --help needs none
    from penstock.cli.reference_sample import reference_from  # noqa: PLC0415 - as above
    from penstock.domain.schema import ModelSchema  # noqa: PLC0415 - as above
    from penstock.lifecycle.trial import options_of  # noqa: PLC0415 - as above
    from penstock.registry.manifest import REFERENCE  # noqa: PLC0415 - as above
    from penstock.registry.publishers import publisher_of  # noqa: PLC0415 - as above

    publisher = publisher_of(opened.source)
    model, version = opened.version(wanted)
    facts, settings = facts_of(opened, model, version), opened.settings
    if version.complete and REFERENCE in facts.manifest.files:
        raise LoadRefused(
            f"{model.name}/{version.number} was published with a reference, which its manifest vouches for; publish the model again with "
            "--reference to have another"
        )
    options = options_of(settings.defaults, model.settings, version.settings, settings.models.get(model.name, {}))
    schema, run = (
        ModelSchema(facts.manifest.inputs, facts.manifest.outputs, batched=True),
        partial(_answers, opened, model, version, options, limit_s=timeout),
    )
    found = reference_from(sample, _named(opened, model, version, schema, options), options, run)
    publisher.replace(model.name, version.number, REFERENCE, found.content)
    if as_json:
        told = {"features": found.features, "rows": found.rows, "notes": list(found.notes)}
        say({"model": model.name, "version": version.number, **told})
        return
    click.echo(f"{model.name}/{version.number} has a reference of {found.features} features, from {found.rows} rows")
    for note in found.notes:
        click.echo(f"note: {note}")


def _named(
    opened: Opened, model: "ModelListing", version: "VersionListing", schema: "ModelSchema", options: "ModelOptions"
) -> "ModelSchema":
    """Return the schema with the names of columns that a server gives them; raises `BadArtifact`, `LoadRefused`."""
    from penstock.lifecycle.columns import apply_columns  # noqa: PLC0415 - the registry takes a while to import; --help needs none
    from penstock.registry.options import RegistryOptions  # noqa: PLC0415 - as above

    with opened.fresh(RegistryOptions()) as registry:
        artifact = registry.open(model, version)
        try:
            return apply_columns(schema, options.columns, artifact)
        finally:
            artifact.close()


def _answers(
    opened: Opened,
    model: "ModelListing",
    version: "VersionListing",
    options: "ModelOptions",
    inputs: Mapping[str, "Array"],
    *,
    limit_s: float,
) -> "dict[str, Array]":
    """Return what the version answers, in a process of its own; raises `BadArtifact`, `LoadRefused` or `ModelFailed`."""
    from penstock.lifecycle.trial import answers  # noqa: PLC0415 - the registry takes a while to import; --help needs none
    from penstock.registry.options import RegistryOptions  # noqa: PLC0415 - as above

    with opened.fresh(RegistryOptions()) as registry:
        artifact = registry.open(model, version)
        try:
            return answers(artifact.path, model, options, inputs, limit_s)
        finally:
            artifact.close()
