"""One model's options, from all the places that may set them."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from penstock.domain.errors import LoadRefused
from penstock.domain.names import shown
from penstock.lifecycle.options import ModelOptions

# A model.toml does not pass through `config`, which checks the operator's own settings.
_COUNTS: Final = ("max_batch_rows", "lanes", "threads", "queue_rows", "queue_bytes")
_RULE: Final = re.compile(r"all|latest:[1-9][0-9]{0,8}")


def resolve_options(defaults: ModelOptions, *layers: Mapping[str, object]) -> ModelOptions:
    """Return the options that the defaults and the layers give together, a later layer winning key by key.

    Raises `LoadRefused` that names the key if a value does not fit.
    """
    merged: dict[str, object] = msgspec.to_builtins(defaults)
    for layer in layers:
        merged.update(layer)
    try:
        options = msgspec.convert(merged, ModelOptions)
    except msgspec.ValidationError as error:
        raise LoadRefused(f"the model's settings are not valid: {error}") from error
    if problem := _problem(options):
        raise LoadRefused(f"the model's settings are not valid: {problem}")
    return options


def _problem(options: ModelOptions) -> str:
    for key in _COUNTS:
        value = getattr(options, key)
        if value != "auto" and value < 1:
            return f"{key} is {value}; use a whole number from 1"
    if isinstance(options.versions, str) and _RULE.fullmatch(options.versions) is None:
        return f'versions is {shown(options.versions)}; use "latest:N" with N from 1, "all", or a list of numbers and aliases'
    return "" if options.devices else 'devices is empty; use ["cpu"]'
