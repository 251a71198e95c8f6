"""How long a single client waits, on one connection, beside the bare run of the model."""

from bare_run import BareRun
from harness import ROUND_S, Row, Server
from http_infer import json_question
from http_load import ask

FACTOR, EXTRA_US = 1.2, 120.0


def measure(server: Server, bare: BareRun) -> list[Row]:
    """Ask one by one over one connection."""
    question = json_question(server)
    ask(question, 1, 1)
    load = ask(question, 1, ROUND_S)
    budget = FACTOR * bare.p50_us + EXTRA_US
    return [Row("HTTP JSON, one client, p50", load.p50_us, "us", budget, f"p99 {load.p99_us:.0f} us; bare run p50 {bare.p50_us:.1f} us")]
