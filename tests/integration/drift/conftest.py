"""A server that watches some models for drift, and a registry that tests may add to."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the module beside this one, whatever pytest's import mode

from drift_site import FEATURES, Site, rows_of

from penstock.monitoring.reference import VersionReference, reference_of

LIVE = '[monitoring]\ndrift = "live"\nreference_rows = 1000\nwindow_rows = 500\n'
NAMES = [f"X.{place}" for place in range(FEATURES)]
PRIVATE = '[payloads.redact]\nX = "drop"\n'


@pytest.fixture(scope="package")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with a column for each input feature, and one for the output."""
    rows = rows_of(1, 2000)
    table = [",".join([*NAMES, "prediction.Y"])]
    table += [",".join(map(repr, [*map(float, row), float(row.sum())])) for row in rows]
    path = tmp_path_factory.mktemp("sample") / "sample.csv"
    path.write_text("\n".join(table))
    return path


@pytest.fixture(scope="package")
def registry(tmp_path_factory: pytest.TempPathFactory, models: ModuleType) -> Path:
    """`published` came with a reference, `gathered` and `private` gather theirs, the others have none."""
    root, rows = tmp_path_factory.mktemp("registry"), rows_of(1, 2000)
    factors = {"published": [1.0], "later": [1.0], "gathered": [1.0], "private": [1.0], "same": [1.0, 1.0], "shifted": [1.0, 3.0]}
    for name, each in factors.items():
        models.write_watched(root, name, *each)
    sides = {"inputs": reference_of(NAMES, rows), "outputs": reference_of(["prediction.Y"], rows.sum(axis=1, keepdims=True))}
    (root / "published" / "1" / "reference.json").write_bytes(VersionReference(**sides).encode())
    for name in ("gathered", "private"):
        (root / name / "model.toml").write_text(LIVE + (PRIVATE if name == "private" else ""))
    return root


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where servers keep their state."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="package")
def site(registry: Path, home: Path, server_process: ModuleType) -> Iterator[Site]:
    """Return a server that runs as long as the tests of a module."""
    with server_process.running(registry, home, "registry.poll_s=0.2") as server, Site(server) as site:
        yield site
