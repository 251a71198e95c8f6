"""`penstock models reference`."""

from pathlib import Path

import click

from penstock.cli.models_registry import Opened, as_json, reference_of, say, with_registry
from penstock.config.settings import WantedModel
from penstock.domain.errors import LoadRefused

SAMPLE = click.Path(exists=True, dir_okay=False, path_type=Path)
"""The type of an option that names a sample."""


@click.command()
@click.argument("wanted", metavar="MODEL[@REF|:N]", callback=reference_of)
@click.option("--from", "sample", type=SAMPLE, required=True, help="A sample from when all was well: .jsonl, .parquet or .csv.")
@as_json
@with_registry
def reference(opened: Opened, wanted: WantedModel, sample: Path, as_json: bool) -> None:
    """Give a version the reference that its inputs and outputs are compared with, to see drift.

    The sample is recorded payloads (.jsonl), or a table (.parquet, .csv) with a column for each feature: `age` for an input of one
    number, `X.0`, `X.1` for one of several, `prediction.Y.0` for outputs; so does penstock payloads export write them. What is kept of it
    are counts between 15 edges for each feature, not its rows. Servers see the file and load the version again.

    The file reference.json lies beside the version and may be replaced. The manifest of a version does not change by it; one that was
    published with a reference keeps that one.

    \b
    Examples:
      penstock models reference fraud:3 --from training.parquet --registry ./registry
      penstock models reference fraud@champion --from payloads.jsonl
    """
    from penstock.cli.models_facts import facts_of  # noqa: PLC0415 - the registry takes a while to import; --help needs none
    from penstock.cli.reference_sample import reference_from  # noqa: PLC0415 - as above
    from penstock.domain.schema import ModelSchema  # noqa: PLC0415 - as above
    from penstock.lifecycle.settings import resolve_options  # noqa: PLC0415 - as above
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
    options = resolve_options(settings.defaults, model.settings, version.settings, settings.models.get(model.name, {}))
    found = reference_from(sample, ModelSchema(facts.manifest.inputs, facts.manifest.outputs, batched=True), options)
    publisher.replace(model.name, version.number, REFERENCE, found.content)
    if as_json:
        told = {"features": found.features, "rows": found.rows, "notes": list(found.notes)}
        say({"model": model.name, "version": version.number, **told})
        return
    click.echo(f"{model.name}/{version.number} has a reference of {found.features} features, from {found.rows} rows")
    for note in found.notes:
        click.echo(f"note: {note}")
