"""The engine's telemetry."""

import os
import subprocess
import sys
from pathlib import Path


def test_import_leaves_nothing_in_the_home_directory(tmp_path: Path) -> None:
    """No device id is made up and stored: telemetry is off before ONNX Runtime is there."""
    environment = {name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}

    subprocess.run(
        [sys.executable, "-c", "import penstock.execution.session"], env=environment | {"HOME": str(tmp_path)}, check=True, timeout=60
    )

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
