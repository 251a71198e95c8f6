"""One rollout that is under way: looks at both arms, asks the judge, and does what the table of steps says."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import msgspec

from penstock.domain.errors import PenstockError
from penstock.domain.route import Canary, Route
from penstock.lifecycle.arm_counts import ArmCounts
from penstock.lifecycle.beside import beside
from penstock.lifecycle.catalog import ServedModel
from penstock.lifecycle.metric_pairs import MetricPairs
from penstock.lifecycle.promotions import Promotions
from penstock.lifecycle.rollout_record import Record, RolloutStore, now_s
from penstock.lifecycle.routes import Routes
from penstock.lifecycle.version import ServedVersion
from penstock.telemetry.readings import Readings
from penstock.telemetry.statistics import SPREAD_EDGES_NS
from penstock.traffic.gate_verdict import GateVerdict
from penstock.traffic.judge import Judge
from penstock.traffic.rollout import Action, Order, Phase, State, View, advance
from penstock.traffic.share import Share
from penstock.traffic.span import Pair, Span

_log = logging.getLogger(__name__)
_NUMBERS_EVERY: Final = 10
"""A look at metrics comes with every so many looks at the arms."""


Disagreement = Callable[[str, str, str], Share]
"""Tells how many answers of a model's canary a shadow's comparison with its stable version has found to differ, of all so far."""


class OutputDrift(Protocol):
    """Compares what two versions of a model answer at the same time."""

    def obstacle(self, model: str, canary: str, stable: str) -> str:
        """Return why the outputs of two versions, by their numbers, cannot be compared; "" if they can."""

    def between(self, model: str, canary: tuple[str, str], stable: tuple[str, str]) -> float | None:
        """Return how far the outputs of two arms lie apart, each a version and the arm's name; None if nothing new is known."""


class Surroundings(NamedTuple):
    """What rollouts work with."""

    routes: Routes
    store: RolloutStore
    readings: Readings
    promotions: Promotions
    disagreement: Disagreement | None = None
    """None on a server that compares no shadows."""
    drift: OutputDrift | None = None
    """None on a server that does not watch outputs."""


