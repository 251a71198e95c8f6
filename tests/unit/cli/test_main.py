"""`penstock` itself."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from click.testing import Result

from penstock import __version__
from penstock.cli.main import commands

Penstock = Callable[..., Result]


def test_version_is_the_packages(penstock: Penstock) -> None:
    """The version printed is the version of the package."""
    assert penstock("--version").output == f"penstock, version {__version__}\n"


@pytest.mark.parametrize("command", [(), *((name,) for name in commands.commands)], ids=" ".join)
def test_help_has_an_example(penstock: Penstock, command: tuple[str, ...]) -> None:
    """Every command shows how it is called."""
    result = penstock(*command, "--help")

    assert result.exit_code == 0
    assert "Example" in result.output
    assert " ".join(["\n    penstock", *command]) in result.output


@pytest.mark.parametrize("arguments", [("srve",), ("serve", "--prt", "1"), ("check", "now")])
def test_unknown_command_option_or_argument_exits_2(penstock: Penstock, arguments: tuple[str, ...]) -> None:
    """A mistake in usage has an exit code of its own."""
    assert penstock(*arguments).exit_code == 2


def test_help_imports_nothing_heavy() -> None:
    """The help text does not wait for ONNX Runtime, gRPC or numpy."""
    script = "import sys, penstock.cli.main; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert "penstock.cli.main" in loaded
    assert {"onnxruntime", "grpc", "numpy", "starlette", "penstock.server"}.isdisjoint(loaded)
