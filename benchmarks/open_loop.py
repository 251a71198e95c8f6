"""An open loop of HTTP requests that remembers every answer: when it was due, when it came, and with which status.

`penstock bench` counts successes; here the refusals are what is looked at. Requests are sent when they are due, on as many connections
as it takes, and times count from that moment (no coordinated omission).
"""

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable
from itertools import accumulate
from time import perf_counter
from typing import Final, NamedTuple

_GIVE_UP_S: Final = 30.0
_HEAD_END: Final = b"\r\n\r\n"
_OK: Final = 200


class Answer(NamedTuple):
    """One answer."""

    due_s: float
    """When its request was due, from the start of the loop."""
    took_s: float
    """From that moment to the last byte of the answer."""
    status: int
    body: bytes

    @property
    def came_s(self) -> float:
        """After how long the caller had what it wanted: never, if that was refused or failed, however quickly."""
        return self.took_s if self.status == _OK else math.inf


class Asked(NamedTuple):
    """What is sent: a path, headers and a body."""

    path: str
    headers: dict[str, str]
    body: bytes


class OpenLoop:
    """Sends requests to a server at given moments."""

    def __init__(self, address: str, ask: Callable[[int], Asked]) -> None:
        """`ask` returns the request of a number."""
        host, port = address.rsplit(":", 1)
        self._address = host, int(port)
        self._ask = ask
        self._idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()
        self._cut_after_s: Callable[[int], float | None] = lambda _: None
        self.answers: list[Answer] = []
        self.cut = 0
        """Requests whose caller left before the answer."""

    def run(self, arrivals_s: list[float], cut_after_s: Callable[[int], float | None] = lambda _: None) -> list[Answer]:
        """Send one request at each moment and return the answers; `cut_after_s` tells after how long a caller leaves, None for never."""
        self._cut_after_s = cut_after_s
        asyncio.run(asyncio.wait_for(self._loop(arrivals_s), arrivals_s[-1] + _GIVE_UP_S))
        return self.answers

    async def _loop(self, arrivals_s: list[float]) -> None:
        started, tasks = perf_counter(), set()
        for number, due_s in enumerate(arrivals_s):
            if (early_s := started + due_s - perf_counter()) > 0:
                await asyncio.sleep(early_s)
            tasks.add(asyncio.create_task(self._one(number, started, due_s)))
        await asyncio.gather(*tasks)
        while self._idle:
            self._idle.pop()[1].close()

    async def _one(self, number: int, started: float, due_s: float) -> None:
        limit_s = self._cut_after_s(number)
        if limit_s is None:
            status, body = await self._exchange(self._ask(number))
            self.answers.append(Answer(due_s, perf_counter() - started - due_s, status, body))
            return
        try:
            async with asyncio.timeout(limit_s):
                status, body = await self._exchange(self._ask(number))
                self.answers.append(Answer(due_s, perf_counter() - started - due_s, status, body))
        except TimeoutError:
            self.cut += 1

    async def _exchange(self, asked: Asked) -> tuple[int, bytes]:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(*self._address)
        try:
            lines = [f"POST {asked.path} HTTP/1.1", "Host: bench", f"Content-Length: {len(asked.body)}"]
            lines += [f"{name}: {value}" for name, value in asked.headers.items()]
            writer.write("\r\n".join(lines).encode() + _HEAD_END + asked.body)
            head = await reader.readuntil(_HEAD_END)
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body = await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        if b"\r\nconnection: close" in head.lower():
            writer.close()
        else:
            self._idle.append((reader, writer))
        return int(head[9:12]), body


def poisson(rate: float, seconds: float, seed: int) -> list[float]:
    """Return the moments of Poisson arrivals, in seconds."""
    source = random.Random(seed)
    return list(accumulate(source.expovariate(rate) for _ in range(int(rate * seconds))))


def quantile(values: list[float], share: float) -> float:
    """Return the value below which that share lies; nan of nothing."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")
