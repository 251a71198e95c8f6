"""What the process that leads a run and those that ask say to each other: MessagePack, each with its length before it."""

import asyncio
from typing import Final, TypeVar

import msgspec

from penstock.bench.arrivals import Load
from penstock.bench.plan import Target

_LENGTH_BYTES: Final = 4
_M = TypeVar("_M")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One process's part of a run."""

    target: Target
    load: Load
    bodies: tuple[bytes, ...]
    warmup_s: float
    duration_s: float
    share: int
    """Which of the `shares` parts this is."""
    shares: int
    max_outstanding: int
    """This part's own."""


class Go(msgspec.Struct, frozen=True):
    """The first request is due at this moment of the monotonic clock, which all processes of a machine share."""

    start_ns: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The process is connected and waits for `Go`."""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The process cannot take part."""

    why: str


class Progress(msgspec.Struct, frozen=True, tag=True):
    """How far it has come."""

    answered: int = 0
    failed: int = 0
    outstanding: int = 0


class FailureCount(msgspec.Struct, frozen=True):
    """Failures of one kind."""

    kind: str
    count: int
    sample: str
    """What was said in the first of them."""


class Report(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What one process has seen of the measured part of a run."""

    due: int
    sent: int
    succeeded: int
    failed: int
    finished: int
    """Successful answers that came before the end."""
    latencies_us: dict[int, int]
    """How many there were of each bucket of `bucket_us`."""
    lags_us: dict[int, int]
    """The same of how late requests were sent."""
    failures: tuple[FailureCount, ...]
    due_per_ms: bytes
    """Requests due in each millisecond, the warm-up's included; 32-bit integers."""
    answered_per_ms: bytes
    cpu_share: float
    """How much of a core the process used."""
    waited_share: float
    """How much of the time it was ready to run and had no core."""


FromWorker = Ready | Refused | Progress | Report


def packed(message: msgspec.Struct) -> bytes:
    """Return the message as it goes through a pipe."""
    data = msgspec.msgpack.encode(message)
    return len(data).to_bytes(_LENGTH_BYTES) + data


async def to_worker(stream: asyncio.StreamReader, kind: type[_M]) -> _M | None:
    """Return the next message to a process that asks, or None once the leading process has nothing more to say."""
    data = await _unpacked(stream)
    return None if data is None else msgspec.msgpack.decode(data, type=kind)


async def from_worker(stream: asyncio.StreamReader) -> FromWorker | None:
    """Return the next message of a process that asks, or None if it has gone."""
    data = await _unpacked(stream)
    return None if data is None else msgspec.msgpack.decode(data, type=FromWorker)


async def _unpacked(stream: asyncio.StreamReader) -> bytes | None:
    try:
        return await stream.readexactly(int.from_bytes(await stream.readexactly(_LENGTH_BYTES)))
    except asyncio.IncompleteReadError:
        return None
