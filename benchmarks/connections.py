"""Whether many connections slow the server down: the rate on 128 and on 1,000 of them beside that on 32.

The target is a second here: by Little's law a thousand callers who ask again at once wait 100 ms at 10,000 answers a second. That is
the usual target, so that a server of that speed would be right to refuse some.
"""

import statistics
from typing import Final

from harness import CONNECTIONS, ROUND_S, ROUNDS, Row, cores, serving_mlp
from http_infer import json_question
from http_load import ask

LEAST: Final = {128: 0.9, 1_000: 0.65}
_TARGET: Final = "defaults.slo_ms=1000"


def measure() -> list[Row]:
    """Take turns between the counts."""
    rates: dict[int, list[float]] = {count: [] for count in (CONNECTIONS, *LEAST)}
    with serving_mlp(cores()[0], _TARGET) as server:
        question = json_question(server)
        for _ in range(ROUNDS):
            for count, seen in rates.items():
                load = ask(question, count, ROUND_S)
                seen.append(load.requests / load.seconds)
    medians = {count: statistics.median(seen) for count, seen in rates.items()}
    usual = medians[CONNECTIONS]
    return [
        Row(
            f"HTTP JSON, {count:,} connections / {CONNECTIONS}, rate",
            medians[count] / usual,
            "x",
            least,
            f"{medians[count]:,.0f}/s",
            at_least=True,
        )
        for count, least in LEAST.items()
    ]
