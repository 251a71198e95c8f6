"""One model's options, from all the places that may set them."""

import difflib
from collections.abc import Mapping

import msgspec

from penstock.domain.errors import LoadRefused
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.rules import broken_rules


def resolve_options(defaults: ModelOptions, *layers: Mapping[str, object]) -> ModelOptions:
    """Return the options that the defaults and the layers give together, a later layer winning key by key.

    So it is within `payloads`, `feedback` and `monitoring` too: who sets a sample must not undo what others have said of redaction.

    Raises `LoadRefused` that names the key if a value does not fit.
    """
    merged: dict[str, object] = msgspec.to_builtins(defaults)
    for layer in layers:
        within = [_within(key, merged, layer) for key in ("payloads", "feedback", "monitoring")]
        merged.update({**layer, **within[0], **within[1], **within[2]})
    for key in merged:
        _check_known(key)
    try:
        options = msgspec.convert(merged, ModelOptions)
    except msgspec.ValidationError as error:
        raise LoadRefused(f"the model's settings are not valid: {error}") from error
    if problems := list(broken_rules(options)):
        raise LoadRefused(f"the model's settings are not valid: {'; '.join(problems)}")
    return options


def _within(key: str, merged: Mapping[str, object], layer: Mapping[str, object]) -> dict[str, object]:
    return {key: _together(merged.get(key), layer[key])} if key in layer else {}


def _together(there: object, given: object) -> object:
    if not (isinstance(there, dict) and isinstance(given, dict)):
        return given
    return there | {key: _together(there.get(key), value) for key, value in given.items()}


def _check_known(key: str) -> None:
    known = ModelOptions.__struct_fields__
    if key not in known:
        nearest = difflib.get_close_matches(key, known, n=1, cutoff=0)
        raise LoadRefused(f"the model's settings have an unknown key {key!r}; did you mean {nearest[0]!r}?")
