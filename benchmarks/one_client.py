"""How long a single client waits, on one connection, beside the bare run of the model and the bare socket."""

from bare_run import BareRun
from harness import ROUND_S, ROUNDS, Load, Row, Server, cores, echoing
from http_infer import json_question
from http_load import ask

FACTOR, EXTRA_US = 1.2, 120.0


def measure(server: Server, bare: BareRun) -> list[Row]:
    """Ask one by one over one connection, in turns with a socket that only answers: what waking two processes takes is in both."""
    question = json_question(server)
    ours, socket = [], []
    with echoing(cores()[0]) as echo:
        ask(question, 1, 1)
        for _ in range(ROUNDS):
            ours.append(ask(question, 1, ROUND_S))
            socket.append(ask(question._replace(address=echo.http), 1, ROUND_S))
    load, empty = _middle(ours), _middle(socket)
    budget = FACTOR * bare.p50_us + EXTRA_US
    beside = f"p99 {load.p99_us:.0f} us; bare run p50 {bare.p50_us:.1f} us"
    return [
        Row("HTTP JSON, one client, p50", load.p50_us, "us", budget, beside),
        Row("bare socket, one client, p50", empty.p50_us, "us", beside=f"p99 {empty.p99_us:.0f} us"),
    ]


def _middle(loads: list[Load]) -> Load:
    return sorted(loads, key=lambda load: load.p50_us)[len(loads) // 2]
