"""The made-up rollouts of benchmarks/, which no package installs."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

_FILE = Path(__file__).parents[3] / "benchmarks" / "rollout_simulation.py"


@pytest.fixture(scope="session")
def rollouts() -> ModuleType:
    """Return the module that simulates rollouts."""
    spec = importlib.util.spec_from_file_location("rollout_simulation", _FILE)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
