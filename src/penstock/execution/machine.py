"""What the hardware behind a device is called, so that measurements are not taken for those of another machine."""

import platform
from pathlib import Path
from typing import Final

from penstock.execution.devices import Device

_CPUS: Final = Path("/proc/cpuinfo")
_GPUS: Final = Path("/proc/driver/nvidia/gpus")


def hardware_name(device: Device, cpus: Path = _CPUS, gpus: Path = _GPUS) -> str:
    """Return the model of the CPU, or of the GPUs that the driver lists; the architecture where neither is told."""
    if device.kind == "cpu":
        return _first(cpus, "model name") or platform.machine()
    names = {_first(path, "Model") for path in gpus.glob("*/information")}
    return ", ".join(sorted(filter(None, names))) or platform.machine()


def _first(path: Path, name: str) -> str:
    """Return the value of the first line `name : value`, or "" if there is none."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    fields = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in fields if key.strip() == name), "")
