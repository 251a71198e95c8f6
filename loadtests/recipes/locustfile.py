"""Locust asks a server and judges it; for teams who have their load tests in Locust already.

locust -f locustfile.py --headless --users 100 --spawn-rate 50 --run-time 30s --host http://127.0.0.1:8080

Each user asks once a second, so users are requests per second. It is a closed loop: a user who waits asks nothing, and what
a stall of the server does to callers is not seen. `penstock bench` counts from the moment when a request was due.
"""

import os
import random

from locust import FastHttpUser, constant_throughput, events, task
from locust.env import Environment

MODEL = os.environ.get("MODEL", "iris")
INPUT = os.environ.get("INPUT", "features")
WIDTH = int(os.environ.get("WIDTH", "4"))
P99_MS = float(os.environ.get("P99_MS", "50"))
ERROR_RATE = float(os.environ.get("ERROR_RATE", "0.001"))


class Caller(FastHttpUser):
    """Asks for one prediction a second."""

    wait_time = constant_throughput(1)

    @task
    def infer(self) -> None:
        """Ask about one row of random numbers. The status alone decides: anything but 200 is a failure."""
        row = [random.gauss(0, 1) for _ in range(WIDTH)]
        tensor = {"name": INPUT, "shape": [1, WIDTH], "datatype": "FP32", "data": row}
        self.client.post(f"/v2/models/{MODEL}/infer", json={"inputs": [tensor]}, name=f"infer {MODEL}")


@events.quitting.add_listener
def judge(environment: Environment, **_: object) -> None:
    """Leave with exit code 1 if a limit was broken."""
    total = environment.stats.total
    p99_ms = total.get_response_time_percentile(0.99) or 0.0
    kept = total.num_requests > 0 and total.fail_ratio <= ERROR_RATE and p99_ms <= P99_MS
    print(f"p99 {p99_ms:g} ms (limit {P99_MS:g} ms), {total.fail_ratio:.3%} failed (limit {ERROR_RATE:.3%}): {'ok' if kept else 'BROKEN'}")
    environment.process_exit_code = 0 if kept else 1
