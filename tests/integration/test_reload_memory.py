"""Loads and unloads give memory back, and so do loads that fail."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np
import onnx
import pytest

SCRIPT: Final = str(Path(__file__).with_name("reload_cycles.py"))
WIDTH: Final = 1024
LAYERS: Final = 4  # of 4 MiB: glibc keeps blocks of that size for itself


@pytest.fixture
def heavy(tmp_path: Path, models: ModuleType) -> Path:
    """Return a directory with a registry of `heavy`, 16 MiB of weights, and `heavy_broken`, as large and refused by the engine."""
    weights = {f"W{layer}": np.full((WIDTH, WIDTH), layer, np.float32) for layer in range(LAYERS)}
    steps = [f"h{layer + 1} = MatMul (h{layer}, W{layer})" for layer in range(LAYERS)]
    text = f"heavy (float[batch,{WIDTH}] h0) => (float[batch,{WIDTH}] h{LAYERS})\n{{\n" + "\n".join(steps) + "\n}"
    path = tmp_path / "registry" / "heavy" / "1" / "model.onnx"
    models.write_graph(text, path, weights)
    broken = onnx.load(path)
    broken.graph.node[-1].attribute.append(onnx.helper.make_attribute("unheard_of", 1))
    models.save(broken, tmp_path / "registry" / "heavy_broken" / "1")
    return tmp_path


def resident(directory: Path, name: str, cycles: int, *flags: str) -> list[float]:
    """Return the resident MiB of a process after each cycle."""
    command = [sys.executable, SCRIPT, str(directory), name, str(cycles), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    seen: list[float] = json.loads(done.stdout)
    return seen


# A layer that is kept in each cycle is 48 MiB after the short run, whose heap may still settle by a tenth of that.
@pytest.mark.parametrize(
    ("settled", "cycles", "growth"), [(8, 20, 1.25), pytest.param(20, 200, 1.05, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
@pytest.mark.parametrize(("name", "flags"), [("heavy", ()), ("heavy_broken", ("broken",))])
def test_memory_comes_back(
    *, heavy: Path, capsys: pytest.CaptureFixture[str], settled: int, cycles: int, growth: float, name: str, flags: tuple[str, ...]
) -> None:
    """What is resident at the end is what was after the first cycles, though each load takes several times the weights."""
    seen = resident(heavy, name, cycles, *flags)
    with capsys.disabled():
        print(
            f"\n{name}: {seen[0]:.0f} MiB after 1 cycle, {seen[settled - 1]:.1f} after {settled}, {seen[-1]:.1f} after {cycles}, at most {max(seen):.1f}"
        )

    # A leak is in all of the last cycles; what a busy machine made the heap keep for a moment is not.
    assert min(seen[-5:]) <= growth * seen[settled - 1]
