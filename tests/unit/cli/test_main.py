"""`penstock` itself."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import click
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


def numbers(command: click.Command, *names: str) -> Iterator[tuple[str, ...]]:
    """Return each option that takes a number in a range, behind the names of its command."""
    for name, below in getattr(command, "commands", {}).items():
        yield from numbers(below, *names, name)
    yield from ((*names, option.opts[0]) for option in command.params if isinstance(option.type, click.FloatRange))


@pytest.mark.parametrize("option", list(numbers(commands)), ids=" ".join)
@pytest.mark.parametrize("value", ["nan", "-nan", "inf", "1e10"])
def test_number_that_is_in_no_range_exits_2(penstock: Penstock, option: tuple[str, ...], value: str) -> None:
    """NaN is neither below a range nor above it; none is without an end, for clocks and calendars have one."""
    result = penstock(*option, value)

    assert result.exit_code == 2
    assert f"Invalid value for '{option[-1]}'" in result.output


def test_help_imports_nothing_heavy() -> None:
    """The help text does not wait for ONNX Runtime, gRPC or numpy."""
    script = "import sys, penstock.cli.main; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert "penstock.cli.main" in loaded
    assert {"onnxruntime", "grpc", "numpy", "starlette", "penstock.server"}.isdisjoint(loaded)
