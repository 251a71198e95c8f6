"""The scripts under tests/ that stand alone, as modules."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

TESTS: Final = Path(__file__).parents[1] / "tests"


def loaded(path: Path) -> ModuleType:
    """Return the module in a file that imports nothing of ours."""
    spec = importlib.util.spec_from_file_location(f"loaded_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
