"""An environment for each peer: `.venv-peers/NAME`, with exactly the packages of `requirements/NAME.txt`."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from harness import ROOT

ENVIRONMENTS: Final = ROOT / ".venv-peers"
REQUIREMENTS: Final = Path(__file__).with_name("requirements")


def install(name: str) -> Path:
    """Return the directory of a peer's programs, installed unless they are; raises `CalledProcessError` if pip fails."""
    home, requirements = ENVIRONMENTS / name, REQUIREMENTS / f"{name}.txt"
    stamp = home / "installed.txt"
    if not stamp.exists() or stamp.read_bytes() != requirements.read_bytes():
        print(f"installing {name} into {home.relative_to(ROOT)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", str(requirements)], check=True)
        stamp.write_bytes(requirements.read_bytes())
    return home / "bin"


def version_of(name: str) -> str:
    """Return the version of a peer that its requirements pin."""
    lines = (REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    return next(version for package, _, version in (line.partition("==") for line in lines) if package.partition("[")[0] == name)
