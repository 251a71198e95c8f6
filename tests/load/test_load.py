"""Under load each answer belongs to its request, versions change without a failed request, and a stop loses nothing."""

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Self

import pytest

CLIENTS: Final = 16
MODELS: Final = ("tagged", "id_fp32", "addsub")
ROWS: Final = (1, 2, 3, 5, 8)
DRAIN_S: Final = 60
ANNOUNCE_S: Final = 0.5
REFUSALS_WHILE_DRAINING: Final = {"503", "UNAVAILABLE"}

pytestmark = pytest.mark.asyncio


def plan(start: int) -> Iterator[tuple[int, str, int]]:
    """Yield (way, model, rows) for ever, each client with a different beginning."""
    for turn in itertools.count(start):
        yield turn % 4, MODELS[turn // 4 % len(MODELS)], ROWS[turn % len(ROWS)]


async def ask(crowd: Any, turn: tuple[int, str, int]) -> None:
    """Ask one question of the plan; a wrong answer, or a refusal, raises."""
    way, model, rows = turn
    await crowd.ways[way](crowd.tags.question(model, rows))


async def run_for(crowd: Any, requests: int) -> None:
    """Send so many requests from all clients together."""

    async def client(number: int) -> None:
        for turn in itertools.islice(plan(number * 7), requests // CLIENTS + (number < requests % CLIENTS)):
            await ask(crowd, turn)

    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(client(number))


@pytest.mark.parametrize("requests", [200, pytest.param(1_000, marks=pytest.mark.slow)])
async def test_each_answer_belongs_to_its_request(
    serve: Callable[..., Any], crowd: Callable[[Any], Any], balanced: Callable[[Any], Any], requests: int
) -> None:
    """Sixteen clients, both protocols, three models, mixed batch sizes: no row reaches another caller."""
    with serve() as server:
        async with crowd(server) as clients:
            await run_for(clients, requests)

            assert clients.sent.total() == requests
            await balanced(clients)


class Load:
    """Clients that ask without a pause until they are told to stop."""

    def __init__(self, crowd: Any, clients: int = CLIENTS) -> None:
        self._crowd = crowd
        self._clients = clients
        self._over = False

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        for number in range(self._clients):
            self._group.create_task(self._client(number))
        return self

    async def __aexit__(self, *raised: object) -> None:
        self._over = True
        await self._group.__aexit__(*raised)

    async def _client(self, number: int) -> None:
        for turn in plan(number * 7):
            if self._over:
                return
            await ask(self._crowd, turn)


@pytest.mark.parametrize("swaps", [10, pytest.param(100, marks=pytest.mark.slow)])
async def test_swaps_on_request_fail_nothing(
    *,
    serve: Callable[..., Any],
    crowd: Callable[[Any], Any],
    balanced: Callable[[Any], Any],
    eventually: Callable[..., Any],
    registry: Path,
    models: ModuleType,
    swaps: int,
) -> None:
    """A load is over when the new version answers; every answer is that of the version that it names."""
    with serve("registry.poll_s=0") as server:
        async with crowd(server) as clients, Load(clients):
            for version in range(2, swaps + 2):
                models.write_tagged(registry, version)
                await (clients.load("tagged") if version % 2 else clients.load_over_http("tagged"))
                await clients.ask_json(clients.tags.question("tagged", 1))
                assert str(version) in clients.versions["http"], "the load answered before the version did"
                await eventually(lambda v=str(version): v in clients.versions["grpc"], f"gRPC sees version {version}")
        await balanced(clients)

    wanted = {str(version) for version in range(1, swaps + 2)}
    assert clients.versions["http"] | {"1"} == wanted
    assert clients.versions["grpc"] | {"1"} == wanted


@pytest.mark.parametrize("swaps", [3, pytest.param(30, marks=pytest.mark.slow)])
async def test_swaps_by_polling_fail_nothing(
    *,
    serve: Callable[..., Any],
    crowd: Callable[[Any], Any],
    balanced: Callable[[Any], Any],
    eventually: Callable[..., Any],
    registry: Path,
    models: ModuleType,
    swaps: int,
) -> None:
    """New versions that appear in the registry are found, loaded and take over by themselves."""
    with serve("registry.poll_s=0.1") as server:
        async with crowd(server) as clients, Load(clients, clients=8):
            for version in range(2, swaps + 2):
                models.write_tagged(registry, version)
                await eventually(lambda v=str(version): clients.seen_by_all(v), f"version {version} answers", 60)
        await balanced(clients)


async def test_sigterm_under_load_loses_nothing_that_was_accepted(
    *,
    serve: Callable[..., Any],
    crowd: Callable[[Any], Any],
    eventually: Callable[..., Any],
    registry: Path,
    models: ModuleType,
    refused: type[Any],
    lost: type[Exception],
) -> None:
    """Readiness turns off first, what is under way is answered, and the process ends with 0 by itself."""
    models.write_slow(registry)  # 300 ms each, one after the other: the last of three outlives the announcement
    notice, surprises, served_after_notice = asyncio.Event(), list[str](), 0
    drains_s = math.inf  # a busy machine may see that readiness is off only once the announcement is over

    with serve(f"server.announce_s={ANNOUNCE_S}", f"server.drain_s={DRAIN_S}") as server:
        async with crowd(server) as clients:

            async def client(number: int) -> None:
                nonlocal served_after_notice
                for turn in plan(number * 7):
                    noticed = notice.is_set()
                    try:
                        await ask(clients, turn)
                    except refused as refusal:
                        told = notice.is_set() or time.monotonic() >= drains_s
                        if not told or refusal.status not in REFUSALS_WHILE_DRAINING:
                            surprises.append(str(refusal))
                        return
                    except lost as error:
                        # Fair only for what was sent into a connection that was being closed: nothing was accepted.
                        if not noticed:
                            surprises.append(str(error))
                        return
                    served_after_notice += noticed

            slow = [asyncio.create_task(clients.ask_slow(protocol)) for protocol in ("http", "grpc", "http")]
            async with asyncio.TaskGroup() as group:
                await eventually(lambda: slow_received(server) == len(slow), "three slow requests are accepted")
                for number in range(CLIENTS):
                    group.create_task(client(number))
                await eventually(lambda: clients.sent.total() > 3 * CLIENTS, "load")
                drains_s = time.monotonic() + ANNOUNCE_S
                server.terminate()
                await eventually(lambda: is_off(clients), "readiness turns off")
                notice.set()
            answers = await asyncio.gather(*slow)
            code = await asyncio.to_thread(server.process.wait, DRAIN_S)

    assert not surprises
    assert served_after_notice > 0, "requests were served while the stop was being announced"
    assert answers == [1.0, 1.0, 1.0]
    assert code == 0, server.last_words()


async def is_off(crowd: Any) -> bool:
    """Return whether readiness is off."""
    return not await crowd.is_ready()


def slow_received(server: Any) -> int:
    """Return how many slow requests the server has accepted."""
    received, _ = server.ledger()
    return sum(count for (_, model), count in received.items() if model == "slow")
