"""Moves an alias of `tagged` to and fro, and asks at once: `flip.py ADMIN HTTP TOKEN FLIPS PERIOD_S`.

Prints one JSON list: seconds from the request to move until the first request after it was answered, by flip. A process of its own,
so that its clock does not count the time in which the clients of the load are busy. Fails where an answer is the old version's.
"""

import http.client
import json
import sys
import time
from typing import Any

BODY = json.dumps({"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]})


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: str, token: str = "") -> Any:
    """Return the JSON that answers a request, which must succeed."""
    connection.request(method, path, body, {"authorization": f"Bearer {token}"} if token else {})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        sys.exit(f"{method} {path}: {answer.status} {content.decode()}")
    return json.loads(content)


def flip(admin: http.client.HTTPConnection, infer: http.client.HTTPConnection, token: str, version: str) -> float:
    """Move the alias, and return how long it took until a request was answered by the version that it names now."""
    started = time.perf_counter()
    told = ask(admin, "PUT", "/admin/models/tagged/aliases/champion", json.dumps({"version": version}), token)
    answer = ask(infer, "POST", "/v2/models/tagged/infer", BODY)
    took = time.perf_counter() - started
    outputs = {output["name"]: output["data"] for output in answer["outputs"]}
    if (told["aliases"], answer["model_version"], outputs["version"]) != ({"champion": version}, version, [int(version)]):
        sys.exit(f"asked for {version}: {told}, {answer}")
    return took


def main(admin: str, infer: str, token: str, flips: str, period_s: str) -> None:
    """Flip in time with a clock."""
    connections = http.client.HTTPConnection(admin), http.client.HTTPConnection(infer)
    took, began = [], time.monotonic()
    for number in range(int(flips)):
        took.append(flip(*connections, token, str(2 - number % 2)))
        time.sleep(max(0.0, began + (number + 1) * float(period_s) - time.monotonic()))
    print(json.dumps(took))


if __name__ == "__main__":
    main(*sys.argv[1:])
