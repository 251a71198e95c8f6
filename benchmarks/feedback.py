"""What remembering every prediction for its feedback adds to one: `python benchmarks/feedback.py`, about half a minute."""

import contextlib
from typing import Final

from harness import ROUNDS, Cost, Row, cores, cost, median, serving_mlp
from payload_log import Asker

_SETTINGS: Final = {"off": "false", "on": "true"}
_MOST_MORE_US: Final = 6.0
"""As much as the record of payloads may take."""


def measure() -> list[Row]:
    """Take turns between two servers, one of which remembers everything."""
    costs: dict[str, list[Cost]] = {name: [] for name in _SETTINGS}
    with contextlib.ExitStack() as stack:
        servers = {
            name: stack.enter_context(serving_mlp(cores()[0], f"defaults.feedback.enabled={value}", "defaults.slo_ms=60000"))
            for name, value in _SETTINGS.items()
        }
        askers = {name: Asker(server) for name, server in servers.items()}
        for name, server in [*servers.items()] * (ROUNDS + 1):
            costs[name].append(cost(server.pid, askers[name]))
    off, on = (median(costs[name][1:]) for name in _SETTINGS)
    beside = f"{on.cpu_us / off.cpu_us:.2f} times, {on.cpu_us - off.cpu_us:+.1f} us; {on}"
    return [
        Row("HTTP JSON, nothing remembered, CPU per request", off.cpu_us, "us", beside=str(off)),
        Row("HTTP JSON, every prediction remembered, CPU per request", on.cpu_us, "us", off.cpu_us + _MOST_MORE_US, beside),
    ]


if __name__ == "__main__":
    for row in measure():
        print(f"{row.what}: {row.measured:.2f} {row.unit} ({row.beside})")
