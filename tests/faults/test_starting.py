"""F10, F11, F26: servers that cannot start say why with exit code 2, before anything else is begun."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Start = Callable[..., "subprocess.CompletedProcess[str]"]
PORTS = ("http", "grpc", "admin")


@pytest.fixture
def start(registry: Path, tmp_path: Path) -> Start:
    """Return what runs the command to its end, with flags of its own; all ports are free ones unless they are named."""

    def run(*flags: object) -> "subprocess.CompletedProcess[str]":
        free = [part for name in PORTS for part in (f"--{name}-port", 0) if f"--{name}-port" not in flags]
        command = [Path(sys.executable).with_name("penstock"), "serve", "--registry", registry, *free, *flags]
        command += ["--set", f"server.state_dir={tmp_path / 'state'}"]
        return subprocess.run(list(map(str, command)), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize("name", ["http", pytest.param("grpc", marks=pytest.mark.slow), pytest.param("admin", marks=pytest.mark.slow)])
def test_port_that_is_taken_is_named(start: Start, taken: int, name: str) -> None:
    """F10: with the flag that chooses another; no model was loaded, and no ready file written."""
    result = start(f"--{name}-port", taken, "--ready-file", "ready.json")

    assert result.returncode == 2
    assert f":{taken}" in result.stderr
    assert f"choose another with --{name}-port" in result.stderr
    assert "is ready" not in result.stderr
    assert "Traceback" not in result.stderr


def test_ready_file_that_has_no_place_is_named(start: Start) -> None:
    """Before anything is loaded for it."""
    result = start("--ready-file", "nowhere/ready.json")

    assert result.returncode == 2
    assert "nowhere/ready.json cannot be written" in result.stderr
    assert "is ready" not in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("text", ["[http\n", "[http]\nmax_bodies = 1\n", None], ids=["no-toml", "unknown-key", "missing"])
def test_settings_that_cannot_be_used_are_named(start: Start, tmp_path: Path, text: str | None) -> None:
    """F11: the file, and in it the key."""
    path = tmp_path / "odd.toml"
    if text is not None:
        path.write_text(text)

    result = start("--config", path)

    assert result.returncode == 2
    assert "odd.toml" in result.stderr
    assert text is None or "max_bodies" not in text or "max_bodies" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_directory_of_payloads_that_cannot_be_made_is_named(start: Start, tmp_path: Path) -> None:
    """F26: where anything is to be recorded; one that is only missing is made."""
    (tmp_path / "file").touch()

    result = start("--set", "defaults.payloads.sample=1.0", "--set", f"payloads.dir={tmp_path / 'file' / 'payloads'}")

    assert result.returncode == 2
    assert "payloads.dir" in result.stderr
    assert "Traceback" not in result.stderr
