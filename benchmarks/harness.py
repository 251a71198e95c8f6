"""What the benchmarks share: cores, a server of ours in a process of its own, its CPU time, and rows of results."""

import contextlib
import importlib.util
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from penstock.server import made_of

ROOT: Final = Path(__file__).parents[1]
CONNECTIONS: Final = 32
ROUNDS: Final = 3
ROUND_S: Final = 3.0
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PACKAGES: Final = ("onnxruntime", "grpcio", "uvicorn", "uvloop", "numpy")
# Servers are started elsewhere, where a relative path would lead to nothing, and leave them interpreted.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(path).absolute()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
)


class Row(NamedTuple):
    """One figure, and what it may be at most (or at least, for a rate)."""

    what: str
    measured: float
    unit: str
    budget: float | None = None
    beside: str = ""
    """The figure in words that put it beside others of the same run."""
    at_least: bool = False

    @property
    def within(self) -> bool:
        """Whether the budget is kept; a figure without one always keeps it."""
        if self.budget is None:
            return True
        return self.measured >= self.budget if self.at_least else self.measured <= self.budget


class Load(NamedTuple):
    """What a generator saw while it asked for some seconds."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float


class Cost(NamedTuple):
    """What a load cost the process that answered it."""

    cpu_us: float
    per_s: float
    p50_us: float
    p99_us: float

    def __str__(self) -> str:
        return f"{self.per_s:,.0f}/s, p50 {self.p50_us / 1000:.2f} ms, p99 {self.p99_us / 1000:.2f} ms"


class Server(NamedTuple):
    """The server under measurement, and the model that it serves."""

    pid: int
    http: str
    grpc: str
    model: Path


def cores() -> tuple[int, int]:
    """Return the core of the server and that of the generator: the same one if the process may use no other."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Keep this thread on one core, and with it the processes that it starts meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def serving(core: int, write_model: Callable[[Path], Path], *settings: str, **options: Any) -> Iterator[Server]:  # noqa: ANN401 - of `running`
    """Serve a model from a process on one core; settings that are not given as `key=value` have their defaults."""
    processes = load_file("server_process", ROOT / "tests" / "clients" / "server_process.py")
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        model = write_model(directory / "models")
        with pinned(core):
            running = stack.enter_context(processes.running(directory / "models", directory, *settings, **options))
        yield Server(running.process.pid, running.http, running.grpc, model)


def serving_mlp(core: int, *settings: str, **options: Any) -> contextlib.AbstractContextManager[Server]:  # noqa: ANN401
    """Serve the 64-128-10 perceptron."""
    return serving(core, _write_mlp, *settings, **options)


def _write_mlp(registry: Path) -> Path:
    load_file("build", ROOT / "tests" / "models" / "build.py").write_mlp(registry)
    return registry / "mlp" / "1" / "model.onnx"


@contextlib.contextmanager
def echoing(core: int, model: Path | None = None) -> Iterator[Server]:
    """Run the baseline of HTTP on one core; see `http_echo.py`."""
    command = [sys.executable, str(Path(__file__).with_name("http_echo.py")), *([str(model)] if model else [])]
    with pinned(core), subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None, "asked for"
            yield Server(process.pid, f"127.0.0.1:{int(process.stdout.readline())}", "", model or Path())
        finally:
            process.terminate()


def load_file(name: str, path: Path) -> ModuleType:
    """Import a file that is in no package, once."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def cpu_s(pid: int) -> float:
    """Return the CPU seconds, user and system, that all threads of a process have used."""
    # The name of the program, in brackets, may hold blanks.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024


def cost(pid: int, generate: Callable[[float], Load]) -> Cost:
    """Return what one round of a load costs the process."""
    before = cpu_s(pid)
    load = generate(ROUND_S)
    used = cpu_s(pid) - before
    return Cost(used / load.requests * 1e6, load.requests / load.seconds, load.p50_us, load.p99_us)


def median(costs: list[Cost]) -> Cost:
    """Return the median of each figure over the rounds."""
    return Cost(*map(statistics.median, zip(*costs, strict=True)))


def example_row() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the input of every request: 64 seeded floats."""
    return np.random.default_rng(11).normal(size=(1, 64)).astype(np.float32)


def environment() -> str:
    """Return one line about the machine and the versions."""
    cpu = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    packages = ", ".join([f"penstock {version('penstock')} {made_of()}", *[f"{name} {version(name)}" for name in _PACKAGES]])
    machine = f"{cpu}, {len(os.sched_getaffinity(0))} cores (load average {os.getloadavg()[0]:.1f} before)"
    return f"{machine}, Linux {platform.release()}, Python {platform.python_version()}, {packages}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
