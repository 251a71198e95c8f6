"""The two ways to ask: at moments that are given, or whenever an answer has come."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle, islice
from typing import Final, Protocol

from penstock.bench.alarm import Alarm
from penstock.bench.arrivals import Closed, with_warmup
from penstock.bench.client import Client, Failure
from penstock.bench.messages import Job
from penstock.bench.recorder import Recorder
from penstock.domain.clock import NS_PER_S, monotonic

_GRACE_NS: Final = 100_000_000
"""So long after the end a request is still sent that was due before it: being late counts as latency, not as missing."""
_AFTER_A_LOST_CONNECTION_S: Final = 0.05


class Loop(Protocol):
    """Sends requests until the end of a run."""

    def start(self) -> None:
        """Begin."""


def loop_of(job: Job, client: Client, recorder: Recorder, ended: Callable[[], None]) -> Loop:
    """Return the loop of a job's load; it calls `ended` once, when nothing will be sent any more."""
    bodies = cycle(job.bodies[job.share % len(job.bodies) :] + job.bodies[: job.share % len(job.bodies)])
    if isinstance(job.load, Closed):
        return ClosedLoop(client, recorder, bodies, ended, share_of(job.load.concurrency, job.share, job.shares))
    offsets = islice(with_warmup(job.load, job.warmup_s, job.duration_s), job.share, None, job.shares)
    moments = (recorder.start_ns + round(offset * NS_PER_S) for offset in offsets)
    return OpenLoop(client, recorder, bodies, ended, moments=moments, max_outstanding=job.max_outstanding)


def share_of(whole: int, share: int, shares: int) -> int:
    """Return one part of a whole that is divided as evenly as integers allow."""
    return whole // shares + (share < whole % shares)


class OpenLoop:
    """Sends each request when it is due, whatever has become of those before it."""

    def __init__(
        self,
        client: Client,
        recorder: Recorder,
        bodies: Iterator[bytes],
        ended: Callable[[], None],
        *,
        moments: Iterator[int],
        max_outstanding: int,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._bodies = bodies
        self._ended = ended
        self._moments = moments
        self._max_outstanding = max_outstanding
        self._alarm = Alarm(self._tick)
        self._next_ns: int | None = None

    def start(self) -> None:
        """Begin."""
        self._next_ns = next(self._moments, None)
        self._tick()

    def _tick(self) -> None:
        """Send what is due. The clock is read once, so that answers are read between one tick and the next."""
        now_ns = monotonic()
        if now_ns >= self._recorder.end_ns + _GRACE_NS:
            self._miss_the_rest()
        while self._next_ns is not None and self._next_ns <= now_ns:
            self._send(self._next_ns)
            self._next_ns = next(self._moments, None)
        if self._next_ns is None:
            self._alarm.close()
            self._ended()
        else:
            self._alarm.set(self._next_ns)

    def _miss_the_rest(self) -> None:
        while self._next_ns is not None:
            self._recorder.missed(self._next_ns)
            self._next_ns = next(self._moments, None)

    def _send(self, due_ns: int) -> None:
        if self._recorder.outstanding >= self._max_outstanding:
            self._recorder.missed(due_ns)
            return
        number = self._recorder.sent(due_ns, monotonic())
        self._client.ask(next(self._bodies), partial(self._answered, number))

    def _answered(self, number: int, failure: Failure | None) -> None:
        self._recorder.answered(number, monotonic(), failure)


class ClosedLoop:
    """Keeps a number of requests under way: each answer sends the next."""

    def __init__(self, client: Client, recorder: Recorder, bodies: Iterator[bytes], ended: Callable[[], None], concurrency: int) -> None:
        self._client = client
        self._recorder = recorder
        self._bodies = bodies
        self._ended = ended
        self._concurrency = concurrency

    def start(self) -> None:
        """Begin."""
        asyncio.get_running_loop().call_later((self._recorder.end_ns - monotonic()) / NS_PER_S, self._ended)
        for _ in range(self._concurrency):
            self._ask()

    def _ask(self) -> None:
        now_ns = monotonic()
        if now_ns < self._recorder.end_ns:
            number = self._recorder.sent(now_ns, now_ns)
            self._client.ask(next(self._bodies), partial(self._answered, number))

    def _answered(self, number: int, failure: Failure | None) -> None:
        self._recorder.answered(number, monotonic(), failure)
        if failure is not None and failure.kind == "connection":
            # A server that is gone refuses at once; nobody learns more from being refused a thousand times a second.
            asyncio.get_running_loop().call_later(_AFTER_A_LOST_CONNECTION_S, self._ask)
        else:
            self._ask()
