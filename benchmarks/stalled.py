"""Whether clients that stall harm one that does not: `python benchmarks/stalled.py [--pairs 9] [--seconds 3]`.

Two hundred connections stall: a third within a head, a third within a body, a third asks and reads nothing. A normal caller's
99th percentile with them is set beside the one without, in pairs that take turns, so that what else the machine does meets both.
"""

import argparse
import contextlib
import itertools
import socket
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from harness import Row, Server, cores, cpu_s, environment, pinned, serving_mlp
from http_infer import json_question
from http_load import Question, ask

CONNECTIONS: Final = 200
BUDGET: Final = 1.10
"""What the caller's p99 may grow to."""
_RESAMPLED: Final = 10_000
_RECEIVE_BYTES: Final = 4_096
_PAGE: Final = "/openapi.json"
_BLOCK: Final = 500
"""As many pages as no kernel holds for a reader who is late."""
_SETTLE_S: Final = 0.5
_IDLE: Final = 0.05
"""What a server at rest uses of a core."""


class Interval(NamedTuple):
    """A median with the 95 % interval that resampling gives it."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Interval":
        """Return the interval of some measurements."""
        drawn = np.random.default_rng(3).choice(values, (_RESAMPLED, len(values)))
        low, high = np.percentile(np.median(drawn, axis=1), (2.5, 97.5))
        return cls(float(low), float(np.median(values)), float(high))


def message_of(question: Question) -> bytes:
    """Return the request as it stands on the wire."""
    headers = {"Host": question.address, "Content-Length": str(len(question.body)), **question.headers}
    lines = [f"POST {question.path} HTTP/1.1", *(f"{key}: {value}" for key, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + question.body


@contextlib.contextmanager
def stalled(server: Server, question: Question) -> Iterator[None]:
    """Keep the connections stalled."""
    message, page = message_of(question), f"GET {_PAGE} HTTP/1.1\r\nHost: {question.address}\r\n\r\n".encode() * _BLOCK
    starts = (message[:30], message[:-5], page)
    with contextlib.ExitStack() as stack:
        lines = [
            (stack.enter_context(_connected(question.address)), start) for start, _ in zip(itertools.cycle(starts), range(CONNECTIONS))
        ]
        for line, start in lines:
            line.send(start)
        _wait_until_idle(server)
        yield


def _connected(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    line = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
    line.connect((host, int(port)))
    line.settimeout(0)
    return line


def _wait_until_idle(server: Server) -> None:
    """Wait until the server has answered as much as those who read nothing let it."""
    used = -1.0
    while (now := cpu_s(server.pid)) - used > _IDLE * _SETTLE_S:
        used = now
        time.sleep(_SETTLE_S)


def ratios(server: Server, pairs: int, seconds: float) -> list[float]:
    """Return the caller's p99 with stalled connections over the one without, for each pair; every other pair begins with them."""
    question = json_question(server)
    ask(question, 1, 1)
    found = []
    for turn in range(pairs):
        p99_us = {}
        for hindered in (turn % 2 == 0, turn % 2 == 1):
            with stalled(server, question) if hindered else contextlib.nullcontext():
                time.sleep(_SETTLE_S)
                p99_us[hindered] = ask(question, 1, seconds).p99_us
        found.append(p99_us[True] / p99_us[False])
        print(
            f"pair {turn + 1}: p99 {p99_us[False]:.0f} us alone, {p99_us[True]:.0f} us beside {CONNECTIONS} stalled connections", flush=True
        )
    return found


def measure(server: Server, pairs: int, seconds: float) -> list[Row]:
    """Return the ratio as a row."""
    interval = Interval.of(ratios(server, pairs, seconds))
    beside = f"95 % interval {interval.low:.2f} to {interval.high:.2f} of {pairs} pairs of {seconds:.0f} s"
    return [Row(f"p99 beside {CONNECTIONS} stalled connections", interval.median, "x", BUDGET, beside)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    print(environment())
    server_core, generator_core = cores()
    with serving_mlp(server_core) as server, pinned(generator_core):
        (row,) = measure(server, arguments.pairs, arguments.seconds)
    print(f"{row.what}: {row.measured:.2f} (<= {row.budget}), {'ok' if row.within else 'OVER'}; {row.beside}")


if __name__ == "__main__":
    main()
