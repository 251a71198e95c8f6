"""One server that records everything, for all tests that need no settings of their own."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the modules beside this one, whatever pytest's import mode
sys.path.insert(0, str(Path(__file__).parents[2] / "contract"))

from serving import Serving

REDACTION = '[payloads.redact]\nX = "{rule}"\nY = "drop"\n'
SETTINGS = ("defaults.payloads.sample=1.0", "payloads.flush_s=0.02", "payloads.rotate_s=0.2", 'payloads.headers=["X-Tenant"]')


@pytest.fixture(scope="package")
def registry(tmp_path_factory: pytest.TempPathFactory, models: ModuleType) -> Path:
    """A model that answers with its input for each datatype, and some that are redacted."""
    root = tmp_path_factory.mktemp("registry")
    models.write_configured(root)
    for rule in ("drop", "hash", "truncate"):
        models.write_configured_model(root, f"private_{rule}", models.identity(f"private_{rule}", "string", "batch,n"), 8)
        (root / f"private_{rule}" / "model.toml").write_text(REDACTION.format(rule="truncate:2" if rule == "truncate" else rule))
    models.write_configured_model(root, "private_number", models.identity("private_number", "float", "batch,n"), 8)
    (root / "private_number" / "model.toml").write_text(REDACTION.format(rule="bucket:10"))
    return root


@pytest.fixture(scope="package")
def recorded(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server that records everything."""
    with Serving(registry, tmp_path_factory.mktemp("recorded")).during(*SETTINGS) as serving:
        yield serving
