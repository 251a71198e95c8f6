"""All rollouts: starts them, resumes them after a restart, and looks at those under way about once a second."""

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Final, Self

import msgspec

from penstock.domain.actor import ROLLOUT, act_as
from penstock.domain.clock import NS_PER_S, Clock, monotonic
from penstock.domain.errors import Conflict, NotFound, PreconditionFailed, Unavailable
from penstock.domain.names import check_model_name, shown
from penstock.domain.route import RESERVED_ARMS, Route
from penstock.lifecycle.beside import beside
from penstock.lifecycle.catalog import CHAMPION, Catalog, ServedModel
from penstock.lifecycle.manager import Manager
from penstock.lifecycle.rollout_record import Record, RolloutStore, now_s
from penstock.lifecycle.rollout_run import Disagreement, OutputDrift, Rollout, Surroundings
from penstock.telemetry.readings import Readings
from penstock.traffic.plan import RolloutPlan
from penstock.traffic.plan_checks import plan_of
from penstock.traffic.rollout import Order, Phase, State

_log = logging.getLogger(__name__)
_LOOK_S: Final = 1.0
_ARM: Final = "canary"
"""The canary's arm where the plan does not give it a name that an arm may have."""
_WHOLE: Final = 100.0


class Rollouts:
    """Lives on the event loop. One task looks while a rollout is under way; a request costs nothing for it."""

    def __init__(self, catalog: Catalog, around: Surroundings, *, look_s: float = _LOOK_S, clock: Clock = monotonic) -> None:
        self._catalog = catalog
        self._around = around
        self._look_s = look_s
        self._clock = clock
        self._rollouts: dict[str, Rollout] = {}
        self._starting: set[str] = set()
        self._resumed_all = False
        self._watcher: asyncio.Task[None] | None = None

    @classmethod
    def over(
        cls,
        manager: Manager,
        readings: Readings,
        state_dir: Path,
        disagreement: Disagreement | None = None,
        drift: OutputDrift | None = None,
    ) -> Self:
        """Return the rollouts of a manager's models; call `start` once it has started, and `aclose` before it is closed."""
        around = Surroundings(manager.routes, RolloutStore(state_dir), readings, manager.promotions, disagreement, drift)
        return cls(manager.catalog, around)

    async def start(self) -> None:
        """Take up what an earlier process has left: in the same phase and step, with the hold time that was served.

        Until then everything that is asked raises `Unavailable`: nobody may begin or end what has not been read yet.
        """
        for record in await beside(self._around.store.all):
            if record.model in self._catalog:
                self._rollouts[record.model] = self._resumed(record)
            else:
                _log.warning("the rollout of %s is not resumed: there is no such model now", record.model)
        self._resumed_all = True
        self._watch()

    async def aclose(self) -> None:
        """Stop looking; what is under way is resumed at the next start."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)

    def of(self, name: str) -> Rollout:
        """Return the model's rollout, the running or the last one; raises `NotFound` if there was none."""
        self._require_resumed()
        self._catalog.model(name)
        rollout = self._rollouts.get(name)
        if rollout is None:
            raise NotFound(f"the model {name!r} has no rollout; POST a plan to start one")
        return rollout

    async def begin(self, name: str, document: Mapping[str, object]) -> Rollout:
        """Return a rollout that has begun: its canary gets the weight of the first step.

        Raises `InvalidInput` with every problem of the plan, `NotFound` for a canary that there is not, and `Conflict` while another
        rollout of the model is under way, where the route leaves no room, and where somebody changes it meanwhile.
        """
        self._require_resumed()
        model = self._catalog.model(check_model_name(name))
        plan = plan_of(document, self._around.readings.names.__contains__)
        if name in self._starting or (name in self._rollouts and not self._rollouts[name].state.over):
            raise Conflict(f"a rollout of {name!r} is under way; let it end, or abort it first")
        rollout, revision = Rollout(self._planned(model, plan), model, self._around), self._around.routes.revision(name)
        self._starting.add(name)
        try:
            await rollout.begin(revision)
        except BaseException as error:
            await beside(lambda: self._take_back(name))
            if isinstance(error, PreconditionFailed):
                raise Conflict(f"somebody has changed the route of {name!r} meanwhile; look at it, and begin again") from error
            raise
        finally:
            self._starting.discard(name)
        self._rollouts[name] = rollout
        model.events.add("admin", "rollout begun", "", f"version {rollout.record.version} beside {rollout.record.stable}")
        self._watch()
        return rollout

    def _take_back(self, name: str) -> None:
        """Have the disk tell of the last rollout again, in place of one that has not begun. Blocks."""
        last = self._rollouts.get(name)
        if last is None:
            self._around.store.forget(name)
        else:
            self._around.store.keep(last.record)

    async def order(self, name: str, order: Order) -> Rollout:
        """Return the rollout once it has done what was asked; raises `Conflict` where its phase does not allow that."""
        rollout = self.of(name)
        phase = rollout.state.phase
        if rollout.state.over:
            raise Conflict(f"the rollout of {name!r} is over, it is {phase}; nothing is left to {order}")
        await rollout.order(order)
        if rollout.state.phase is phase and phase not in _DONE_ALREADY[order]:
            raise Conflict(f"the rollout of {name!r} is {phase}; it cannot {order} now")
        self._catalog.model(name).events.add("admin", f"rollout {order}", phase, rollout.state.phase)
        return rollout

    async def promote(self, name: str, canary: str = "") -> ServedModel:
        """Return the model once a canary is the stable version; that of a rollout by an order to it, so that it ends PROMOTED.

        Raises as `Promotions.promote` does; where it refuses a rollout's canary, the rollout pauses and says why.
        """
        return await self._told(name, "promote", self._promoted(name, canary))

    async def rollback(self, name: str) -> ServedModel:
        """Return the model once all canaries are gone, which ends a rollout as ABORTED, or else its stable version is the one before.

        Raises as `Promotions.rollback` does.
        """
        return await self._told(name, "roll back", self._rolled_back(name))

    async def _told(self, name: str, what: str, change: Awaitable[ServedModel]) -> ServedModel:
        before = _arms(self._catalog.models.get(name))
        changed = await change
        model = self._catalog.model(name)
        model.events.add("admin", what, before, _arms(model))
        return changed

    async def _promoted(self, name: str, canary: str) -> ServedModel:
        rollout = self._under_way(name)
        if rollout is None or canary not in ("", rollout.record.arm):
            return await self._around.promotions.promote(name, canary)
        await rollout.order(Order.PROMOTE)
        phase = rollout.state.phase
        if phase is Phase.STOPPED:  # the route is somebody's own by now, and so is its canary
            return await self._around.promotions.promote(name, canary)
        if phase is not Phase.PROMOTED:
            raise Conflict(f"the canary is not promoted, the rollout is {phase}: {rollout.state.why}")
        return self._catalog.model(name)

    async def _rolled_back(self, name: str) -> ServedModel:
        rollout = self._under_way(name)
        if rollout is None:
            return await self._around.promotions.rollback(name)
        await rollout.order(Order.ROLL_BACK)
        if rollout.record.pending is not None:
            raise Unavailable(f"the canary cannot be taken back now, which is tried again every second: {rollout.obstacle}")
        active = self._around.routes.of(name)
        if rollout.state.phase in _LEAVES_ROUTE or (active is not None and active.route.canaries):
            return await self._around.promotions.rollback(name)
        return self._catalog.model(name)

    def _under_way(self, name: str) -> Rollout | None:
        """Return the rollout that has the say over the model's canary, None if none has."""
        self._require_resumed()
        if name in self._starting:
            raise Conflict(f"a rollout of {shown(name)} is just beginning; ask again once it has")
        rollout = self._rollouts.get(name)
        return rollout if rollout is not None and rollout.is_under_way else None

    def _require_resumed(self) -> None:
        if not self._resumed_all:
            raise Unavailable("the server is starting, and has not taken up its rollouts yet; try again soon")

    def _planned(self, model: ServedModel, plan: RolloutPlan) -> Record:
        active = self._around.routes.of(model.name)
        before = None if active is None else active.route
        base = before if before is not None else Route(stable=_default_stable(model))
        canary = next((canary for canary in base.canaries if canary.name == plan.canary), None)
        base = msgspec.structs.replace(base, canaries=tuple(other for other in base.canaries if other is not canary))
        _require_room(base, plan)
        version = _ready_number(model, plan.canary if canary is None else canary.version)
        stable = _ready_number(model, base.stable)
        if version == stable:
            raise Conflict(f"{shown(plan.canary)} is version {version}, which is the stable version already")
        self._require_sources(base, plan, model, version)
        self._require_outputs(plan, model.name, version, stable)
        return Record(
            model=model.name,
            state=State(plan=plan),
            arm=_ARM if plan.canary.isdecimal() or plan.canary in RESERVED_ARMS else plan.canary,
            version=version,
            stable=stable,
            base=base,
            # Without a route and without a champion the highest version would answer, which may be the canary.
            keeps_route=before is not None or base.stable != CHAMPION,
            put=before,
        )

    def _require_sources(self, base: Route, plan: RolloutPlan, model: ServedModel, version: str) -> None:
        """Refuse gates that could never be passed."""
        if plan.gates.disagreement is None:
            return
        if self._around.disagreement is None:
            raise Conflict("the gate disagreement needs a server that compares shadows; leave it out")
        if version not in {_ready_number(model, shadow.version) for shadow in base.shadows}:
            raise Conflict(
                f"the gate disagreement needs a shadow of version {version} in the route, which is compared with the stable version"
            )

    def _require_outputs(self, plan: RolloutPlan, model: str, version: str, stable: str) -> None:
        if plan.gates.drift is None:
            return
        if self._around.drift is None:
            raise Conflict("the gate drift needs a server that watches the outputs; leave it out")
        if obstacle := self._around.drift.obstacle(model, version, stable):
            raise Conflict(f"the gate drift cannot compare versions {version} and {stable}: {obstacle}; leave it out")

    def _resumed(self, record: Record) -> Rollout:
        model = self._catalog.model(record.model)
        rollout = Rollout(msgspec.structs.replace(record, judged_since=now_s()), model, self._around)
        if not record.state.over:
            rollout.tell_of_restart()
        return rollout

    def _watch(self) -> None:
        """See to it that somebody looks, if there is anything to look at."""
        if self._watcher is None or self._watcher.done():
            with act_as(ROLLOUT):  # not as whoever has begun it
                self._watcher = asyncio.create_task(self._look_again_and_again())

    async def _look_again_and_again(self) -> None:
        before = self._clock()
        while running := [rollout for rollout in self._rollouts.values() if rollout.is_under_way]:
            await asyncio.sleep(self._look_s)
            before, passed_s = (now := self._clock()), (now - before) / NS_PER_S
            for rollout in running:
                await self._look(rollout, passed_s)

    async def _look(self, rollout: Rollout, passed_s: float) -> None:
        try:
            await rollout.look(passed_s)
        except Exception:  # one bad look must not end the rollouts of other models
            _log.exception("a look at the rollout of %s failed; its weight stays", rollout.record.model)


