"""What the tests of the command line share."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from penstock.cli.main import commands
from penstock.domain.start import StartError


@pytest.fixture(name="server")
def _server(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stand in for `penstock.server`: notes what it is asked, then raises `error` or returns `answer`."""

    def call(*arguments: object) -> object:
        fake.asked.append(arguments)
        if fake.error is not None:
            raise fake.error
        return fake.answer

    fake = SimpleNamespace(asked=[], answer=0, error=None, serve=call, check=call, StartError=StartError)
    monkeypatch.setitem(sys.modules, "penstock.server", fake)
    return fake


@pytest.fixture(name="penstock")
def _penstock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Return what runs the command in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def penstock(*arguments: str, env: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(commands, arguments, env=env, prog_name="penstock")

    return penstock
