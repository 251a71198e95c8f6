"""How often the judge of a rollout is wrong, and how soon it is right: `python benchmarks/judge.py [--count N] [--write]`.

Made-up traffic on a virtual clock runs through the real judge and the real table of steps (`rollout_simulation.py`), with the plan
that holds where nobody says otherwise. With `--write`, the table also becomes docs/benchmarks/judge.md.
"""

import argparse
import datetime as dt
import os
import statistics
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from rollout_simulation import Ending, World, simulate

from penstock.traffic.rollout import Phase
from penstock.traffic.share import Share, interval

PAGE: Final = Path(__file__).parents[1] / "docs" / "benchmarks" / "judge.md"
RATES: Final = (10.0, 100.0, 1000.0)
EQUAL: Final = {
    "the same": {},
    "the same, load comes and goes": {"restless": 1.0},
    "the same, 5 % errors in both": {"errors": 0.05},
    "the same, stalls of 10 requests": {"clump": 10},
    "the same, users of 10 requests, sticky": {"clump": 10, "sticky": True},
    "p99 x 1.1 (tolerated)": {"slower": 1.1},
}
WORSE: Final = {
    "0.5 % more errors": {"extra_errors": 0.005},
    "1 % more errors": {"extra_errors": 0.01},
    "5 % more errors": {"extra_errors": 0.05},
    "fails always": {"extra_errors": 1.0},
    "p99 x 1.5": {"slower": 1.5},
    "p99 x 1.5, narrow": {"slower": 1.5, "sigma": 0.25},
    "p99 x 1.5, load comes and goes": {"slower": 1.5, "restless": 1.0},
    "p99 x 2": {"slower": 2.0},
}
_PAGE: Final = """# What the judge of a rollout gets wrong

Written on {day} by `.venv/bin/python benchmarks/judge.py --count {count} --write`. Traffic is made up and the clock is virtual; the judge,
its gates and the table of steps are those of the server, with the [plan](../guides/rollouts.md) that holds where nobody says otherwise:
1, 5, 25 and 50 %, 300 s each. 0.1 % of all requests fail and the p99 is 20 ms (log-normal), unless the line says otherwise. The judge looks
every 10 s here, and every second in the server.

Bad responses are the canary's errors, and its answers that are slower than the stable arm's p99 of the time, as a share of all
responses of both arms since the start: the median of all rollouts, and the worst of them. By that, 1 % of a perfect canary is bad too.

{tables}
"""


class Row(NamedTuple):
    """What became of many rollouts of one kind."""

    what: str
    rate: float
    endings: list[Ending]

    def back(self) -> Share:
        """Return how many were rolled back."""
        return Share(sum(ending.phase is Phase.ROLLED_BACK for ending in self.endings), len(self.endings))

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        back, found = self.back(), [each for each in self.endings if each.phase is Phase.ROLLED_BACK] or self.endings
        low, high = interval(back, 0.05)
        return (
            self.what,
            f"{self.rate:g}",
            f"{back.bad} of {back.of} ({low:.2%} to {high:.2%})",
            f"{statistics.median(each.canary_responses for each in found):,.0f}",
            f"{statistics.median(each.after_s for each in found):,.0f} s",
            f"{statistics.median(each.bad_share for each in found):.3%}",
            f"{max(each.bad_share for each in found):.3%}",
        )


def measure(kinds: dict[str, dict[str, float]], rates: tuple[float, ...], count: int, pool: ProcessPoolExecutor) -> list[Row]:
    """Return a row for each kind of canary at each rate."""
    rows = []
    for what, world in kinds.items():
        for rate in rates:
            one = partial(simulate, World(rate=rate, look_s=10.0, **world))  # type: ignore[arg-type]
            rows.append(Row(what, rate, list(pool.map(one, range(count), chunksize=8))))
    return rows


def table(rows: list[Row]) -> str:
    """Return the rows in Markdown."""
    header = ("Canary", "Requests/s", "Rolled back (95 % interval)", "Its requests", "After", "Bad responses", "Worst")
    lines = [header, tuple("---" for _ in header), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="rollouts of equal canaries; a tenth as many of each worse one")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} too")
    given = parser.parse_args()
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        equal = measure(EQUAL, (100.0,), given.count, pool)
        worse = measure(WORSE, RATES, max(1, given.count // 10), pool)
    tables = f"## Canaries that should go through\n\n{table(equal)}\n\n## Canaries that should go back\n\n{table(worse)}"
    print(tables)
    if given.write:
        PAGE.write_text(_PAGE.format(day=dt.datetime.now(dt.UTC).date(), count=given.count, tables=tables))


if __name__ == "__main__":
    main()
