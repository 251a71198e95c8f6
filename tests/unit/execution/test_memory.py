"""When the C heap keeps what is freed, and when it gives it back."""

import ctypes
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from penstock.execution import memory
from penstock.execution.memory import machine_bytes, settle_heap, thrifty

MIB = 1024**2


class Glibc:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []

    def mallopt(self, parameter: int, value: int) -> None:
        """Take a threshold."""
        self.told.append(("mallopt", parameter, value // MIB or value))

    def malloc_trim(self, pad: int) -> None:
        """Give back."""
        self.told.append(("trim", pad, 0))


@pytest.fixture
def glibc(monkeypatch: pytest.MonkeyPatch) -> Glibc:
    """A heap that nobody has told anything yet."""
    heap, library = memory._Heap(), Glibc()
    heap._glibc = library  # type: ignore[assignment]
    monkeypatch.setattr(memory, "_HEAP", heap)
    return library


def test_heap_keeps_little_while_a_version_comes_or_goes(glibc: Glibc) -> None:
    """And much again when the last of them has; each gives back at its end."""
    settle_heap()
    with thrifty():
        with thrifty():
            pass
        glibc.told.append(("between", 0, 0))

    assert glibc.told == [
        ("mallopt", -8, 1), ("mallopt", -3, 32), ("mallopt", -1, 64),
        ("mallopt", -1, 1), ("mallopt", -1, 1), ("trim", 0, 0), ("mallopt", -1, 1),
        ("between", 0, 0), ("trim", 0, 0), ("mallopt", -1, 64),
    ]  # fmt: skip


def test_heap_of_somebody_else_keeps_its_thresholds(glibc: Glibc) -> None:
    """A library does not decide for the process that embeds it; it gives back what it has used."""
    with thrifty():
        pass

    assert glibc.told == [("trim", 0, 0)]


def test_context_ends_with_an_error(glibc: Glibc) -> None:
    """A load that fails leaves no thrift behind."""
    settle_heap()
    with pytest.raises(ValueError, match="no graph"), thrifty():
        raise ValueError("no graph")

    assert glibc.told[-1] == ("mallopt", -1, 64)


def test_other_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As musl, which has neither of the functions."""
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    heap = memory._Heap()
    heap.settle()
    with heap.thrifty():
        pass


def resident() -> int:
    """Return the process's resident MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // MIB


def test_what_a_thread_has_freed_comes_back() -> None:
    """For real: 256 MiB in blocks of 4 MiB, taken on one thread and freed on another."""
    blocks: list[np.ndarray[tuple[int], np.dtype[np.uint8]]] = []

    def on_a_thread(work: object) -> None:
        thread = threading.Thread(target=work)  # type: ignore[arg-type]
        thread.start()
        thread.join()

    def free() -> None:
        with thrifty():
            blocks.clear()

    before = resident()
    on_a_thread(lambda: blocks.extend(np.ones(4 * MIB, np.uint8) for _ in range(64)))
    held = resident()
    on_a_thread(free)

    assert held - before > 200
    assert resident() - before < 30


@pytest.mark.parametrize(
    ("name", "text", "limited"),
    [
        ("memory.max", "1048576\n", True),
        ("unit/memory.max", "1048576\n", True),
        ("memory.max", "max\n", False),
        ("memory/memory.limit_in_bytes", "1048576", True),
        ("memory/unit/memory.limit_in_bytes", "1048576", True),
        ("other", "", False),
    ],
)
def test_memory_of_the_machine_is_that_of_a_control_group_if_less(tmp_path: Path, name: str, text: str, *, limited: bool) -> None:
    """Both generations of control groups are read, its own and those above; without a limit it is the machine's."""
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    (tmp_path / "own").write_text("4:memory:/unit\n0::/unit\n")

    memory = machine_bytes(tmp_path, tmp_path / "own")

    assert (memory == 1048576) is limited
    assert memory >= 1048576


_THREADS = """
import ctypes, sys, threading
from penstock.execution.memory import settle_heap

libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p
if sys.argv[1] == "settled":
    settle_heap()
ready = threading.Barrier(4)

def take():
    ready.wait()
    libc.malloc(4096)
    ready.wait()

threads = [threading.Thread(target=take) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""


@pytest.mark.parametrize(("settled", "one"), [("settled", True), ("as-it-is", False)])
def test_threads_share_a_heap_in_a_process_that_serves(settled: str, one: bool) -> None:
    """What one thread frees can be used by all others; without that each thread has a heap of its own."""
    if not hasattr(ctypes.CDLL(None), "malloc_info"):
        pytest.skip("another C library")
    told = subprocess.run([sys.executable, "-c", _THREADS, settled], check=True, stdout=subprocess.PIPE, text=True).stdout

    assert (told.count("<heap nr=") == 1) is one
