"""A publisher with a key, and a file outside of the registry that must never be opened."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the modules beside this one, whatever pytest's import mode

from opens import Opens
from tampering import Publisher, write_keys


@pytest.fixture(scope="session")
def key_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the files of the private and the public key of the publisher."""
    return write_keys(tmp_path_factory.mktemp("keys"), "publisher")


@pytest.fixture
def publisher(tmp_path: Path, models: ModuleType, broken: ModuleType, key_pair: tuple[Path, Path]) -> Publisher:
    """Return a publisher of an empty registry."""
    return Publisher(tmp_path / "registry", *key_pair, models, broken)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Return the file that must not be opened; it has the size of the weights."""
    path = tmp_path / "outside" / "canary.bin"
    path.parent.mkdir()
    path.write_bytes(bytes(16))
    return path


@pytest.fixture
def opens(canary: Path) -> Iterator[Opens]:
    """Return the count of the opens of the canary."""
    counted = Opens(canary)
    yield counted
    counted.close()
