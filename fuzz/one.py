"""Runs one target in a process of its own: `python fuzz/one.py json_body --cases 10000`. Ends with a line of JSON for `run.py`."""

import argparse
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path

import target
from judge import BUILD, Judge
from seeded import Cases


def main() -> int:
    """Return 0 if every case kept the promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=target.NAMES)
    parser.add_argument("--engine", choices=("atheris", "seeded"), default="seeded")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--replay", type=Path, help="run this file alone")
    arguments = parser.parse_args()
    (BUILD / "findings").mkdir(parents=True, exist_ok=True)
    if arguments.engine == "atheris":
        import guided  # noqa: PLC0415 - the engine is installed only in an environment of its own

        return guided.run(arguments.target, arguments.cases, arguments.seconds, arguments.seed)
    judge = Judge(target.load(arguments.target))
    judge.watchdog.start()
    if arguments.replay is not None:
        print("taken" if judge(arguments.replay.read_bytes()) else "refused")
        return 0
    return _seeded(judge, arguments.seed, lambda: judge.cases < arguments.cases and time.monotonic() - judge.began_s < arguments.seconds)


def _seeded(judge: Judge, seed: int, goes_on: Callable[[], bool]) -> int:
    cases, findings = Cases(judge.target, seed), 0
    for data in itertools.takewhile(lambda _: goes_on(), cases):
        try:
            cases.judged(data, taken=judge(data))
        except Exception:
            findings += 1
    judge.report(findings=findings)
    return min(findings, 1)


if __name__ == "__main__":
    sys.exit(main())
