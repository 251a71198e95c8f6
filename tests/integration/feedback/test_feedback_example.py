"""The example of monitoring does what its page says."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[3] / "examples" / "monitoring" / "watch_digits.py"


def ran(images: int, *options: str) -> str:
    """Return what the script prints."""
    command = [sys.executable, str(SCRIPT), "--images", str(images), *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count(f"feedback: {images} joined, 0 refused") == 2
    return ended.stdout


def test_the_example_shows_that_both_versions_are_right_less_often(tmp_path: Path) -> None:
    """All feedback finds its prediction, and accuracy falls from one kind of images to the other, in the picture too."""
    printed = ran(60, "--picture", str(tmp_path / "x.png"))

    found = re.findall(r"version (\d) (\w+) +\d+ rows .* accuracy ([\d.]+)", printed)
    before, after = ({(version, arm): float(figure) for version, arm, figure in part} for part in (found[:2], found[2:]))
    assert before.keys() == after.keys() == {("1", "stable"), ("2", "challenger")}
    assert before["1", "stable"] > after["1", "stable"]
    blue = (np.asarray(Image.open(tmp_path / "x.png")) == (0x2B, 0x7B, 0xBA)).all(axis=2).sum(axis=1)
    assert blue[40] > blue[100] > 0, "the bars of version 1, by the row of pixels in the middle of each"


@pytest.mark.slow
def test_the_example_shows_that_most_features_of_both_versions_drift() -> None:
    """As soon as a version has answered enough of either kind."""
    drifting = re.findall(r"version (\d) drift: (\d+) of 75 features", ran(400).partition("dirty glass")[2])
    assert [version for version, _ in drifting] == ["1", "2"]
    assert all(int(features) > 30 for _, features in drifting)
