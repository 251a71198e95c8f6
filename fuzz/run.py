"""Fuzzes every target, or those that are named, each in a process of its own, and prints a table: `make fuzz FUZZ="--cases 100000"`.

Exit code 1 if a promise was broken: the bytes are kept in `build/fuzz/findings`.
"""

import argparse
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import target

HERE: Final = Path(__file__).parent
OPENAPI: Final = "openapi"
_COVERAGE: Final = re.compile(r"cov: (\d+)")
_RUNS: Final = re.compile(r"number_of_executed_units: *(\d+)")
_SECONDS: Final = re.compile(r"runs in (\d+) second")
_GRACE_S: Final = 120


class Row(NamedTuple):
    """What became of one target."""

    name: str
    engine: str
    cases: int
    taken: int
    seconds: float
    findings: int
    coverage: str

    @property
    def line(self) -> str:
        """The row as it is printed."""
        rate = f"{self.cases / self.seconds:.0f}" if self.seconds else ""
        share = f"{100 * self.taken / max(self.cases, 1):.0f} %" if self.taken else ""
        return f"{self.name:16} {self.engine:8} {self.cases:>9} {rate:>9} {share:>8} {self.coverage:>9} {self.findings:>9}"


def main() -> int:
    """Return 0 if no promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", action="append", choices=(*target.NAMES, OPENAPI), help="may be given several times; all by default")
    parser.add_argument("--cases", type=int, default=100_000, help="of each target; 100000 by default")
    parser.add_argument("--seconds", type=int, default=600, help="at most, for each target; 600 by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=("atheris", "seeded"), default="atheris" if importlib.util.find_spec("atheris") else "seeded")
    arguments = parser.parse_args()
    head = f"{'target':16} {'engine':8} {'cases':>9} {'/s':>9} {'taken':>8} {'coverage':>9} {'findings':>9}"
    print(head, flush=True)
    findings = 0
    for name in arguments.target or (*target.NAMES, OPENAPI):
        row = _openapi(arguments) if name == OPENAPI else _row(name, arguments)
        print(row.line, flush=True)
        findings += row.findings
    return min(findings, 1)


def _row(name: str, arguments: argparse.Namespace) -> Row:
    command = [sys.executable, str(HERE / "one.py"), name, "--engine", arguments.engine]
    command += ["--cases", str(arguments.cases), "--seconds", str(arguments.seconds), "--seed", str(arguments.seed)]
    code, out, err = _output(command, arguments.seconds + _GRACE_S)
    told = _report(out) or _of_libfuzzer(err)
    findings = max(int(told.get("findings", 0)), _failed(code, told))
    if findings:
        print(err[-4_000:], file=sys.stderr)
    coverage = _COVERAGE.findall(err)
    return Row(
        name,
        arguments.engine,
        told.get("cases", 0),
        told.get("taken", 0),
        told.get("seconds", 0),
        findings,
        coverage[-1] if coverage else "",
    )


def _openapi(arguments: argparse.Namespace) -> Row:
    command = [
        sys.executable,
        str(HERE / "openapi.py"),
        "--seed",
        str(arguments.seed),
        "--examples",
        str(max(1, min(arguments.cases // 1_000, 200))),
    ]
    code, out, err = _output(command, arguments.seconds + _GRACE_S)
    told = _report(out)
    failed = _failed(code, told)
    if failed:
        print((out + err)[-6_000:], file=sys.stderr)
    return Row(OPENAPI, "schema", told.get("cases", 0), told.get("taken", 0), told.get("seconds", 0), failed, "")


def _failed(code: int, told: Mapping[str, Any]) -> int:
    """Return 1 for a process that failed, or ended well and tells of no case: something in it has ended it."""
    silent = not code and not told.get("cases")
    if silent:
        print("the process ended and tells of no case", file=sys.stderr)
    return int(code != 0 or silent)


def _output(command: list[str], within_s: float) -> tuple[int, str, str]:
    """Return how a process ended, and what it printed; one that hangs has failed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=within_s, check=False)  # noqa: S603 - our own
    except subprocess.TimeoutExpired as error:
        return 124, "", f"{command[2]} did not end within {error.timeout:.0f} s"
    return done.returncode, done.stdout, done.stderr


def _of_libfuzzer(err: str) -> dict[str, Any]:
    """Return what libFuzzer says at its end, which ends the process too; how much was taken it does not know."""
    found = _RUNS.findall(err)
    seconds = _SECONDS.findall(err)
    return {"cases": int(found[-1]) if found else 0, "seconds": float(seconds[-1]) if seconds else 0}


def _report(out: str) -> dict[str, Any]:
    """Return the last line of JSON, nothing if there is none."""
    lines = [line for line in out.splitlines() if line.startswith('{"target"')]
    return json.loads(lines[-1]) if lines else {}


if __name__ == "__main__":
    sys.exit(main())
