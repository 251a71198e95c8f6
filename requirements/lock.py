"""Writes the lock files from pyproject.toml and the `.in` files, or with --check tells whether they are in step.

Each lock is a requirement list with hashes and without the address of any index. A lock that is in step with its source is
left as it is: only `--upgrade` moves versions.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
COMMON: Final = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
LOCKS: Final = {
    "serve.txt": ["pyproject.toml", "--extra", "cpu", "--group", "build"],
    "dev.txt": [
        "pyproject.toml",
        "--extra",
        "cpu",
        "--extra",
        "bench",
        "--extra",
        "mlflow",
        "--extra",
        "s3",
        "--extra",
        "signing",
        "--extra",
        "parquet",
        "--extra",
        "events",
        "--extra",
        "kafka",
        "--extra",
        "monitor",
        "--extra",
        "otel",
        "--extra",
        "jwt",
        "--group",
        "build",
        "--group",
        "test",
        "--group",
        "check",
        "--group",
        "native",
        "-c",
        "requirements/serve.txt",
    ],
    "native.txt": ["pyproject.toml", "--extra", "cpu", "--group", "build", "--group", "native", "-c", "requirements/dev.txt"],
    "serve-gpu.txt": [
        "pyproject.toml",
        "requirements/serve-gpu.in",
        "--extra",
        "gpu",
        "--group",
        "build",
        "-c",
        "requirements/serve.txt",
    ],
    "clients.txt": ["requirements/clients.in"],
    "mlflow.txt": ["requirements/mlflow.in"],
    "fuzz.txt": ["pyproject.toml", "requirements/fuzz.in", "--extra", "cpu", "--group", "build", "-c", "requirements/dev.txt"],
}


def main() -> int:
    """Return 0 if the locks are written, or in step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a lock is out of step")
    parser.add_argument("--upgrade", action="store_true", help="move every version to the newest allowed")
    arguments = parser.parse_args()
    if arguments.check:
        return max(_check(name) for name in LOCKS)
    for name in LOCKS:
        _compile(name, ROOT / "requirements" / name, upgrade=arguments.upgrade)
    return 0


def _check(name: str) -> int:
    lock = ROOT / "requirements" / name
    with tempfile.TemporaryDirectory() as folder:
        # Versions already locked are kept, so that a release somewhere in the world does not fail the check.
        draft = Path(folder) / name
        draft.write_bytes(lock.read_bytes())
        _compile(name, draft, upgrade=False)
        if draft.read_bytes() == lock.read_bytes():
            return 0
    print(f"requirements/{name} is out of step with {LOCKS[name][0]}: run python requirements/lock.py", file=sys.stderr)
    return 1


def _compile(name: str, output: Path, *, upgrade: bool) -> None:
    command = [sys.executable, "-m", "uv", "pip", "compile", *LOCKS[name], *COMMON, "--output-file", str(output)]
    subprocess.run(command + ["--upgrade"] * upgrade, cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
