"""Whatever is done to a signed version is refused with the file and the reason, and what serves goes on serving."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from manager_house import Gate, House
from opens import Opens
from tampering import MODEL, TAMPERINGS, Attempt, Publisher

from penstock.inference.admission import Admission
from penstock.inference.ledger import Ledger
from penstock.inference.predictor import Predictor
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.manager import Manager
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.states import VersionState
from penstock.registry.cache import Cache
from penstock.registry.directory import DirectorySource
from penstock.registry.options import RegistryOptions
from penstock.registry.verified import VerifiedRegistry

TRACED = ["strace", "-f", "-y", "-e", "trace=open,openat,openat2", "-o"]


class Guarded(House):
    """A manager that loads nothing without a signature of the publisher."""

    def __init__(self, publisher: Publisher) -> None:
        self.root, self.gate, self.catalog = publisher.root, Gate(), Catalog()
        options = RegistryOptions(require_manifest=True, signatures="enforce", trusted_keys=[str(publisher.public_key)])
        registry = VerifiedRegistry(DirectorySource(self.root), Cache(self.root.with_name("cache")), options)
        loader = Loader(registry, ModelOptions(threads=1, lanes=1, warmup="off"), {})
        self.manager = Manager(registry, loader, self.catalog, poll_s=0)
        self.predictor = Predictor(Ledger(self.catalog), Admission(30, 600), self.catalog)

    async def last_weight(self) -> float:
        """Return what the answering version adds to the last column."""
        return float((await self.ask(name=MODEL)).outputs[0].array[0, -1]) - 1


@asynccontextmanager
async def guarded(publisher: Publisher) -> AsyncIterator[Guarded]:
    """Serve until the block ends."""
    house = Guarded(publisher)
    await house.manager.start()
    try:
        yield house
    finally:
        await house.manager.aclose()


@pytest.mark.asyncio
async def test_signed_versions_are_served_and_replaced(publisher: Publisher) -> None:
    """The publisher's own changes are no tampering."""
    publisher.publish(1)
    async with guarded(publisher) as house:
        first = await house.last_weight()
        publisher.publish(2)
        await house.look()

        assert await house.last_weight() != first
        assert house.catalog.models[MODEL].versions[2].readiness.artifact.signer.startswith("sha256:")


@pytest.mark.asyncio
@pytest.mark.parametrize("number", [2, 1], ids=["new", "in-place"])
@pytest.mark.parametrize("name", TAMPERINGS)
async def test_tampered_version_is_refused_and_the_old_one_serves_on(
    publisher: Publisher, canary: Path, opens: Opens, name: str, number: int
) -> None:
    """Whether a new version is tampered with or the one that serves; nothing outside of the registry is opened."""
    tamper, words = TAMPERINGS[name]
    publisher.publish(1)
    async with guarded(publisher) as house:
        before = await house.last_weight()
        version = publisher.publish(2) if number == 2 else publisher.root / MODEL / "1"
        tamper(Attempt(version, canary, publisher))
        shutil.rmtree(publisher.root / MODEL / "9", ignore_errors=True)  # it was only there to take from
        opens.count()
        for _ in range(2):
            await house.look()

        versions = house.catalog.models[MODEL].versions
        assert words in versions[number].reason
        assert str(publisher.root) not in versions[number].reason
        assert (opens.count(), await house.last_weight()) == (0, before)
        assert [found for found, version in versions.items() if version.state is VersionState.READY] == [1]


def test_opens_of_the_canary_are_seen(canary: Path, opens: Opens) -> None:
    """By any name; else the test above would prove nothing."""
    other = canary.with_name("other")
    other.hardlink_to(canary)
    opens.count()

    other.read_bytes()

    assert opens.count() > 0


def test_opened_files_stay_inside(publisher: Publisher, canary: Path, opens: Opens, tmp_path: Path) -> None:
    """Every tampered version at once, each as a model of its own, beside a good one.

    The kernel tells whether the canary was opened, and where it may be traced, which files were.
    """
    for name, (tamper, _) in TAMPERINGS.items():
        tamper(Attempt(publisher.publish(1, name), canary, publisher))
        shutil.rmtree(publisher.root / name / "9", ignore_errors=True)
    publisher.publish(1)
    trace = tmp_path / "trace"
    script = [sys.executable, str(Path(__file__).with_name("open_all.py")), str(publisher.root), str(tmp_path / "cache")]
    opens.count()
    run = subprocess.run(
        [*tracer(trace), *script, str(publisher.public_key)], capture_output=True, text=True, timeout=100, env=dict(os.environ)
    )

    outcomes = {(model, number): outcome for model, number, outcome in map(json.loads, run.stdout.splitlines())}
    assert opens.count() == 0
    assert Path(outcomes.pop((MODEL, 1))).is_file()
    assert outcomes.keys() == {(name, 1) for name in TAMPERINGS}
    for name, (_, words) in TAMPERINGS.items():
        assert words.replace(f"{MODEL}/", f"{name}/") in outcomes[name, 1]
    if trace.exists():
        opened = [line for line in trace.read_text(errors="replace").splitlines() if " = -1 " not in line]
        assert any(str(publisher.root / MODEL / "1") in line for line in opened)
        assert [line for line in opened if str(canary.parent) in line] == []


def tracer(trace: Path) -> list[str]:
    """Return what traces a command into that file, nothing where tracing is not there or not permitted."""
    traced = [*TRACED, str(trace)]
    if shutil.which("strace") and subprocess.run([*traced, sys.executable, "-c", ""], capture_output=True).returncode == 0:
        return traced
    trace.unlink(missing_ok=True)
    return []
