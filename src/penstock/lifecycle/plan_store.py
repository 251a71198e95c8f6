"""Plans of versions that `penstock tune` has made, and their place among the settings."""

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from penstock.domain.model import ModelVersion
from penstock.execution.devices import parse_device
from penstock.lifecycle.conditions import Conditions, conditions
from penstock.lifecycle.kept_files import KeptFiles
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.plan import Plan

_log = logging.getLogger(__name__)
_MOST_VERSIONS: Final = 64
_UNSET: Final = ModelOptions()
_LAYOUT: Final = {"lanes", "threads"}


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file."""

    conditions: Conditions
    plan: Plan


class PlanStore:
    """The plans in `<state directory>/plans/<model>/<version>.json`. Blocks."""

    def __init__(self, state_dir: Path) -> None:
        self._directory = state_dir / "plans"

    def settings(self, version: ModelVersion, options: ModelOptions, said: Sequence[Mapping[str, object]]) -> dict[str, Any]:
        """Return the settings that the version's plan decides, none if it has no plan; raises `LoadRefused` for an unknown device.

        `said` are the settings of the model itself, each of which is stronger than a plan.
        """
        if len(options.devices) != 1:
            return {}
        plan = self.find(version, conditions(version, options, parse_device(options.devices[0])))
        return tuned(options, plan, {key for layer in said for key, value in layer.items() if value != "auto"}) if plan else {}

    def find(self, version: ModelVersion, conditions: Conditions) -> Plan | None:
        """Return the version's plan, or None if there is none that was measured under these conditions; never raises."""
        try:
            entry = self._files(version).read(_name(version))
        except ValueError as error:
            _log.debug("the plan of %s is ignored: %s", version, error)
            return None
        if entry is None:
            return None
        if differences := entry.conditions.differences(conditions):
            _log.info("the plan of %s is ignored, run penstock tune again: it was made for %s", version, differences)
            return None
        return entry.plan

    def keep(self, version: ModelVersion, conditions: Conditions, plan: Plan) -> Path:
        """Keep a plan in place of an earlier one; returns its file. Raises `OSError` if the state directory cannot be written."""
        files = self._files(version)
        files.write(_name(version), _Entry(conditions, plan))
        return files.directory / _name(version)

    def _files(self, version: ModelVersion) -> KeptFiles[_Entry]:
        return KeptFiles(self._directory / version.name, _Entry, _MOST_VERSIONS)


def tuned(options: ModelOptions, plan: Plan, said: Collection[str]) -> dict[str, Any]:
    """Return the settings that a plan decides: those left at their defaults, and not among what a model's own files `said`."""
    planned = msgspec.structs.asdict(plan)
    left = {key for key in planned if key not in said and getattr(options, key) == getattr(_UNSET, key)}
    if any(getattr(options, key) != planned[key] for key in _LAYOUT - left):
        left -= _LAYOUT  # threads were measured with so many lanes, and lanes with so many threads
    return {key: value for key, value in planned.items() if key in left}


def _name(version: ModelVersion) -> str:
    return f"{version.version}.json"
