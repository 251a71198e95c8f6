"""What tests ask of a server about a rollout."""

import time
from collections.abc import Callable
from typing import Any

import httpx2
from server_site import ServerSite

QUICK = {"min_requests": 20, "max_bad_share": 0.5, "latency": None}
"""Gates that little traffic passes. A test machine's times are nobody's proof."""
STEPS = [{"weight": 30, "hold_s": 0}, {"weight": 60, "hold_s": 0.5}]


class Site(ServerSite):
    """A server with rollouts, by its listeners."""

    def ask(self, model: str, *numbers: int) -> tuple[int, str, str]:
        """Return status, version and arm of one prediction."""
        tensor = {"name": "I", "datatype": "INT64", "shape": [len(numbers)], "data": list(numbers)}
        answer = self.client.post(f"/v2/models/{model}/infer", json={"inputs": [tensor]})
        return answer.status_code, answer.headers.get("penstock-model-version", ""), answer.headers.get("penstock-arm", "")

    def start(self, model: str, **plan: Any) -> httpx2.Response:
        """Start a rollout of the challenger."""
        plan = {"canary": "challenger", "steps": STEPS, "gates": QUICK} | plan
        return self.admin.post(f"/admin/models/{model}/rollout", json=plan)

    def order(self, model: str, what: str) -> httpx2.Response:
        """Pause or resume."""
        return self.admin.post(f"/admin/models/{model}/rollout/{what}")

    def state(self, model: str) -> dict[str, Any]:
        """Return what is told of the rollout."""
        answer = self.admin.get(f"/admin/models/{model}/rollout")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def route(self, model: str) -> dict[str, Any]:
        """Return the route in force."""
        return dict(self.admin.get(f"/admin/models/{model}/route").json())

    def report(self, model: str) -> dict[str, Any]:
        """Return what is told of the model."""
        return dict(self.admin.get(f"/admin/models/{model}").json())

    def events(self, model: str) -> list[dict[str, Any]]:
        """Return what the rollout has told."""
        return [event for event in self.report(model)["events"] if event["what"] == "rollout"]

    def until(self, model: str, *phases: str, meanwhile: Callable[[], object] = lambda: time.sleep(0.02)) -> dict[str, Any]:
        """Return the state once the rollout is in one of the phases, and that is done; do something again and again until then."""
        deadline = time.monotonic() + 30
        while (state := self.state(model))["phase"] not in phases or state["pending"]:
            assert time.monotonic() < deadline, state
            meanwhile()
        return state
