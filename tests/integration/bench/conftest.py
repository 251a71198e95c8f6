"""What the tests of `penstock bench` share: stand-in servers in processes of their own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("stand_in.py")

StandIn = Callable[..., str]


@pytest.fixture(name="stand_in")
def _stand_in() -> Iterator[StandIn]:
    """Return what starts a stand-in and returns its address."""
    with ExitStack() as stack:

        def start(answer_ms: float = 1, stall_ms: float = 0, every_s: float = 0, status: int = 200) -> str:
            command = [sys.executable, str(SCRIPT), *map(str, (answer_ms, stall_ms, every_s, status))]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            assert process.stdout is not None
            start.pid = process.pid
            return f"127.0.0.1:{process.stdout.readline().strip()}"

        yield start
