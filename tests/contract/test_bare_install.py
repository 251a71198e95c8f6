"""A server whose environment holds what `make serve` installs, and nothing else, starts and answers."""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from serving import Serving

ROOT = Path(__file__).parents[2]
HIDE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"no module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
"""


def beyond(lock: Path) -> set[str]:
    """Return the modules of this environment that belong to packages which the lock does not name."""
    locked = {_plain(name) for name in re.findall(r"^([\w.-]+)==", lock.read_text("utf-8"), re.MULTILINE)} | {"penstock"}
    installed = {module: {_plain(owner) for owner in owners} for module, owners in packages_distributions().items()}
    return {module for module, owners in installed.items() if not owners & locked} - {
        "pip",
        "setuptools",
        "pkg_resources",
        "_distutils_hack",
    }


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    """A server that finds no other packages."""
    hidden = beyond(ROOT / "requirements" / "serve.txt")
    assert {"yaml", "pytest", "pyarrow", "httpx2"} <= hidden
    (tmp_path / "sitecustomize.py").write_text(HIDE.format(hidden=hidden))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(path for path in sys.path if path)}")
    with Serving(ROOT / "examples" / "registry", tmp_path).during() as serving:
        yield serving


def test_server_needs_nothing_but_its_lock(bare: Serving) -> None:
    """What belongs to an extra is imported by whoever asks for it."""
    asked = {"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}]}

    assert bare.client.post("/v2/models/iris/infer", json=asked).status_code == 200
    assert bare.admin.get("/metrics").status_code == 200
