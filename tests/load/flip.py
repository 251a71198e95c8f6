"""Moves an alias of `tagged` to and fro, and asks at once: `flip.py ADMIN HTTP GRPC TOKEN FLIPS PERIOD_S`.

Prints one JSON object: by protocol, for each flip, the seconds from the request to move until the first request after it was answered.
Two flips are followed by a request over HTTP, the next two by one over gRPC. A process of its own, so that its clock does not count the
time in which the clients of the load are busy. Fails where an answer is the old version's.
"""

import http.client
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
import numpy as np

from penstock.wire import inference as pb

BODY = json.dumps({"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]})
Answer = tuple[str, int]
"""The version that says that it answered, and the one that did."""


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: str, token: str = "") -> Any:
    """Return the JSON that answers a request, which must succeed."""
    connection.request(method, path, body, {"authorization": f"Bearer {token}"} if token else {})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        sys.exit(f"{method} {path}: {answer.status} {content.decode()}")
    return json.loads(content)


def over_http(connection: http.client.HTTPConnection) -> Answer:
    """Ask over HTTP."""
    answer = ask(connection, "POST", "/v2/models/tagged/infer", BODY)
    outputs = {output["name"]: output["data"] for output in answer["outputs"]}
    return answer["model_version"], outputs["version"][0]


def over_grpc(infer: "grpc.UnaryUnaryMultiCallable") -> Answer:
    """Ask over gRPC; a refusal raises."""
    request = pb.ModelInferRequest(model_name="tagged")
    request.inputs.add(name="X", datatype="FP32", shape=[1, 4])
    request.raw_input_contents.append(np.ones((1, 4), np.float32).tobytes())
    answer = infer(request, timeout=60)
    raw = {output.name: content for output, content in zip(answer.outputs, answer.raw_output_contents, strict=True)}
    return answer.model_version, int(np.frombuffer(raw["version"], np.int64)[0])


def flip(admin: http.client.HTTPConnection, infer: Callable[[], Answer], token: str, version: str) -> float:
    """Move the alias, and return how long it took until a request was answered by the version that it names now."""
    started = time.perf_counter()
    told = ask(admin, "PUT", "/admin/models/tagged/aliases/champion", json.dumps({"version": version}), token)
    answer = infer()
    took = time.perf_counter() - started
    if (told["aliases"], answer) != ({"champion": version}, (version, int(version))):
        sys.exit(f"asked for {version}: {told}, {answer}")
    return took


def main(*arguments: str) -> None:
    """Flip in time with a clock."""
    admin, infer, rpc, token, flips, period_s = arguments
    channel = grpc.insecure_channel(rpc)
    call = channel.unary_unary(
        "/inference.GRPCInferenceService/ModelInfer",
        request_serializer=pb.ModelInferRequest.SerializeToString,
        response_deserializer=pb.ModelInferResponse.FromString,
    )
    ways: dict[str, Callable[[], Answer]] = {
        "http": partial(over_http, http.client.HTTPConnection(infer)),
        "grpc": partial(over_grpc, call),
    }
    connection, took, began = http.client.HTTPConnection(admin), {protocol: list[float]() for protocol in ways}, time.monotonic()
    for number in range(int(flips)):
        protocol = ("http", "grpc")[number // 2 % 2]
        took[protocol].append(flip(connection, ways[protocol], token, str(2 - number % 2)))
        time.sleep(max(0.0, began + (number + 1) * float(period_s) - time.monotonic()))
    channel.close()
    print(json.dumps(took))


if __name__ == "__main__":
    main(*sys.argv[1:])