class Rollout:
    """Lives on the event loop. One step at a time: a look and an order never interleave."""

    def __init__(self, record: Record, model: ServedModel, around: Surroundings) -> None:
        self.record = record
        self._model = model
        self._around = around
        self._turn = asyncio.Lock()
        gates = record.state.plan.gates
        self._judge = Judge(gates, SPREAD_EDGES_NS, sticky=record.base.sticky is not None)
        self._canary, self._stable = ArmCounts(record.arm), ArmCounts("stable")
        self._metrics = MetricPairs(around.readings, tuple(gate.name for gate in gates.metrics))
        self._looks = 0
        self.obstacle = ""
        """Why what is pending cannot be done."""
        self._kept: Record | None = None
        """What is on the disk, as far as this process knows."""
        self._compared = self._all_compared()
        for counts, number in ((self._canary, record.version), (self._stable, record.stable)):
            if (version := self._version(number)) is not None:
                counts.begin(version.statistics)

    @property
    def state(self) -> State:
        """Where the rollout is."""
        return self.record.state

    def verdicts(self) -> tuple[GateVerdict, ...]:
        """Return what the gates say of the next step; of one that is over, what they said at its end."""
        return self.record.verdicts if self.state.over else self._judge.verdicts(self.state.next_weight)

    @property
    def is_under_way(self) -> bool:
        """Whether there is anything to look at or to do."""
        return not self.state.over or self.record.pending is not None

    def tell_of_restart(self) -> None:
        """Say that the rollout goes on where it was when an earlier process ended."""
        why = "the server has started again; hold time that was served counts, the numbers of the gates begin anew"
        self._model.events.add("rollout", "rollout", "", _told(self.state), why)

    async def look(self, passed_s: float) -> None:
        """Count, judge, and take the step that follows; keep the record."""
        async with self._turn:
            if not self.is_under_way:
                return
            await self._do_pending()
            if not self.state.over:
                self._hear()
                await self._step(self._view(passed_s))
            await self._keep()

    async def order(self, order: Order) -> None:
        """Do what somebody asks; returns once it is done. A route that somebody has changed meanwhile is theirs, whatever is asked."""
        async with self._turn:
            await self._do_pending()
            await self._step(View(order=order, foreign=self._foreign()))
            await self._keep()

    async def begin(self, revision: int) -> None:
        """Give the canary the weight of the first step; raises what `Routes.put` raises, and nothing has changed then.

        `revision` is that of the route which the plan was made for.
        """
        async with self._turn:
            self.record = msgspec.structs.replace(self.record, pending=Action.SET_WEIGHT)
            await self._keep()
            await self._put(self._route(), revision)
            self.record = msgspec.structs.replace(self.record, pending=None)
            self._tell(None)
            await self._keep()

    def _hear(self) -> None:
        canary, stable = self._version(self.record.version), self._version(self.record.stable)
        if canary is None or stable is None:
            return
        spans = self._stable.span(stable.statistics), self._canary.span(canary.statistics)
        self._judge.take(Span(*spans, self._disagreement(), self._numbers()))
        self._looks += 1

    def _disagreement(self) -> Share:
        before, now = self._compared, self._all_compared()
        self._compared = now
        # What counts as a difference may shrink as the noise of the model is learnt.
        return Share(max(0, now.bad - before.bad), now.of - before.of) if now.of >= before.of else now

    def _all_compared(self) -> Share:
        disagreement = self._around.disagreement
        return Share() if disagreement is None else disagreement(self._model.name, self.record.version, self.record.stable)

    def _numbers(self) -> dict[str, Pair]:
        arms = (self.record.version, self.record.arm), (self.record.stable, "stable")
        numbers = {} if self._looks % _NUMBERS_EVERY else self._metrics.since(self._model.name, *arms)
        if self._around.drift is not None and self.state.plan.gates.drift is not None:
            drift = self._around.drift.between(self._model.name, *arms)
            numbers |= {} if drift is None else {"drift": Pair(drift)}
        return numbers

    def _view(self, passed_s: float) -> View:
        state = self.state
        if self.record.pending is not None:
            passed_s, missing = 0.0, f"the route does not take the weight of {state.weight:g} %"
        else:
            missing = self._judge.missing(state.next_weight) if passed_s >= state.left_s else ""
        return View(
            passed_s=passed_s,
            broken=self._judge.broken(state.next_weight),
            missing=missing,
            foreign=self._foreign(),
            stranded=self._stranded(),
        )

    def _foreign(self) -> str:
        return "" if self._is_ours() else "somebody has changed the route meanwhile; it stays as they left it"

    def _is_ours(self) -> bool:
        """Tell whether the route in force is the one that the rollout put last, or was about to when the server died."""
        active = self._around.routes.of(self._model.name)
        return (active and active.route) in (self.record.put, self._route())

    def _stranded(self) -> str:
        """Return why the canary cannot go on: one of the two versions is not there any more, or is another one."""
        try:
            stable = self._stable_number()
        except PenstockError as error:
            return f"the stable version cannot be told: {error.message}"
        if stable != self.record.stable:
            return f"the stable version has become {stable}, it was {self.record.stable}"
        if self._version(self.record.version) is None:
            return f"version {self.record.version} is not ready any more"
        return ""

    def _stable_number(self) -> str:
        active = self._around.routes.of(self._model.name)
        return self._model.find(self.record.base.stable if active is None else active.route.stable).identity.version

    async def _step(self, view: View) -> None:
        before = self.state
        state, actions = advance(before, view)
        self.record = msgspec.structs.replace(self.record, state=state)
        if (state.phase, state.step) != (before.phase, before.step):
            self._enter(before)
        for action in actions:
            self.record = msgspec.structs.replace(self.record, pending=action)
            await self._keep()
            await self._do_pending()

    def _enter(self, before: State) -> None:
        verdicts = self._judge.verdicts(before.next_weight) if self.state.over else ()
        self.record = msgspec.structs.replace(self.record, changed=now_s(), verdicts=verdicts)
        if self.state.step != before.step:
            self._judge.begin_step()
        self._tell(before)

    def _tell(self, before: State | None) -> None:
        name, state = self._model.name, self.state
        was = "" if before is None else _told(before)
        why = state.why or f"the canary is version {self.record.version}, the stable version {self.record.stable}"
        self._model.events.add("rollout", "rollout", was, _told(state), why)
        _log.log(logging.WARNING if state.phase in _BAD else logging.INFO, "rollout of %s: %s, because: %s", name, _told(state), why)

    async def _do_pending(self) -> None:
        """Do what has been decided; what cannot be done now is tried again at the next look."""
        action = self.record.pending
        if action is None:
            return
        try:
            refused = await self._do(action)
        except PenstockError as error:
            if error.message != self.obstacle:  # once, not at every look
                _log.warning("rollout of %s: %s has to wait: %s", self._model.name, action, error.message)
            self.obstacle = error.message
            return
        self.obstacle = ""
        self.record = msgspec.structs.replace(self.record, pending=None)
        if action is Action.PROMOTE:
            await self._step(View(refused=refused) if refused else View(promoted=True))

    async def _do(self, action: Action) -> str:
        """Do it; returns why a promotion was refused."""
        if action is Action.PROMOTE:
            return await self._promote()
        if self._is_ours():
            await (self._put(self._route(), self._revision) if action is Action.SET_WEIGHT else self._leave())
        return ""

    async def _leave(self, before: str | None = None) -> None:
        """Take the canary out of the route; a model that had no route has none again.

        After a promotion `before` is the version that was stable, which the route remembers for the way back.
        """
        active = self._around.routes.of(self._model.name)
        if active is not None and not self.record.keeps_route:
            await self._around.routes.remove(self._model.name, who="rollout", why=self.state.why, before=before)
        elif active is not None:
            others = tuple(canary for canary in active.route.canaries if canary.name != self.record.arm)
            if others != active.route.canaries:
                await self._put(msgspec.structs.replace(active.route, canaries=others), self._revision, before)

    async def _promote(self) -> str:
        try:
            half_done = self._stable_number() == self.record.version  # the server died before it could keep that
            if not half_done:
                await self._around.promotions.promote(self._model.name, self.record.arm)
            if half_done or not self.record.keeps_route:
                await self._leave(self.record.stable)
        except PenstockError as error:
            return error.message
        return ""

    @property
    def _revision(self) -> int:
        """The route's, as it is now: whoever changes it while a change of ours waits its turn has the last word."""
        return self._around.routes.revision(self._model.name)

    async def _put(self, route: Route, revision: int, before: str | None = None) -> None:
        why = self.state.why or "the rollout has begun"
        await self._around.routes.put(self._model.name, route, who="rollout", why=why, if_match=revision, before=before)
        self.record = msgspec.structs.replace(self.record, put=route)

    def _route(self) -> Route:
        canary = Canary(self.record.arm, self.record.version, self.state.weight)
        return msgspec.structs.replace(self.record.base, canaries=(*self.record.base.canaries, canary))

    def _version(self, number: str) -> ServedVersion | None:
        version = self._model.versions.get(int(number))
        return version if version is not None and version.ready else None

    async def _keep(self) -> None:
        """Write the record if it has changed: a rollout that is paused for a week leaves the disk alone."""
        record = self.record
        if record != self._kept and await beside(lambda: self._around.store.keep(record)):
            self._kept = record


_BAD: Final = frozenset({Phase.ROLLED_BACK, Phase.STOPPED})


def _told(state: State) -> str:
    return str(state.phase) if state.over else f"{state.phase} at {state.weight:g} %"
