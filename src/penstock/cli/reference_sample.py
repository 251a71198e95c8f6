"""From a sample in a file to the reference of a version."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from penstock.cli.sample_file import columns_in, inputs_in
from penstock.domain.errors import BadArtifact
from penstock.domain.names import shown
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import Array, Tensor
from penstock.lifecycle.options import ModelOptions
from penstock.monitoring.columns import Columns, sides_of
from penstock.monitoring.reference import MOST_BYTES, Reference, VersionReference
from penstock.monitoring.sample import reference_of_sample

_MOST_NAMED: Final = 5
_ANSWERED: Final = "what the outputs should look like is what the model itself answers to the sample"
Run = Callable[[Mapping[str, Array]], Mapping[str, Array]]
"""Has the model answer rows of its inputs; returns its outputs by name."""


class SampleReference(NamedTuple):
    """A reference, and what is to be told of it."""

    content: bytes
    """The text of `reference.json`."""
    features: int
    rows: int
    notes: tuple[str, ...]
    """What will not be watched, and why."""


def reference_from(path: Path, schema: ModelSchema, options: ModelOptions, run: Run) -> SampleReference:
    """Return the reference of a model by a sample: recorded payloads, or a table with a column for each feature.

    The schema has the names of columns, by which rules of redaction may call them.

    Where a table has all inputs and no output, the model is asked. Raises `BadArtifact` for a file that cannot be read, or that tells
    nothing of the model, and what `run` raises.
    """
    sides, notes = sides_of(schema, options.monitoring, options.payloads.redact), list[str]()
    notes += [f"{name} is not watched: {why}" for name, why in sides.unwatched.items()]
    try:
        inputs, mute_inputs = reference_of_sample(columns_in(path, "inputs", sides.inputs))
        told = columns_in(path, "outputs", sides.outputs)
        if not told and (answered := _answered(path, schema, sides.outputs, run)):
            told, notes = answered, [*notes, _ANSWERED]
        outputs, mute_outputs = reference_of_sample(told)
    except (ValueError, OSError) as error:
        raise BadArtifact(f"the sample {path.name} cannot be used: {error}") from error
    notes += [*_silent(inputs, sides.inputs, mute_inputs), *_silent(outputs, sides.outputs, mute_outputs)]
    return _told(path, VersionReference(inputs=inputs, outputs=outputs), [*sides.inputs.names, *sides.outputs.names], notes)


def checked(path: Path | None) -> None:
    """Raise `BadArtifact` for a file that is no reference; None is fine."""
    if path is None:
        return
    try:
        VersionReference.decode(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadArtifact(f"{path.name} cannot be published: {error}") from error


def _answered(path: Path, schema: ModelSchema, columns: Columns, run: Run) -> dict[str, Array]:
    inputs = inputs_in(path, schema.inputs) if columns.specs else {}
    if not inputs:
        return {}
    outputs = run(inputs)
    block = columns.block([[Tensor(spec.name, spec.datatype, outputs[spec.name]) for spec in columns.specs]])
    return columns.named(block) if block else {}


def _told(path: Path, reference: VersionReference, names: list[str], notes: list[str]) -> SampleReference:
    features = [feature for side in (reference.inputs, reference.outputs) if side is not None for feature in side.features]
    if not features:
        raise BadArtifact(f"the sample {path.name} says nothing of the model; its columns are to be called {_listed(names)}")
    content = reference.encode()
    if len(content) > MOST_BYTES:
        raise BadArtifact(f"the reference has {len(content)} bytes, more than {MOST_BYTES}; name fewer inputs in monitoring.inputs")
    return SampleReference(content, len(features), max(each.rows + each.missing for each in features), tuple(notes))


def _silent(reference: Reference | None, columns: Columns, mute: Mapping[str, str]) -> Iterator[str]:
    known = set() if reference is None else {feature.name for feature in reference.features}
    yield from (f"{shown(name)} is not watched: {why}" for name, why in mute.items())
    if absent := [name for name in columns.names if name not in known and name not in mute]:
        yield f"{_listed(absent)}: not in the sample, so not watched"


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(map(shown, names[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")
