"""What a measurement holds for: another model, machine or engine makes it somebody else's."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.domain.model import ModelVersion
from penstock.domain.schema import ModelSchema
from penstock.execution.cores import usable_cores
from penstock.execution.devices import Device
from penstock.execution.engine import ort
from penstock.execution.machine import hardware_name
from penstock.lifecycle.options import ModelOptions


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The model and where it runs: the key of what is kept about its speed."""

    model: str
    digest: str
    """sha256 over the version's files (hex)."""
    device: str
    provider: str
    engine: str
    """ONNX Runtime's version."""
    hardware: str
    cores: int
    settings: str
    """Hash of the session's and the provider's options."""
    lanes: int = 0
    threads: int = 0
    """Both are 0 where the measurement is about them."""
    shapes: str = ""
    """Datatypes and shapes of the inputs and outputs."""

    def differences(self, other: "Conditions") -> str:
        """Say in which fields the other differs, such as "cores: 4, now 2", where the other is now; "" if it does not."""
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in self.__struct_fields__)
        return "; ".join(f"{name}: {_short(mine)}, now {_short(theirs)}" for name, mine, theirs in pairs if mine != theirs)


def conditions(version: ModelVersion, options: ModelOptions, device: Device) -> Conditions:
    """Return what holds for any lanes and threads of a version on a device of this machine."""
    return Conditions(
        model=version.name,
        digest=version.digest,
        device=str(device),
        provider=device.provider,
        engine=str(ort.__version__),
        hardware=hardware_name(device),
        cores=usable_cores(),
        settings=_hash([options.session_options, options.provider_options.get(device.kind, {}), *_isolation(options)]),
    )


def shapes_of(schema: ModelSchema) -> str:
    """Return names, datatypes and shapes of a schema as one text; equal texts mean models that take and give the same."""
    texts = [f"{spec.name} {spec.datatype.wire}{list(spec.shape)}" for spec in (*schema.inputs, *schema.outputs)]
    # The scheduler counts elements in place of rows then, so that the tables cannot be compared.
    padded = schema.padding is not None and schema.padding.follows is not None
    return "; ".join([*texts, *["padded"] * padded])


def _isolation(options: ModelOptions) -> list[Mapping[str, Any]]:
    """Return what tells apart where runs cost a way to another process."""
    return [] if options.isolation == "thread" else [{"isolation": options.isolation}]


def _hash(value: list[Mapping[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:12]}..."  # noqa: PLR2004 - a digest is longer, a CPU's name mostly not
