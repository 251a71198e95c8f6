"""The endpoints of rollouts: the admin listener."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from penstock.domain.names import check_model_name
from penstock.http.answers import json_response, optional_object
from penstock.http.endpoint import endpoint
from penstock.lifecycle.rollout_run import Rollout
from penstock.lifecycle.rollouts import Rollouts
from penstock.security.token import AdminToken
from penstock.traffic.gate_verdict import GateVerdict
from penstock.traffic.plan import RolloutPlan
from penstock.traffic.rollout import Order

_PATH: Final = "/admin/models/{model}/rollout"


class StepReport(msgspec.Struct):
    """The step in which a rollout is."""

    number: int
    of: int
    weight: float
    hold_s: float
    served_s: float
    left_s: float
    waited_s: float
    next_weight: float


class RolloutReport(msgspec.Struct):
    """What is told of a rollout."""

    model: str
    phase: str
    why: str
    arm: str
    canary: str
    stable: str
    step: StepReport
    started: float
    changed: float
    judged_since: float
    pending: str | None
    """What has been decided and could not be done yet."""
    gates: tuple[GateVerdict, ...]
    plan: RolloutPlan


class RolloutEndpoints:
    """Start, show, pause, resume and abort. Lives on the event loop."""

    def __init__(self, rollouts: Rollouts, token: AdminToken) -> None:
        self._rollouts = rollouts
        self._token = token

    def routes(self) -> Iterable[BaseRoute]:
        """Yield what they answer."""
        yield endpoint(_PATH, self.rollout, "GET", "POST", "DELETE")
        yield endpoint(f"{_PATH}/pause", self.pause, "POST")
        yield endpoint(f"{_PATH}/resume", self.resume, "POST")

    async def rollout(self, request: Request) -> Response:
        """Begin a rollout (201), tell of the running or the last one, or abort it; answers with its state."""
        name = self._model(request)
        if request.method == "POST":
            plan = await optional_object(request)
            # A rollout that has begun goes on although its caller leaves.
            return json_response(report_of(await asyncio.shield(self._rollouts.begin(name, plan))), 201)
        if request.method == "DELETE":
            return await self._order(name, Order.ABORT)
        return json_response(report_of(self._rollouts.of(name)))

    async def pause(self, request: Request) -> Response:
        """Stay at the present weight until `resume`; gates are judged all the same."""
        return await self._order(self._model(request), Order.PAUSE)

    async def resume(self, request: Request) -> Response:
        """Go on with a rollout that is paused."""
        return await self._order(self._model(request), Order.RESUME)

    async def _order(self, name: str, order: Order) -> Response:
        return json_response(report_of(await asyncio.shield(self._rollouts.order(name, order))))

    def _model(self, request: Request) -> str:
        self._token.require(request.headers.get("authorization"))
        return check_model_name(request.path_params["model"])


def report_of(rollout: Rollout) -> Any:  # noqa: ANN401 - JSON
    """Return the state of a rollout as JSON."""
    record, state = rollout.record, rollout.state
    step = StepReport(
        number=state.step + 1,
        of=len(state.plan.steps),
        weight=state.weight,
        hold_s=state.plan.steps[state.step].hold_s,
        served_s=round(state.served_s, 3),
        left_s=round(state.left_s, 3),
        waited_s=round(state.waited_s, 3),
        next_weight=state.next_weight,
    )
    report = RolloutReport(
        model=record.model,
        phase=state.phase,
        why=state.why,
        arm=record.arm,
        canary=record.version,
        stable=record.stable,
        step=step,
        started=record.started,
        changed=record.changed,
        judged_since=record.judged_since,
        pending=record.pending,
        gates=rollout.verdicts(),
        plan=state.plan,
    )
    return msgspec.to_builtins(report)
