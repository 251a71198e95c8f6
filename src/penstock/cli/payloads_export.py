"""`penstock payloads export`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from penstock.cli.models_registry import as_json, leave, say
from penstock.cli.options import USAGE
from penstock.cli.payloads_files import Recorded, with_recorded
from penstock.cli.payloads_query import NEEDED

_FORMS: Final = {"csv": "CSV", "pandas": "PARQUET", "evidently": "PARQUET"}
_NUMBERS: Final = frozenset({"BIGINT", "UBIGINT", "HUGEINT", "DOUBLE"})


@click.command()
@click.option("--for", "reader", type=click.Choice(sorted(_FORMS)), required=True, help="Who reads it: decides on the form.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
@as_json
@with_recorded
def export(recorded: Recorded, reader: str, output: Path, as_json: bool) -> None:
    """Write what is recorded as one table with a column for each feature, as far as its file is sealed.

    csv is text; pandas is Parquet, for pandas.read_parquet; evidently is the same with a file beside it, FILE.definition.json, that tells
    which columns are what: DataDefinition(**json.load(...)).

    \b
    Examples:
      penstock payloads export fraud --version 3 --for csv --output fraud.csv
      penstock payloads export fraud --for evidently --output fraud.parquet
    """
    try:
        from penstock.payloads import duck  # noqa: PLC0415 - an extra, and slow to import where it is not needed
    except ImportError:
        leave(NEEDED, USAGE)
    try:
        kinds = duck.write_table(_flat(recorded), output, _FORMS[reader])
    except duck.Error as error:
        leave(f"{output} cannot be written: {error}", 1)
    if not kinds:
        leave(f"nothing is recorded in finished files of {recorded.root}; a file is finished after payloads.rotate_s", 1)
    if reader == "evidently":
        output.with_name(f"{output.name}.definition.json").write_text(json.dumps(definition(kinds), indent=2))
    if as_json:
        say({"file": str(output), "columns": kinds})
    else:
        click.echo(f"{output}: {len(kinds)} columns")


def definition(kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return which columns are what, by the names of Evidently's `DataDefinition`.

    Predictions are features like the others: what they mean, a class or a number, only their model's owner knows.
    """
    from penstock.payloads.flat import PLAIN, ROW  # noqa: PLC0415 - numpy takes a while to import; --help needs none

    features = {name: kind for name, kind in kinds.items() if name not in PLAIN and name != ROW}
    return {
        "id_column": "request_id",
        "timestamp": "timestamp",
        "numerical_columns": sorted(name for name, kind in features.items() if kind in _NUMBERS),
        "categorical_columns": sorted(name for name, kind in features.items() if _is_class(name, kind)),
        "text_columns": sorted(name for name, kind in features.items() if kind == "VARCHAR" and not _is_class(name, kind)),
    }


def _is_class(name: str, kind: str) -> bool:
    """Tell whether a column holds one of few values: a truth, or a text that a model has answered, which is a label."""
    from penstock.payloads.flat import OUTPUT  # noqa: PLC0415 - as above

    return kind == "BOOLEAN" or (kind == "VARCHAR" and name.startswith(OUTPUT))


def _flat(recorded: Recorded) -> Iterator[dict[str, Any]]:
    from penstock.payloads.flat import flat_rows  # noqa: PLC0415 - as above
    from penstock.payloads.reading import rows_of  # noqa: PLC0415 - as above

    for path in recorded.sealed:
        for row in rows_of(path):
            yield from flat_rows(row)
