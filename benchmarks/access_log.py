"""What the access log adds to a prediction, off, for errors alone (the default) and for all."""

import contextlib
from functools import partial
from typing import Final

from harness import CONNECTIONS, ROUNDS, Cost, Row, cores, cost, median, serving_mlp
from http_infer import json_question
from http_load import ask

POLICIES: Final = ("off", "errors", "all")


def measure() -> list[Row]:
    """Take turns between three servers."""
    costs: dict[str, list[Cost]] = {policy: [] for policy in POLICIES}
    with contextlib.ExitStack() as stack:
        servers = {p: stack.enter_context(serving_mlp(cores()[0], f"telemetry.access_log={p}")) for p in POLICIES}
        for policy, server in [*servers.items()] * (ROUNDS + 1):
            costs[policy].append(cost(server.pid, partial(ask, json_question(server), CONNECTIONS)))
    medians = {policy: median(seen[1:]) for policy, seen in costs.items()}
    return [
        Row(f"HTTP JSON, access log {policy}, CPU per request", each.cpu_us, "us", beside=str(each)) for policy, each in medians.items()
    ]
