"""Whether the versions of a route can stand in for each other."""

from penstock.domain.names import shown
from penstock.domain.route import Route
from penstock.domain.schema import ModelSchema
from penstock.lifecycle.catalog import ServedModel


def misfit(model: ServedModel, route: Route) -> str:
    """Return why a route cannot work between these versions, all of which are ready; "" if it can.

    Callers do not know which arm they get, so each canary must take what the stable version takes.
    """
    stable = model.ready(route.stable)
    if stable is None:
        return f"version {route.stable} is not ready"
    for canary in route.canaries:
        version = model.ready(canary.version)
        if version is not None and (problem := _differs(version.schema, stable.schema)):
            return f"canary {canary.name!r}, version {canary.version}, does not take what the stable version takes: {problem}"
    return _unfit_key(route, stable.schema)


def _differs(one: ModelSchema, other: ModelSchema) -> str:
    for spec in other.inputs:
        found = one.input_named.get(spec.name)
        if found is None:
            return f"it has no input {shown(spec.name)}"
        if found.datatype is not spec.datatype:
            return f"its input {shown(spec.name)} is {found.datatype.wire}, not {spec.datatype.wire}"
    extra = [name for name in one.required if name not in other.input_named]
    return f"it needs the further input {shown(extra[0])}" if extra else ""


def _unfit_key(route: Route, schema: ModelSchema) -> str:
    if route.sticky is None or not route.sticky.input:
        return ""
    spec = schema.input_named.get(route.sticky.input)
    if spec is None:
        return f"the model has no input {shown(route.sticky.input)}, which the sticky key is to be read from"
    if spec.datatype.wire != "BYTES" and "INT" not in spec.datatype.wire:
        return f"the sticky input {shown(spec.name)} is {spec.datatype.wire}; a key is read from BYTES or integers"
    return ""
