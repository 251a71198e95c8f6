"""Shadows: versions that are asked what others have answered, whose answers are compared and then forgotten.

A shadow never changes or delays a prediction. It begins when its request has been answered; what it may use is what predictions leave over
(`batching/spare_time.py`); and whatever it does not get in time is dropped and counted.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from time import thread_time_ns
from typing import Final, NamedTuple

from penstock.batching.share import DeviceShare
from penstock.batching.spare_time import SpareTime
from penstock.domain.clock import NS_PER_MS, NS_PER_S, Clock, monotonic
from penstock.domain.errors import PenstockError
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.route import Shadow
from penstock.execution.pool import DevicePool
from penstock.inference.options import ShadowOptions
from penstock.inference.shadow_books import ShadowBooks
from penstock.inference.shadow_pair import ShadowPair
from penstock.inference.shadow_queue import HeldBytes, ShadowEnd, ShadowQueue
from penstock.inference.shadow_runs import RunSizes, ShadowRuns
from penstock.inference.shadow_turn import ShadowTurn
from penstock.inference.watch import Watch
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.version import ServedVersion
from penstock.traffic.marks import mark_of, threshold_of

_log = logging.getLogger(__name__)
_PACE_S: Final = 0.05
"""How often what waits is looked at. Nobody is in a hurry, and what has gathered meanwhile is run and compared together, for less."""
_MOST_PAIRS: Final = 64
_RECENT_NS: Final = 200 * NS_PER_MS
"""The time over which the event loop's load is looked at."""
_NOISE_SALT: Final = 1
_MERCY_NS: Final = NS_PER_S
"""What a run gets to end in, once it was told to: an operator is never ended in its middle."""


class _Place(NamedTuple):
    """One device as shadows see it."""

    spare: SpareTime
    pool: DevicePool


