"""What a schema promises, held against runs of the model: that rows may share a run, and that padding changes no answer."""

from dataclasses import replace
from typing import Final

from penstock.domain.padding import Padding
from penstock.domain.schema import ModelSchema
from penstock.domain.session import Session
from penstock.execution.padding_probe import UnsafePadding, probe_padding
from penstock.execution.probe import UnsafeBatch, probe_batch
from penstock.lifecycle.options import ModelOptions

_RUN_LIMIT_S: Final = 10.0  # of one synthetic run
_UNPADDED: Final = "pad is refused, only requests of equal shapes run together: {}"


def proven(session: Session, schema: ModelSchema, options: ModelOptions) -> tuple[ModelSchema, str | None]:
    """Return the schema without what probes do not bear out, with a note if the model rejects synthetic input."""
    schema, note = _probed(session, schema)
    if schema.batched and schema.padding and options.batching != "off":
        schema = _padded(session, schema, schema.padding)
    return schema, note


def unproven(schema: ModelSchema) -> tuple[str, ...]:
    """Return what is to be told of a schema that no probe has borne out."""
    return (_UNPADDED.format('warmup is "off", so nothing shows that it changes no answer'),) if schema.padding else ()


def _probed(session: Session, schema: ModelSchema) -> tuple[ModelSchema, str | None]:
    if not schema.batched:
        return schema, None
    try:
        return schema, probe_batch(session, schema, _RUN_LIMIT_S)
    except UnsafeBatch as error:
        return replace(schema, batched=False, notes=(f"served one by one: {error}",)), None


def _padded(session: Session, schema: ModelSchema, padding: Padding) -> ModelSchema:
    """Return the schema with padding that is proven, or with a note that says why none is used."""
    try:
        proven = replace(padding, follows=probe_padding(session, schema, padding, _RUN_LIMIT_S))
    except UnsafePadding as error:
        return replace(schema, notes=(*schema.notes, _UNPADDED.format(error)))
    return replace(schema, padding=proven)
