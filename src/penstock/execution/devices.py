"""Devices that a model may run on, and ONNX Runtime's providers for them."""

import io
import re
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from typing import Final

from penstock.domain.errors import LoadRefused
from penstock.execution.engine import ort

PROVIDER_OF: Final[dict[str, str]] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
KIND_OF: Final[dict[str, str]] = {provider: kind for kind, provider in PROVIDER_OF.items()}
_DEVICE: Final = re.compile(r"(cpu)|(cuda|tensorrt):([0-9]{1,3})")

Options = Mapping[str, Mapping[str, str | int | bool]]


@dataclass(frozen=True, slots=True)
class Device:
    """One place where sessions run."""

    kind: str
    index: int = 0

    def __str__(self) -> str:
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.index}"

    @property
    def provider(self) -> str:
        """The execution provider that stands for the device."""
        return PROVIDER_OF[self.kind]

    def providers(self, options: Options) -> list[tuple[str, dict[str, str]]]:
        """Return the providers to ask for, in order of preference, each with its options.

        A TensorRT device lists CUDA behind it, for the nodes that TensorRT does not take.
        """
        kinds = {"cpu": ["cpu"], "cuda": ["cuda"], "tensorrt": ["tensorrt", "cuda"]}[self.kind]
        return [(PROVIDER_OF[kind], self._options(kind, options)) for kind in kinds]

    def _options(self, kind: str, options: Options) -> dict[str, str]:
        own = {} if kind == "cpu" else {"device_id": str(self.index)}
        return own | {name: _text(value) for name, value in options.get(kind, {}).items()}


def parse_device(text: str) -> Device:
    """Return the device named, or raise `LoadRefused` if the name is malformed or the device's provider is not installed."""
    found = _DEVICE.fullmatch(text)
    if found is None:
        raise LoadRefused(f"the device {text!r} is not known; use 'cpu', 'cuda:<number>' or 'tensorrt:<number>'")
    device = Device("cpu") if found[1] else Device(found[2], int(found[3]))
    if device.provider not in ort.get_available_providers():
        raise LoadRefused(
            f"the device {text!r} needs ONNX Runtime's {device.provider}, which is not installed here (installed: "
            f"{', '.join(ort.get_available_providers())}); install penstock[gpu] in place of penstock[cpu], with NVIDIA's CUDA"
            f"{' and TensorRT' if device.kind == 'tensorrt' else ''} libraries"
        )
    return device


@cache
def missing_libraries() -> str:
    """Load NVIDIA's libraries, from their wheels if those are installed, else from the system; returns what is said of the missing ones.

    ONNX Runtime finds those of the wheels only in a process that has loaded them already.
    """
    said = io.StringIO()
    with redirect_stdout(said):
        ort.preload_dlls()
    return "; ".join(line for line in said.getvalue().splitlines() if line.startswith("Failed"))


def _text(value: str | int | bool) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
