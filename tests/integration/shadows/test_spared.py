"""What shadows may use, and what becomes of those that ask for more."""

import asyncio
import re
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from inside import inside, until

from penstock.cli.shadow_table import shadow_lines
from penstock.domain.clock import NS_PER_S
from penstock.domain.route import Shadow
from penstock.inference import shadow_runs
from penstock.lifecycle.states import VersionState

pytestmark = pytest.mark.asyncio
SHORT, LONG = 1500, 300_000
"""Rounds of a run of some ten milliseconds, and of some seconds."""


@pytest.fixture
def slow(tmp_path: Path, models: ModuleType) -> Path:
    """A registry of a model whose shadow takes long."""
    models.write_shadowed(tmp_path / "registry", "m", ["plain", "slow"], rounds=LONG)
    return tmp_path / "registry"


@pytest.fixture
def quick(tmp_path: Path, models: ModuleType) -> Path:
    """A registry of a model with a shadow of some milliseconds, and one as quick as itself."""
    models.write_shadowed(tmp_path / "registry", "m", ["plain", "slow", "plain"], rounds=SHORT)
    return tmp_path / "registry"


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the threads on which shadows have run."""
    names: set[str] = set()
    execute = shadow_runs.execute

    def watched(*args: Any) -> Any:
        names.add(threading.current_thread().name)
        return execute(*args)

    monkeypatch.setattr(shadow_runs, "execute", watched)
    return names


async def test_a_run_that_takes_too_long_is_ended(slow: Path) -> None:
    """And told, with the primary none the wiser; the version is free again."""
    async with inside(slow, "m", {"run_limit_s": 0.1}) as house:
        await house.ask_many(3)

        told = await house.settled(3)

        assert told["ends"] == {"timeout": 3}
        assert told["last_error"] == "a run was ended after 0.1 s"
        assert (told["failed"]["count"], told["held_bytes"]) == (3, 0)
        await until(lambda: house.version(2).leases == 0)


async def test_what_comes_in_faster_than_it_runs_is_dropped(slow: Path) -> None:
    """Memory is bounded, and each request that was sampled has one end or waits."""
    async with inside(slow, "m", {"max_bytes": 20_000}) as house:
        for _ in range(10):
            await house.ask_many(10)
            assert house.told["held_bytes"] <= 20_000
        await until(lambda: house.told["sampled"] == 100)

        told = house.told

        assert told["ends"] == {"full": 100 - told["held_bytes"] // (2048 + 32)}
        assert 0 < told["held_bytes"] <= 20_000


async def test_a_request_too_large_to_be_held_is_dropped(quick: Path) -> None:
    """However empty the queue."""
    async with inside(quick, "m", {"max_bytes": 4000}, Shadow("3", 1.0)) as house:
        await house.ask(rows=100)
        await house.ask(rows=1)

        assert (await house.settled(2))["ends"] == {"full": 1, "compared": 1}


async def test_the_budget_is_kept(quick: Path) -> None:
    """Nothing is run on no budget but the first turn, which nobody has paid for."""
    async with inside(quick, "m", {"device_share": 0.0, "max_bytes": 1_000_000}) as house:
        await house.ask("first")
        await house.settled(1)
        await house.ask_many(5)
        await until(lambda: house.told["waiting"] == 5)
        await asyncio.sleep(0.05)  # five looks, and none of them finds time

        assert house.told["ends"] == {"compared": 1}


async def test_the_version_stays_while_it_runs(slow: Path) -> None:
    """A drain waits for the run, which is not long: it is told to end."""
    async with inside(slow, "m", {}) as house:
        await house.ask()
        version = house.version(2)
        await until(lambda: version.leases == 1)
        drain = asyncio.create_task(version.drain())
        await asyncio.sleep(0)
        assert version.state is VersionState.DRAINING

        await asyncio.wait_for(drain, 10)

        assert version.state is VersionState.UNLOADED
        assert (await house.settled(1))["ends"] == {"not_ready": 1}


async def test_a_shadow_that_is_not_there_is_named(quick: Path) -> None:
    """It may come yet; until then what it should follow is dropped."""
    async with inside(quick, "m", {}, Shadow("9", 1.0)) as house:
        await house.ask()

        told = await house.settled(1)

        assert (told["ends"], told["number"]) == ({"not_ready": 1}, "9")
        assert "version 9" in told["last_error"]


async def test_drain_drops_what_waits_and_ends_what_runs(slow: Path) -> None:
    """A server that shuts down waits for callers only."""
    async with inside(slow, "m", {}) as house:
        await house.ask_many(4)
        await until(lambda: house.version(2).leases == 1)
        await house.ask("last")
        await until(lambda: house.told["sampled"] == 5)

        house.shadows.close()

        assert (await house.settled(5))["ends"] == {"drained": 5}
        await house.ask()
        assert house.told["sampled"] == 5


async def test_a_shadow_that_hangs_is_named_and_bounds_what_it_takes(slow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be ended, but the interpreter is everybody's again; and when it ends after all, the report says so."""
    usual_s, let_go = sys.getswitchinterval(), threading.Event()
    execute, seen_s = shadow_runs.execute, list[float]()

    def hang(*given: Any) -> Any:
        seen_s.append(sys.getswitchinterval())
        let_go.wait(60)
        return execute(*given)

    monkeypatch.setattr(shadow_runs, "execute", hang)
    async with inside(slow, "m", {"run_limit_s": 0.1}) as house:
        began_s = time.time()
        await house.ask()

        await until(lambda: house.told["hangs_since"] is not None)

        assert seen_s[0] < usual_s == sys.getswitchinterval()
        assert house.told["last_error"].startswith("a run hangs since 2")
        assert "told to end after 0.1 s" in house.told["last_error"]
        assert began_s - 1 < house.told["hangs_since"] < time.time()
        assert any("a run hangs since 2" in line for line in shadow_lines([house.told]))

        let_go.set()
        told = await house.settled(1)
        assert (told["ends"], told["hangs_since"]) == ({"timeout": 1}, None)
        assert re.fullmatch(r"a run hung for \d+ s before it ended", told["last_error"])
        assert sys.getswitchinterval() == usual_s


