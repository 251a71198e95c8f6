"""How many runs of a version go on at once, and how many threads each may use."""

from penstock.execution.cores import usable_cores
from penstock.execution.devices import Device
from penstock.execution.sweep import Layout
from penstock.lifecycle.options import ModelOptions


def layout_of(options: ModelOptions, device: Device) -> Layout:
    """Return what the options say, or share the usable cores out among two lanes; a GPU runs one batch at a time."""
    if device.kind != "cpu":
        return Layout(_or(options.lanes, 1), _or(options.threads, 1))
    cores = usable_cores()
    lanes = _or(options.lanes, min(2, cores))
    return Layout(lanes, _or(options.threads, max(1, cores // lanes)))


def _or(said: int | str, default: int) -> int:
    return said if isinstance(said, int) else default
