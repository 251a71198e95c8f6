"""A control group below the tests' own, which a server is put into: version 1, where each controller has a tree."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

_ROOT: Final = Path("/sys/fs/cgroup")


class ControlGroup:
    """One group of one controller."""

    def __init__(self, controller: str) -> None:
        """Make it; skips the test where that is not allowed, or groups are of version 2."""
        own = next((line.split(":") for line in Path("/proc/self/cgroup").read_text().splitlines() if f":{controller}:" in line), None)
        if own is None:
            pytest.skip(f"no control groups of version 1 for {controller} here")
        self.path = _ROOT / controller / own[2].lstrip("/") / f"penstock-{os.getpid()}"
        try:
            self.path.mkdir()
        except OSError as error:
            pytest.skip(f"this process may make no control groups: {error.strerror}")

    def set(self, name: str, value: int) -> None:
        """Write a limit."""
        (self.path / name).write_text(str(value))

    def get(self, name: str) -> int:
        """Read a figure."""
        return int((self.path / name).read_text())

    @property
    def procs(self) -> Path:
        """What a process writes its number to."""
        return self.path / "cgroup.procs"

    def remove(self) -> None:
        """Remove it; everybody in it has to have ended."""
        self.path.rmdir()


@contextlib.contextmanager
def hog(group: ControlGroup, size: int) -> Iterator[None]:
    """Run a process in the group that holds so many bytes for as long as the context lasts."""
    script = f"import sys; open({str(group.procs)!r}, 'w').write('0'); held = bytearray({size}); held[::4096] = b'x' * len(held[::4096])"
    command = [sys.executable, "-c", f"{script}; print('held', flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"held\n"
        yield
        process.stdin.close()
