"""Starts the processes that ask, lets them begin together, and collects what they report."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Final, Self

from penstock.bench.messages import FromWorker, Go, Job, Progress, Ready, Refused, Report, from_worker, packed
from penstock.bench.plan import CannotMeasure

Watch = Callable[[Progress], None]
"""Is told the sum over all processes, now and then."""

_READ_BYTES: Final = 1 << 20


class Workers:
    """Processes that are connected and wait, round after round."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes

    @classmethod
    async def start(cls, jobs: Sequence[Job]) -> Self:
        """Return workers, one for each job. Raises `CannotMeasure` if one cannot take part."""
        workers = cls(await asyncio.gather(*map(_start, jobs)))
        try:
            for process in workers._processes:
                await _until_ready(process)
        except BaseException:
            await workers.close()
            raise
        return workers

    async def round(self, start_ns: int, watch: Watch) -> list[Report]:
        """Let the first request be due at that moment; return what each has seen when all are done."""
        seen = [Progress() for _ in self._processes]
        for process in self._processes:
            _stdin(process).write(packed(Go(start_ns)))
        return await asyncio.gather(*(_report(number, process, seen, watch) for number, process in enumerate(self._processes)))

    async def close(self) -> None:
        """Let the processes leave, or end those that do not."""
        await asyncio.gather(*map(_end, self._processes))


async def _report(number: int, process: Process, seen: list[Progress], watch: Watch) -> Report:
    while not isinstance(message := await _message(process), Report):
        assert isinstance(message, Progress)  # noqa: S101 - the order of what a worker says
        seen[number] = message
        watch(reduce(_sum, seen))
    return message


def _sum(one: Progress, other: Progress) -> Progress:
    return Progress(one.answered + other.answered, one.failed + other.failed, one.outstanding + other.outstanding)


async def _start(job: Job) -> Process:
    # -P: a directory of the user's that is called like a package of ours is not imported. A session of its own: Ctrl-C
    # reaches the leading process alone, and the others end when their stdin does.
    command = [sys.executable, "-P", "-m", "penstock.bench.worker"]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=_READ_BYTES, start_new_session=True)
    _stdin(process).write(packed(job))
    return process


async def _until_ready(process: Process) -> None:
    match await _message(process):
        case Ready():
            return
        case Refused(why):
            raise CannotMeasure(why)
        case message:
            raise AssertionError(f"a worker began with {type(message).__name__}")


async def _message(process: Process) -> FromWorker:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    message = await from_worker(process.stdout)
    if message is None:
        raise CannotMeasure(f"a process that asks ended with exit code {await process.wait()}")
    return message


def _stdin(process: Process) -> asyncio.StreamWriter:
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    return process.stdin


async def _end(process: Process) -> None:
    """Let a process leave that waits for another round; end one that is in the midst of one."""
    _stdin(process).close()
    try:
        await asyncio.wait_for(process.wait(), 1)
    except TimeoutError:
        process.kill()
        await process.wait()
