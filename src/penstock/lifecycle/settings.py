"""One model's options, from all the places that may set them."""

import difflib
from collections.abc import Mapping

import msgspec

from penstock.domain.errors import LoadRefused
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.rules import broken_rules


def resolve_options(defaults: ModelOptions, *layers: Mapping[str, object]) -> ModelOptions:
    """Return the options that the defaults and the layers give together, a later layer winning key by key.

    Raises `LoadRefused` that names the key if a value does not fit.
    """
    merged: dict[str, object] = msgspec.to_builtins(defaults)
    for layer in layers:
        merged.update(layer)
    for key in merged:
        _check_known(key)
    try:
        options = msgspec.convert(merged, ModelOptions)
    except msgspec.ValidationError as error:
        raise LoadRefused(f"the model's settings are not valid: {error}") from error
    if problems := list(broken_rules(options)):
        raise LoadRefused(f"the model's settings are not valid: {'; '.join(problems)}")
    return options


def _check_known(key: str) -> None:
    known = ModelOptions.__struct_fields__
    if key not in known:
        nearest = difflib.get_close_matches(key, known, n=1, cutoff=0)
        raise LoadRefused(f"the model's settings have an unknown key {key!r}; did you mean {nearest[0]!r}?")
