"""Names in the settings that nothing has: misspelt, or left over."""

from collections.abc import Iterable, Iterator

from penstock.domain.schema import ModelSchema
from penstock.payloads.columns import names_in
from penstock.payloads.options import RecordingOptions
from penstock.payloads.rules import ALL


def unmatched(options: RecordingOptions, schemas: Iterable[ModelSchema]) -> list[str]:
    """Return the names in rules of redaction and of `keep`, and of the subject, that no version has as an input, output or column."""
    schemas = list(schemas)
    inputs = {name for schema in schemas for spec in schema.inputs for name in names_in(spec)}
    outputs = {name for schema in schemas for spec in schema.outputs for name in names_in(spec)}
    return sorted(set(_missing(options, inputs, outputs)))


def _missing(options: RecordingOptions, inputs: set[str], outputs: set[str]) -> Iterator[str]:
    yield from options.redact.keys() - {ALL} - inputs - outputs
    yield from {rule.output for rule in options.keep} - outputs
    if options.subject is not None and options.subject.input:
        yield from {options.subject.input} - inputs
