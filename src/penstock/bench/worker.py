"""One process that asks: started by `workers.py` as `python -m penstock.bench.worker`, takes a job on stdin, reports on stdout."""

import asyncio
import contextlib
import gc
import resource
import sys
import time
from typing import Final

import msgspec
import uvloop

from penstock.bench.arrivals import Closed
from penstock.bench.client import Client
from penstock.bench.clients import client_of
from penstock.bench.cpu import waited_s
from penstock.bench.loops import loop_of, share_of
from penstock.bench.messages import Go, Job, Ready, Refused, packed, to_worker
from penstock.bench.plan import CannotMeasure
from penstock.bench.recorder import Recorder
from penstock.domain.clock import NS_PER_S, monotonic

_PROGRESS_S: Final = 0.2
_PATIENCE_S: Final = 10.0
_FIRST_CONNECTIONS: Final = 8
_MS_PER_S: Final = 1000


def main() -> None:
    """Do one job, round by round, and end when there is no other to come."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    with contextlib.suppress(BrokenPipeError):  # The process that leads the run has gone.
        uvloop.run(_work())


async def _work() -> None:
    orders = await _stdin()
    job = await to_worker(orders, Job)
    if job is None:
        return
    client = client_of(job.target)
    # Imports and the job stay for good: no collection need look at them.
    gc.freeze()
    try:
        await client.start(_connections(job))
    except CannotMeasure as error:
        _say(Refused(str(error)))
        return
    _say(Ready())
    await _rounds(job, client, orders)
    await client.close()


async def _rounds(job: Job, client: Client, orders: asyncio.StreamReader) -> None:
    go = await to_worker(orders, Go)
    while go is not None:
        asking = asyncio.create_task(_ask(job, client, go.start_ns))
        following = asyncio.create_task(to_worker(orders, Go))
        await asyncio.wait({asking, following}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            return  # The orders have ended in the midst of a round: there is nobody to work for.
        asking.result()
        go = await following


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def _ask(job: Job, client: Client, start_ns: int) -> None:
    recorder = Recorder(start_ns, job.warmup_s, job.duration_s, closed=isinstance(job.load, Closed))
    ended = asyncio.Event()
    loop = loop_of(job, client, recorder, ended.set)
    await asyncio.sleep((start_ns - monotonic()) / NS_PER_S)
    cpu, waited = time.thread_time(), waited_s()
    progress = asyncio.create_task(_tell(recorder))
    loop.start()
    await ended.wait()
    span_s = (monotonic() - start_ns) / NS_PER_S
    shares = (time.thread_time() - cpu) / span_s, (waited_s() - waited) / span_s
    await _last_answers(recorder, _patience_s(job))
    progress.cancel()
    _say(recorder.report(*shares))


async def _last_answers(recorder: Recorder, patience_s: float) -> None:
    """Wait for the answers that are still to come, but not for ever."""
    give_up_ns = monotonic() + round(patience_s * NS_PER_S)
    # Looked at now and then: an event would have to be set, or not, by each answer on the path that is measured.
    while recorder.outstanding and monotonic() < give_up_ns:  # noqa: ASYNC110 - see above
        await asyncio.sleep(0.01)
    recorder.unanswered(monotonic())


async def _tell(recorder: Recorder) -> None:
    while True:
        await asyncio.sleep(_PROGRESS_S)
        _say(recorder.progress)


def _say(message: msgspec.Struct) -> None:
    sys.stdout.buffer.write(packed(message))
    sys.stdout.buffer.flush()


def _connections(job: Job) -> int:
    if isinstance(job.load, Closed):
        return share_of(job.load.concurrency, job.share, job.shares)
    return min(_FIRST_CONNECTIONS, job.max_outstanding)


def _patience_s(job: Job) -> float:
    deadline_ms = job.target.deadline_ms
    return _PATIENCE_S if deadline_ms is None else deadline_ms / _MS_PER_S + 1


if __name__ == "__main__":
    main()