class Shadows:
    """Follows answered predictions with runs of shadow versions. Lives on the event loop."""

    def __init__(self, catalog: Catalog, options: ShadowOptions, clock: Clock = monotonic) -> None:
        self.watches: Final[dict[str, Watch]] = {}
        """What looks at the predictions of a model; models without shadows have none."""
        self.books: Final = ShadowBooks(options, HeldBytes(options.max_bytes))
        self.busy = False
        """Whether the event loop has no time to spare."""
        self._catalog = catalog
        self._options = options
        self._clock = clock
        self._noise = threshold_of(options.noise_sample)
        self._samples: dict[str, dict[str, float]] = {}
        self._places: dict[DeviceShare, _Place] = {}
        self._turns: set[ShadowTurn] = set()
        self._answered: list[tuple[InferenceRequest, InferenceResponse, Sequence[ShadowQueue]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._load = 0.0
        self._measured = (0, 0)
        self._closed = False

    def follow(self, model: str, shadows: Sequence[Shadow]) -> None:
        """Have a model's predictions followed by these shadows, and by no others from now on."""
        queues = self.books.shadows(model, [shadow.version for shadow in shadows])
        self._samples[model] = {shadow.version: shadow.sample for shadow in shadows}
        self.watches.pop(model, None)
        if shadows and not self._closed:
            wanted = [(threshold_of(shadow.sample), queue) for shadow, queue in zip(shadows, queues, strict=True)]
            self.watches[model] = Watch(wanted, self)

    def samples(self, model: str) -> Mapping[str, float]:
        """Return which part of a model's predictions each shadow of its route follows, by the shadow's version."""
        return self._samples.get(model, {})

    def answered(self, request: InferenceRequest, response: InferenceResponse, queues: Sequence[ShadowQueue]) -> None:
        """Hear of an answer that shadows are to follow: after the caller has, and before anything else is done about it."""
        if not self._answered:
            asyncio.get_running_loop().call_soon(self._take)
        self._answered.append((request, response, queues))

    def look_soon(self, within_s: float = _PACE_S) -> None:
        """See what may run, soon; as long as anything waits this goes on by itself."""
        if self._timer is None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(within_s, self._look)

    def close(self) -> None:
        """Drop everything: the server drains, and nobody waits for shadows."""
        self._closed = True
        self.watches.clear()
        for queue in self.books:
            queue.drop(ShadowEnd.DRAINED)
        for turn in self._turns:
            turn.runs.halt.ask()
        for place in self._places.values():
            place.pool.retire()

    def abandon(self) -> None:
        """Give back what turns hold that have not ended although they were asked to: a shadow that hangs keeps no server."""
        self.close()
        for turn in self._turns:
            turn.abandoned = True
            turn.courtesy.end()
            turn.version.release()
        self._turns.clear()

    def _take(self) -> None:
        """Take up what was answered in this turn of the event loop."""
        answered, self._answered = self._answered, []
        now_ns = self._clock()
        for request, response, queues in answered:
            try:
                for queue in self._followers(request, response, queues):
                    queue.offer(ShadowPair(request, response, now_ns))
            except Exception:
                _log.exception("a request could not be handed to its shadows for a reason of ours")
        self.look_soon()

    def _followers(self, request: InferenceRequest, response: InferenceResponse, queues: Sequence[ShadowQueue]) -> Iterator[ShadowQueue]:
        if self._closed:
            return
        yield from queues
        if mark_of(request.request_id or str(request.arrived_ns), _NOISE_SALT) < self._noise:
            yield self.books.noise(request.model, response.version.version)

    def _look(self) -> None:
        self._timer = None
        now_ns = self._clock()
        self._measure(now_ns)
        self._end_turns(now_ns)
        if not self.busy:
            for queue in sorted(self.books, key=lambda queue: queue.device_ns.total()):
                self._begin(queue, now_ns)
        if self.busy or self._turns or any(map(len, self.books)):
            self.look_soon()

    def _measure(self, now_ns: int) -> None:
        """Notice how busy the event loop is: its CPU time as a part of all time."""
        (then_ns, used_ns), self._measured = self._measured, (now_ns, thread_time_ns())
        if (passed_ns := now_ns - then_ns) > 0:
            self._load += (self._measured[1] - used_ns - passed_ns * self._load) / (passed_ns + _RECENT_NS)
        self.busy = self._load > self._options.max_loop_load

    def _end_turns(self, now_ns: int) -> None:
        """End what takes too long, and what keeps a version that is to be unloaded."""
        for turn in self._turns:
            if began_ns := turn.runs.began_ns:  # read once: the turn's thread writes it
                self._watch_run(turn, now_ns - began_ns)
            if turn.overdue or not turn.version.ready:
                turn.runs.halt.ask()

    def _watch_run(self, turn: ShadowTurn, ran_ns: int) -> None:
        """Give a run up that has taken too long, and tell of one that does not end for all that."""
        limit_s, queue = self._options.run_limit_s, turn.queue
        over_ns = ran_ns - int(limit_s * NS_PER_S)
        if over_ns > 0 and not turn.overdue:
            turn.overdue = True
            turn.courtesy.end()  # which would last as long as the run, and that may be for ever
            queue.last_error = f"a run was ended after {limit_s:g} s"
        elif over_ns > _MERCY_NS and queue.hangs_since is None:
            queue.hangs_since = time.time() - ran_ns / NS_PER_S  # noqa: TID251 - shown to people
            since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(queue.hangs_since))
            queue.last_error = (
                f"a run hangs since {since}: it was told to end after {limit_s:g} s, and its device runs no shadow until it does"
            )
            _log.warning("shadow %s of %s: %s", queue.reference, queue.model, queue.last_error)

    def _begin(self, queue: ShadowQueue, now_ns: int) -> None:
        """Give a queue the device of its version, if it is to be had."""
        if not len(queue):
            return
        version = self._version(queue)
        if version is None:
            queue.drop(ShadowEnd.NOT_READY)
            return
        place = self._place(version)
        if version.batcher.scheduler.backlog.jobs or (halt := place.spare.begin(now_ns)) is None:
            return
        readiness = version.readiness
        runs = ShadowRuns(readiness.sessions[0], readiness.schema, RunSizes.of(version.batcher), halt)
        sides = partial(self.books.side, queue, version.identity)
        turn = ShadowTurn(queue, queue.take(_MOST_PAIRS), version.acquire(), runs, sides)
        self._turns.add(turn)
        place.pool.submit(partial(self._work, turn, place, asyncio.get_running_loop()))

    def _version(self, queue: ShadowQueue) -> ServedVersion | None:
        try:
            return self._catalog.find(queue.model, queue.reference)
        except PenstockError as error:
            queue.last_error = error.message
            return None

    def _place(self, version: ServedVersion) -> _Place:
        tenant = version.batcher.scheduler.kinds[0].tenant
        assert tenant is not None, "every version that was loaded has a claim on its device"  # noqa: S101
        if tenant.device not in self._places:
            self._forget_places()
            pool = DevicePool(f"shadows-{len(self._places)}", 1)
            self._places[tenant.device] = _Place(SpareTime(tenant.device, self._options.device_share), pool)
        return self._places[tenant.device]

    def _forget_places(self) -> None:
        """Let go of devices that no version has a claim on any more: those in worker processes have one each."""
        for share in [share for share, place in self._places.items() if not share.tenants and not place.spare.taken]:
            self._places.pop(share).pool.retire()

    def _work(self, turn: ShadowTurn, place: _Place, loop: asyncio.AbstractEventLoop) -> None:
        turn.work()
        try:
            loop.call_soon_threadsafe(self._over, turn, place)
        except RuntimeError:  # the loop has been closed: nobody is left to hear of it
            _log.debug("a shadow ended after its event loop was closed")

    def _over(self, turn: ShadowTurn, place: _Place) -> None:
        place.spare.end(turn.took_ns, self._clock())
        again = turn.over()
        turn.queue.put_back(again)
        if turn.abandoned:
            return
        self._turns.discard(turn)
        turn.version.release()
        if self._closed:
            turn.queue.drop(ShadowEnd.DRAINED)
        elif self._timer is not None and len(turn.queue) >= _MOST_PAIRS:
            self._timer.cancel()
            self._look()
