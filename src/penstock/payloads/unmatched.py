"""Names in the settings that nothing has: misspelt, or left over."""

from collections.abc import Iterable, Iterator

from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import TensorSpec
from penstock.payloads.columns import is_named
from penstock.payloads.options import RecordingOptions
from penstock.payloads.rules import ALL


def unmatched(options: RecordingOptions, schemas: Iterable[ModelSchema]) -> list[str]:
    """Return the names in rules of redaction and of `keep`, and of the subject, that no version has as an input, output or column."""
    schemas = list(schemas)
    inputs = [spec for schema in schemas for spec in schema.inputs]
    outputs = [spec for schema in schemas for spec in schema.outputs]
    return sorted(set(_missing(options, inputs, outputs)))


def _missing(options: RecordingOptions, inputs: list[TensorSpec], outputs: list[TensorSpec]) -> Iterator[str]:
    yield from (name for name in options.redact if name != ALL and not _has(name, inputs + outputs))
    yield from (rule.output for rule in options.keep if not _has(rule.output, outputs))
    if options.subject is not None and options.subject.input and not _has(options.subject.input, inputs):
        yield options.subject.input


def _has(name: str, specs: list[TensorSpec]) -> bool:
    return any(is_named(name, spec) for spec in specs)
