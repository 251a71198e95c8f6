"""What the columns of a model's tensors are called, by the first who says so: its settings, its lineage, MLflow."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from penstock.domain.errors import BadArtifact, LoadRefused
from penstock.domain.model import ModelArtifact
from penstock.domain.names import shown
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import TensorSpec
from penstock.registry.mlflow_model import MAX_MLMODEL_BYTES, MLMODEL, signature_of

LINEAGE: Final = "columns"
"""The key of the lineage that names the columns of a model's only input; `columns.X` names those of the tensor X. Commas between names."""
Columns = Mapping[str, Sequence[str]]


def apply_columns(schema: ModelSchema, said: Columns, artifact: ModelArtifact) -> ModelSchema:
    """Return the schema with the names of columns.

    What the settings say has to fit, since rules of redaction depend on it: raises `LoadRefused`. What others say is not
    used where it does not fit, and a note tells so.
    """
    for name, columns in said.items():
        if problem := _problem(schema, name, columns):
            raise LoadRefused(f"columns.{name}: {problem}")
    try:
        signed, notes = _signed(schema, artifact), list[str]()
    except BadArtifact as error:
        signed, notes = {}, [str(error)]
    told = {**signed, **_traced(schema, artifact.lineage)}
    misfits = {name: problem for name, columns in told.items() if name not in said and (problem := _problem(schema, name, columns))}
    named = {name: columns for name, columns in told.items() if name not in misfits} | dict(said)
    notes += [f"the names of the columns of {shown(name)} are not used: {problem}" for name, problem in misfits.items()]
    return replace(with_columns(schema, named), notes=(*schema.notes, *notes))


def with_columns(schema: ModelSchema, named: Columns) -> ModelSchema:
    """Return the schema with these names of columns, fitting or not."""
    inputs, outputs = (tuple(_with_columns(spec, named) for spec in specs) for specs in (schema.inputs, schema.outputs))
    return replace(schema, inputs=inputs, outputs=outputs)


def _with_columns(spec: TensorSpec, named: Columns) -> TensorSpec:
    return replace(spec, columns=tuple(named[spec.name])) if spec.name in named else spec


def _problem(schema: ModelSchema, name: str, columns: Sequence[str]) -> str:
    spec = schema.input_named.get(name) or schema.output_named.get(name)
    if spec is None:
        return f"the model has no input or output {shown(name)}; it has {', '.join(map(shown, schema.input_named | schema.output_named))}"
    if not spec.has_columns:
        return f"its shape is {list(spec.shape)}, which has rows and no columns"
    if spec.shape[-1] not in (-1, len(columns)):
        return f"there are {len(columns)} names for {spec.shape[-1]} columns"
    if twice := next((column for column, count in Counter(columns).items() if count > 1 or not column), None):
        return f"the column {shown(twice)} is named twice"
    return "" if columns and all(columns) else "every column needs a name"


def _traced(schema: ModelSchema, lineage: Mapping[str, str]) -> dict[str, list[str]]:
    told = {key.removeprefix(f"{LINEAGE}."): _names(text) for key, text in lineage.items() if key.startswith(f"{LINEAGE}.")}
    if LINEAGE in lineage and len(schema.inputs) == 1:
        told.setdefault(schema.inputs[0].name, _names(lineage[LINEAGE]))
    return told


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _signed(schema: ModelSchema, artifact: ModelArtifact) -> dict[str, list[str]]:
    """Return what MLflow's signature says of a model whose only input is a table: the columns that it was logged with.

    Raises `BadArtifact` for one that is there and cannot be read.
    """
    path = artifact.path.with_name(MLMODEL)
    try:
        with path.open("rb") as file:
            signature = signature_of(file.read(MAX_MLMODEL_BYTES))
    except OSError:
        return {}
    sides = ((schema.inputs, signature.inputs), (schema.outputs, signature.outputs))
    return {specs[0].name: names for specs, names in sides if len(specs) == 1 and names and specs[0].has_columns}