_DONE_ALREADY: Final = {Order.PAUSE: {Phase.PAUSED}, Order.RESUME: {Phase.HOLDING, Phase.WAITING}, Order.ABORT: set[Phase]()}
"""Phases in which an order changes nothing and is right all the same."""
_LEAVES_ROUTE: Final = {Phase.STOPPED, Phase.PROMOTED}
"""Ends after which the way back is the route's own, not the rollout's."""


def _arms(model: ServedModel | None) -> str:
    """Return which versions answer for a model, in words."""
    if model is None or not model.ready_versions:
        return "none"
    stable = f"stable = version {model.find('').identity.version}"
    canaries = () if model.split is None else model.split.route.canaries
    return ", ".join([stable, *(f"{canary.name} = {canary.version} at {canary.weight:g} %" for canary in canaries)])


def _default_stable(model: ServedModel) -> str:
    """Return what answers for a model without a route: the champion, or the highest ready number."""
    return CHAMPION if CHAMPION in model.aliases else model.find("").identity.version


def _ready_number(model: ServedModel, reference: str) -> str:
    try:
        return model.find(reference).identity.version
    except Unavailable as error:
        raise Conflict(f"the rollout cannot begin: {error.message}") from error


def _require_room(base: Route, plan: RolloutPlan) -> None:
    others = sum(canary.weight for canary in base.canaries)
    highest = plan.steps[-1].weight
    if others + highest >= _WHOLE:
        raise Conflict(
            f"the other canaries of the route have {others:g} %, so a step of {highest:g} % leaves nothing for the stable arm, which the "
            "canary is compared with; lower one of them"
        )
