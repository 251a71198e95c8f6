"""Servers of a few models, and the connections of the contract's tests to ask them with."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "contract"))


FILL: Final = """fill (int64[1] n) => (float[m] Y)
{
    Y = ConstantOfShape <value = float[1] {1.5}> (n)
}"""
"""A short question with an answer as long as one likes."""


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, models: ModuleType) -> Path:
    """The models of the connection tests, and one that answers at length."""
    root = tmp_path_factory.mktemp("registry")
    models.write_versioned_addsub(root)
    models.write_slow(root)
    models.write_configured_model(root, "id_fp32", models.identity("id_fp32", "float", "batch,n"), 8)
    models.write_configured_model(root, "id_vec", models.identity("id_vec", "float", "n"), 0)
    models.save(models.parse(FILL), root / "fill" / "1")
    return root
