"""What tests ask of a server that watches for drift."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from server_site import ServerSite

FEATURES = 64
REQUEST_ROWS = 50


class Site(ServerSite):
    """A server that watches, by its listeners."""

    def send(self, model: str, rows: np.ndarray, path: str = "") -> list[str]:
        """Send rows in requests of some, and return the arms that have answered."""
        return [self._send(model, part, path) for part in np.array_split(rows, max(1, len(rows) // REQUEST_ROWS))]

    def _send(self, model: str, rows: np.ndarray, path: str) -> str:
        head = b'{"inputs":[{"name":"X","datatype":"FP32","shape":[%d,%d],"parameters":{"binary_data_size":%d}}]}'
        head %= (*rows.shape, rows.nbytes)
        headers = {"inference-header-content-length": str(len(head))}
        answer = self.client.post(f"/v2/models/{model}{path}/infer", content=head + rows.astype("<f4").tobytes(), headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.headers["penstock-arm"]

    def drift(self, model: str, version: str = "1") -> dict[str, Any]:
        """Return what is told of one version."""
        answer = self.admin.get(f"/admin/models/{model}/monitoring")
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["drift"]["versions"][version])

    def windows(self, model: str, count: int, side: str = "inputs", version: str = "1", arm: str = "stable") -> dict[str, Any]:
        """Return what is told of an arm once so many windows have been judged."""
        return self.until(lambda: self.drift(model, version)[side]["arms"].get(arm, {}), lambda told: told.get("windows") == count)

    def gathered(self, model: str) -> dict[str, Any]:
        """Return what is told of a version once its reference is there."""
        return self.until(lambda: self.drift(model), lambda told: bool((told["inputs"]["reference"] or {}).get("features")))

    def events(self, model: str, count: int) -> list[dict[str, Any]]:
        """Return what has been told of drift of a model, once there are so many events: they come after the figures."""

        def ask() -> dict[str, Any]:
            told = self.admin.get(f"/admin/models/{model}").json()["events"]
            return {"events": [event for event in told if event["what"].startswith("drift")]}

        return list(self.until(ask, lambda told: len(told["events"]) >= count)["events"])

    @staticmethod
    def until(ask: Callable[[], dict[str, Any]], holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the answer once it is as wanted."""
        deadline = time.monotonic() + 30
        while not holds(told := ask()):
            assert time.monotonic() < deadline, told
            time.sleep(0.05)
        return told


def rows_of(seed: int, rows: int, shift: float = 0.0, features: int = FEATURES) -> np.ndarray:
    """Return normal rows; the eighth feature is shifted by so many deviations."""
    values = np.random.default_rng(seed).standard_normal((rows, features)).astype(np.float32)
    values[:, min(7, features - 1)] += shift
    return values
