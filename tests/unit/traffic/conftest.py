"""What tests use of benchmarks/, which no package installs."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

_FOLDER = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(scope="session")
def rollouts() -> ModuleType:
    """Return the module that simulates rollouts."""
    return _loaded("rollout_simulation")


@pytest.fixture(scope="session")
def bound() -> ModuleType:
    """Return the module that judges figures."""
    return _loaded("bound")


def _loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, _FOLDER / f"{name}.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
