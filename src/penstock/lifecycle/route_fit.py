"""Whether the versions of a route can stand in for each other."""

from penstock.domain.names import shown
from penstock.domain.route import Route
from penstock.domain.schema import ModelSchema
from penstock.lifecycle.catalog import ServedModel


def misfit(model: ServedModel, route: Route) -> str:
    """Return why a route cannot work between these versions, all of which are ready; "" if it can.

    Callers do not know which arm they get, so each canary must take what the stable version takes, and give what it gives.
    """
    stable = model.ready(route.stable)
    if stable is None:
        return f"version {route.stable} is not ready"
    for canary in route.canaries:
        version = model.ready(canary.version)
        if version is not None and (problem := _differs(version.schema, stable.schema)):
            return f"canary {canary.name!r}, version {canary.version}, cannot stand in for the stable version: {problem}"
    return _unfit_key(route, stable.schema)


def _differs(one: ModelSchema, other: ModelSchema) -> str:
    pairs = [("input", spec, one.input_named.get(spec.name)) for spec in other.inputs]
    pairs += [("output", spec, one.output_named.get(spec.name)) for spec in other.outputs]
    for what, spec, found in pairs:
        if found is None:
            return f"it has no {what} {shown(spec.name)}"
        if found.datatype is not spec.datatype:
            return f"its {what} {shown(spec.name)} is {found.datatype.wire}, not {spec.datatype.wire}"
        if what == "input" and not _may_agree(found.shape, spec.shape):
            return f"its input {shown(spec.name)} has the shape {list(found.shape)}, not {list(spec.shape)}"
    extra = [name for name in one.required if name not in other.input_named]
    return f"it needs the further input {shown(extra[0])}" if extra else ""


def _may_agree(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Tell whether a tensor can have both shapes; -1 stands for any length."""
    return len(one) == len(other) and all(mine == its or -1 in (mine, its) for mine, its in zip(one, other, strict=True))


def _unfit_key(route: Route, schema: ModelSchema) -> str:
    if route.sticky is None or not route.sticky.input:
        return ""
    spec = schema.input_named.get(route.sticky.input)
    if spec is None:
        return f"the model has no input {shown(route.sticky.input)}, which the sticky key is to be read from"
    if spec.datatype.wire != "BYTES" and "INT" not in spec.datatype.wire:
        return f"the sticky input {shown(spec.name)} is {spec.datatype.wire}; a key is read from BYTES or integers"
    return ""
