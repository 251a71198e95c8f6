"""The example of monitoring does what its page says."""

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "examples" / "monitoring" / "watch_digits.py"


def test_the_example_shows_that_both_versions_are_right_less_often() -> None:
    """All feedback finds its prediction, and accuracy falls from one kind of images to the other."""
    ended = subprocess.run([sys.executable, str(SCRIPT), "--images", "60"], capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr

    assert ended.stdout.count("feedback: 60 joined, 0 refused") == 2
    found = re.findall(r"version (\d) (\w+) +\d+ rows .* accuracy ([\d.]+)", ended.stdout)
    before, after = ({(version, arm): float(figure) for version, arm, figure in part} for part in (found[:2], found[2:]))
    assert before.keys() == after.keys() == {("1", "stable"), ("2", "challenger")}
    assert before["1", "stable"] > after["1", "stable"]
