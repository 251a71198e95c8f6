"""What h2load says of the calls that it has made, and whether each of them had an answer.

A call of gRPC that failed has the status 200 too: it is its message that is missing.
"""

import re
from typing import Final, NamedTuple

_SAID: Final = re.compile(r"finished in .*?, ([\d.]+) req/s.*?(\d+) done, (\d+) succeeded.*?\((\d+)\) data", re.DOTALL)


class Report(NamedTuple):
    """Calls that were all answered."""

    calls: int
    per_s: float
    data_bytes: int
    """What the answers held, without their heads."""


def report_of(said: str, answer_bytes: int) -> Report:
    """Return what was printed, for answers of at least that size; raises `RuntimeError` if a call had none."""
    found = _SAID.search(said)
    if found is None or found[2] != found[3] or int(found[4]) < int(found[2]) * answer_bytes:
        raise RuntimeError(f"not all calls were answered:\n{said}")
    return Report(int(found[2]), float(found[1]), int(found[4]))
