"""One server for all tests of shadows that do not need settings of their own."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the module beside this one, whatever pytest's import mode
sys.path.insert(0, str(Path(__file__).parents[2] / "contract"))

from serving import Serving
from shadowed import Shadowed

ROUTE = 'versions = "all"\n[route]\nstable = "1"\nshadows = [{version = "2"}]\n'
KINDS = ("rare", "rounded", "nan", "shape", "datatype", "renamed", "input", "failing")


@pytest.fixture(scope="package")
def shadowed(tmp_path_factory: pytest.TempPathFactory, models: ModuleType) -> Iterator[Shadowed]:
    """A server with a model `to_<kind>` for each kind of shadow, version 2 beside the plain version 1, and some for single tests."""
    root = tmp_path_factory.mktemp("registry")
    for kind in KINDS:
        models.write_shadowed(root, f"to_{kind}", ["plain", kind])
    models.write_shadowed(root, "sampled", ["plain", "plain", "plain"])
    models.write_shadowed(root, "planted", ["plain", "rare", "plain"])
    models.write_shadowed(root, "planted_often", ["plain", "rare", "plain"])
    models.write_shadowed(root, "armed", ["plain", "plain", "nan"])
    models.write_shadowed(root, "checked", ["plain", "plain", "nan"])
    models.write_shadowed(root, "configured", ["plain", "plain"])
    (root / "configured" / "model.toml").write_text(ROUTE)
    models.write_shadowed(root, "told_agreeing", ["plain", "plain"])
    models.write_shadowed(root, "told_differing", ["plain", "rare"])
    models.write_shadowed(root, "told_failing", ["plain", "failing"])
    models.write_shadowed(root, "unshadowed", ["plain"])
    models.write_shadowed(root, "moving", ["plain", "plain", "nan"])
    with Serving(root, tmp_path_factory.mktemp("shadows")).during(
        "shadows.noise_sample=0.2", "shadows.device_share=1.0", "shadows.max_loop_load=1.0", 'telemetry.access_log="off"'
    ) as serving:
        shadowed = Shadowed(serving)
        yield shadowed
        shadowed.close()
