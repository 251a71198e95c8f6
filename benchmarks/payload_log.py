"""What recording every prediction adds to one, the writer's thread included: `python benchmarks/payload_log.py`, about half a minute."""

import contextlib
import tempfile
from pathlib import Path
from typing import Final

from harness import CONNECTIONS, ROUNDS, Cost, Load, Row, Server, cores, cost, median, serving_mlp
from http_infer import json_question
from http_load import ask

from penstock.payloads.reading import rows_of, sealed_files

_SAMPLES: Final = (0.0, 1.0)
_MOST_RATIO: Final = 1.25
_MOST_MORE_US: Final = 6.0
_LEAST_WRITTEN: Final = 0.99


class Asker:
    """Asks a server, and counts."""

    def __init__(self, server: Server) -> None:
        self.requests = 0
        self._question = json_question(server)

    def __call__(self, seconds: float) -> Load:
        """Ask for some seconds."""
        load = ask(self._question, CONNECTIONS, seconds)
        self.requests += load.requests
        return load


def measure() -> list[Row]:
    """Take turns between two servers, one of which records everything."""
    costs: dict[float, list[Cost]] = {sample: [] for sample in _SAMPLES}
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        with contextlib.ExitStack() as stack:
            settings = f'payloads.dir="{name}"'
            servers = {s: stack.enter_context(serving_mlp(cores()[0], f"defaults.payloads.sample={s}", settings)) for s in _SAMPLES}
            askers = {sample: Asker(server) for sample, server in servers.items()}
            for sample, server in [*servers.items()] * (ROUNDS + 1):
                costs[sample].append(cost(server.pid, askers[sample]))
        written = sum(1 for path in sealed_files(Path(name)) for _ in rows_of(path))
    off, on = (median(costs[sample][1:]) for sample in _SAMPLES)
    budget = max(_MOST_RATIO * off.cpu_us, off.cpu_us + _MOST_MORE_US)
    beside = f"{on.cpu_us / off.cpu_us:.2f} times, {on.cpu_us - off.cpu_us:+.1f} us; {on}"
    return [
        Row("HTTP JSON, nothing recorded, CPU per request", off.cpu_us, "us", beside=str(off)),
        Row("HTTP JSON, everything recorded, CPU per request", on.cpu_us, "us", budget, beside),
        Row("share of the predictions that is written", written / askers[1.0].requests, "", _LEAST_WRITTEN, at_least=True),
    ]


if __name__ == "__main__":
    for row in measure():
        print(f"{row.what}: {row.measured:.2f} {row.unit} ({row.beside})")