async def test_a_shadow_that_hangs_keeps_no_server(slow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in it can be ended; the house closes all the same, and nothing is left of it."""
    usual_s, let_go = sys.getswitchinterval(), threading.Event()
    monkeypatch.setattr(shadow_runs, "execute", lambda *_: let_go.wait(60))
    async with inside(slow, "m", {}) as house:
        await house.ask()
        await until(lambda: house.version(2).leases == 1)
        version = house.version(2)
    assert version.state is VersionState.UNLOADED
    assert sys.getswitchinterval() == usual_s
    let_go.set()


async def test_no_shadow_runs_on_the_event_loop(quick: Path, threads: set[str]) -> None:
    """However short: a prediction of that length would."""
    async with inside(quick, "m", {"noise_sample": 1.0}, Shadow("3", 1.0)) as house:
        await house.ask_many(20)
        assert (await house.settled(20))["ends"] == {"compared": 20}

    assert threads == {"penstock-shadows-0-0"}


async def test_a_prediction_that_takes_the_device_ends_the_run(slow: Path) -> None:
    """As often as it is tried, and then the shadow gives up."""
    async with inside(slow, "m", {}) as house:
        tenant = house.version(1).batcher.scheduler.kinds[0].tenant
        assert tenant is not None
        await house.ask()
        for _ in range(3):
            await until(lambda: house.version(2).leases == 1)
            tenant.started(NS_PER_S)
            assert house.version(2).leases == 1
            await until(lambda: house.version(2).leases == 0)
            tenant.ended(NS_PER_S, NS_PER_S)

        assert (await house.settled(1))["ends"] == {"yielded": 1}


async def test_a_busy_event_loop_is_left_to_predictions(quick: Path) -> None:
    """And noticed to be free again."""
    async with inside(quick, "m", {"max_loop_load": 0.0}, Shadow("3", 1.0)) as house:
        await house.ask("first")
        await until(lambda: house.shadows.busy)
        await house.ask("second")

        await until(lambda: house.told["ends"] == {"busy": 1})
        assert (house.told["sampled"], house.told["waiting"]) == (2, 1)


async def test_requests_without_an_id_are_sampled_too(quick: Path) -> None:
    """Who embeds the predictor need not make ids; the share holds all the same."""
    async with inside(quick, "m", {}, Shadow("3", 0.5)) as house:
        await asyncio.gather(*(house.ask("") for _ in range(200)))
        await until(lambda: 60 <= house.told["sampled"] <= 140)


async def test_inputs_are_freed_with_the_comparison(quick: Path) -> None:
    """Nothing is held that has been compared."""
    async with inside(quick, "m", {}, Shadow("3", 1.0), Shadow("2", 1.0)) as house:
        await house.ask_many(30)
        await house.settled(30)
        await until(lambda: sum(queue.size_bytes for queue in house.shadows.books) == 0)
