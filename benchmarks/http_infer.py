"""What a prediction over HTTP costs the server, as JSON and as binary tensors, beside the bare run of the model."""

from functools import partial

import orjson
from bare_run import BareRun
from harness import CONNECTIONS, ROUNDS, Cost, Row, Server, cores, cost, echoing, example_row, median
from http_load import WRK, Question, ask

BUDGET_US = 18.0
BUDGET_PER_S = 50_000.0
PATH = "/v2/models/mlp/infer"


def json_question(server: Server) -> Question:
    """Return the prediction as JSON alone."""
    tensor = {"name": "X", "shape": [1, 64], "datatype": "FP32", "data": [round(float(value), 6) for value in example_row()[0]]}
    return Question(server.http, PATH, {"Content-Type": "application/json"}, orjson.dumps({"inputs": [tensor]}))


def binary_question(server: Server) -> Question:
    """Return the prediction with tensors as bytes behind a JSON head, both ways."""
    data = example_row().tobytes()
    tensor = {"name": "X", "shape": [1, 64], "datatype": "FP32", "parameters": {"binary_data_size": len(data)}}
    head = orjson.dumps({"inputs": [tensor], "outputs": [{"name": "Y", "parameters": {"binary_data": True}}]})
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return Question(server.http, PATH, headers, head + data)


def measure(server: Server, bare: BareRun) -> tuple[dict[str, Cost], list[Row]]:
    """Take turns between the two kinds and the bare socket, so that what else the machine does meets all.

    Returns the costs by kind, too.
    """
    questions = {"JSON": json_question(server), "binary": binary_question(server)}
    costs: dict[str, list[Cost]] = {kind: [] for kind in (*questions, "socket")}
    for question in questions.values():
        ask(question, CONNECTIONS, 1)
    with echoing(cores()[0]) as echo:
        targets = [(kind, server.pid, question) for kind, question in questions.items()]
        targets.append(("socket", echo.pid, questions["JSON"]._replace(address=echo.http)))
        for kind, pid, question in targets * ROUNDS:
            costs[kind].append(cost(pid, partial(ask, question, CONNECTIONS)))
    medians = {kind: median(seen) for kind, seen in costs.items()}
    return medians, _rows(medians, bare)


def _rows(medians: dict[str, Cost], bare: BareRun) -> list[Row]:
    as_json, as_binary, socket = medians["JSON"], medians["binary"], medians["socket"]
    rate = Row("HTTP JSON, rate", as_json.per_s, "/s", BUDGET_PER_S, "one core for the server", at_least=True)
    return [
        Row("HTTP JSON, CPU per request", as_json.cpu_us, "us", BUDGET_US, _beside(as_json, bare)),
        *([rate] if WRK else []),  # Python's generator is slower than the server
        Row("bare socket, CPU per request", socket.cpu_us, "us", beside=f"uvloop alone: a fixed answer to every request; {socket}"),
        Row("HTTP JSON / bare socket, CPU", as_json.cpu_us / socket.cpu_us, "x"),
        Row("HTTP binary, CPU per request", as_binary.cpu_us, "us", BUDGET_US, _beside(as_binary, bare)),
        Row("HTTP binary / HTTP JSON, CPU", as_binary.cpu_us / as_json.cpu_us, "x", 1.0),
    ]


def _beside(one: Cost, bare: BareRun) -> str:
    return f"{one.cpu_us / bare.cpu_us:.1f}x bare run; {one}"
