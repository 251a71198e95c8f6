"""The generated pages of the reference say what the code says."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_generated_pages_match_the_code() -> None:
    """A change of settings or commands comes with its pages: run docs/generate.py."""
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]

    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
