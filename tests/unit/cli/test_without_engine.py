"""What is asked of an installation without ONNX Runtime, as `pip install penstock` makes it."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples" / "registry"
MAIN = "import sys; sys.modules['onnxruntime'] = None; from penstock.cli.main import main; main()"


def penstock(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run a command where the package is not there."""
    return subprocess.run([sys.executable, "-c", MAIN, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", [["serve"], ["models", "show", "iris:1"]], ids=" ".join)
def test_command_that_runs_models_says_what_to_install(command: list[str]) -> None:
    """In one line: there is a package for the CPU and one for GPUs, and nobody else can choose."""
    done = penstock(*command, "--registry", EXAMPLES)

    assert done.returncode == 2
    assert done.stderr == "this needs ONNX Runtime: pip install 'penstock[cpu]', or 'penstock[gpu]' for NVIDIA's GPUs\n"


def test_command_that_runs_none_works() -> None:
    """So that the machine that publishes aliases needs no engine."""
    done = penstock("models", "list", "--registry", EXAMPLES)

    assert (done.returncode, done.stderr) == (0, "")
    assert "iris" in done.stdout
