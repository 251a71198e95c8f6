"""What tests in any directory use: the scripts under tests/ that stand alone, as modules."""

import importlib.util
import os
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

import hypothesis
import pytest

TESTS: Final = Path(__file__).parent

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would every command that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# An environment that keeps no bytecode has every process that a test starts compile all of Penstock anew: half of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# How long an example takes is the machine's business.
hypothesis.settings.register_profile("penstock", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("penstock")


def load(path: Path) -> ModuleType:
    """Return the module in a file that stands alone."""
    spec = importlib.util.spec_from_file_location(f"loaded_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def models() -> ModuleType:
    """Return the builders of the fixture models."""
    return load(TESTS / "models" / "build.py")


@pytest.fixture(scope="session")
def broken() -> ModuleType:
    """Return the builders of the models that must not become ready."""
    return load(TESTS / "models" / "broken.py")


@pytest.fixture(scope="session")
def server_process() -> ModuleType:
    """Return the module that starts servers."""
    return load(TESTS / "clients" / "server_process.py")
