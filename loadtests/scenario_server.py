"""The server of a scenario, in a process of its own on free ports."""

import importlib.util
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Final, Protocol

from scenario import Scenario

ROOT: Final = Path(__file__).parents[1]
_EXAMPLES: Final = ROOT / "examples" / "registry"
# A few milliseconds. One run of one row at a time: what the server can do is the same on many cores.
_BUSY_ROUNDS: Final = 400
_ONE_AT_A_TIME: Final = "instance_group [ { count: 1 kind: KIND_CPU } ]"


class Server(Protocol):
    """What a scenario needs to know of its server."""

    http: str
    """Host and port."""
    grpc: str

    def ledger(self) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str, str]]]:
        """Return the predictions received by (protocol, model), and their ends by (protocol, model, outcome)."""

    def metrics(self) -> str:
        """Return the metrics page; raises `OSError` if the server does not answer."""

    def last_words(self) -> str:
        """Return the end of the server's log."""


@contextmanager
def serving(scenario: Scenario) -> Iterator[Server]:
    """Serve what the scenario asks for, as long as the context lasts."""
    processes = _file("server_process", ROOT / "tests" / "clients" / "server_process.py")
    with tempfile.TemporaryDirectory(prefix="penstock-load-") as directory:
        home = Path(directory)
        registry = _built(scenario.models, home / "registry") if scenario.models else _EXAMPLES
        with processes.running(registry, home, *scenario.settings) as server:
            yield server


def _built(models: tuple[str, ...], registry: Path) -> Path:
    """Return a registry of models that are made here. Raises `ValueError` for one that nobody can make."""
    build = _file("build_models", ROOT / "tests" / "models" / "build.py")
    for model in models:
        match model:
            case "busy":
                graph = build.SLOW.replace("ROUNDS", str(_BUSY_ROUNDS)).replace("ONES", ", ".join(["1.0"] * 256))
                build.write_configured_model(registry, model, graph, 1, _ONE_AT_A_TIME)
            case "image":
                build.write_configured_model(registry, model, build.identity(model, "float", "batch,3,224,224"), 8)
            case _:
                raise ValueError(f"no model {model!r} is made for load tests; there are 'busy' and 'image'")
    return registry


def _file(name: str, path: Path) -> ModuleType:
    """Return the module in a file that stands alone."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
