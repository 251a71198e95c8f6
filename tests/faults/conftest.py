"""Servers that things are done to, one for as many faults as it can stand."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the modules beside this one, whatever pytest's import mode
sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))

from serving import Serving


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, models: ModuleType) -> Path:
    """The model that every server here is asked, one with two versions, and one whose runs take 300 ms."""
    root = tmp_path_factory.mktemp("registry")
    models.write_configured_model(root, "id_fp32", models.identity("id_fp32", "float", "batch,n"), 8)
    for number in "12":
        models.save(models.parse(models.identity("twice", "float", "batch,2")), root / "twice" / number)
    models.write_slow(root)
    (root / "slow" / "model.toml").write_text('warmup = "off"\n')
    return root


@pytest.fixture
def serving(registry: Path, tmp_path: Path) -> Iterator[Serving]:
    """A server that the test starts, and may end as it likes."""
    serving = Serving(registry, tmp_path)
    yield serving
    serving.kill()
    for client in ("client", "admin", "channel"):
        if hasattr(serving, client):
            getattr(serving, client).close()


@pytest.fixture
def figure() -> Callable[..., float]:
    """Return what reads a sample of the metrics: by its name and labels, 0 if it is not there."""
    return read_figure


def read_figure(serving: Serving, start: str) -> float:
    """Return the sample that begins so."""
    lines = serving.admin.get("/metrics").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(start)), 0.0)
