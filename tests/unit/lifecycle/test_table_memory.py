"""What a start of the server takes over from the one before: counted by the sizes that a fake session is asked to run."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from penstock.batching.lane_kind import LaneKind
from penstock.batching.latency import LatencyModel
from penstock.domain.errors import ModelFailed
from penstock.domain.halt import Halt
from penstock.domain.model import ModelVersion
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Array, TensorSpec
from penstock.lifecycle.latency_store import LatencyStore
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.table_memory import TableMemory, Warmth

FP32 = DATATYPES["FP32"]
SCHEMA = ModelSchema((TensorSpec("X", FP32, (-1, 2)),), (TensorSpec("Y", FP32, (-1, 2)),), batched=True)
ALL = {1, 2, 4, 8, 16}


class Sized:
    """Takes `ms` for a run, and keeps how many rows it was asked for."""

    def __init__(self, ms: float = 2.0, *, sane: bool = True) -> None:
        self.schema = SCHEMA
        self.placement = {"cpu": 1.0}
        self.ran: set[int] = set()
        self._ms = ms
        self._sane = sane

    def run(
        self, inputs: Mapping[str, Array], outputs: Sequence[str], limit_s: float | None = None, halt: Halt | None = None
    ) -> list[Array]:
        if not self._sane:
            raise ModelFailed("not with this input")
        self.ran.add(len(inputs["X"]))
        time.sleep(self._ms / 1000)
        return [inputs["X"]]

    def close(self) -> None:
        """Nothing to free."""


def memory(store: LatencyStore | None, digest: str = "d1", **options: object) -> TableMemory:
    """Return the memory of a version on one lane."""
    return TableMemory(store, ModelVersion("m", "1", digest), ModelOptions(lanes=1, threads=1, **options), SCHEMA)  # type: ignore[arg-type]


def warmed(store: LatencyStore | None, session: Sized, most: int = 16, digest: str = "d1") -> Warmth:
    """Return what a start finds out."""
    return memory(store, digest).warm_up(session, "cpu", most, 30.0)


def served(store: LatencyStore, warmth: Warmth, *runs: tuple[int, int], digest: str = "d1") -> dict[int, int]:
    """Keep what a start has learnt from runs of so many rows and nanoseconds; returns that by rows."""
    latency = LatencyModel(warmth.idle_ns)
    for _ in range(8):
        for rows, ns in runs:
            latency.observe(rows, ns, 10**15)
    memory(store, digest).keep([warmth.idle_ns], [LaneKind(1, latency)])
    return {rows: ns for rows, ns, _ in latency.table()}


def test_first_start_measures_every_size(tmp_path: Path) -> None:
    """There is nothing to take over; without a store there never is."""
    for store in (LatencyStore(tmp_path), None):
        session = Sized()

        warmth = warmed(store, session)

        assert session.ran == set(warmth.idle_ns) == ALL
        assert (warmth.prior_ns, warmth.runs) == ({}, True)


def test_second_start_runs_only_the_ends_and_knows_the_rest(tmp_path: Path) -> None:
    """What serving has taught is the prior; what warm-up measured is taken over, the ends as they are now."""
    store, again = LatencyStore(tmp_path), Sized(2.5)
    first = warmed(store, Sized(2.0))
    learnt = served(store, first, (4, 3_000_000), (7, 5_000_000))

    warmth = warmed(store, again)

    assert again.ran == {1, 16}
    assert warmth.prior_ns == learnt
    assert (learnt[4], learnt[7]) == (3_000_000, 5_000_000)
    assert set(warmth.idle_ns) == ALL
    assert warmth.idle_ns[8] == first.idle_ns[8]
    assert warmth.idle_ns[1] > first.idle_ns[1]


def test_figures_under_load_do_not_contradict_those_without(tmp_path: Path) -> None:
    """Runs beside others may take many times as long; like is compared with like."""
    store, again = LatencyStore(tmp_path), Sized()
    served(store, warmed(store, Sized()), (1, 90_000_000), (16, 90_000_000))

    warmth = warmed(store, again)

    assert again.ran == {1, 16}
    assert warmth.prior_ns[1] == 90_000_000


@pytest.mark.parametrize(("before", "now"), [(2.0, 6.0), (6.0, 2.0)], ids=["slower", "faster"])
def test_table_that_the_ends_contradict_is_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture, before: float, now: float) -> None:
    """The machine is another one in all but name; the log says so, and everything is measured."""
    store, again = LatencyStore(tmp_path), Sized(now)
    served(store, warmed(store, Sized(before)), (4, 3_000_000))

    with caplog.at_level(logging.INFO):
        warmth = warmed(store, again)

    assert again.ran == set(warmth.idle_ns) == ALL
    assert warmth.prior_ns == {}
    assert "the latency table that m/1 had on cpu is ignored" in caplog.text


def test_larger_limit_measures_the_sizes_that_are_new(tmp_path: Path) -> None:
    """What is known stays known."""
    store, again = LatencyStore(tmp_path), Sized()
    served(store, warmed(store, Sized(), most=4))

    warmth = warmed(store, again, most=16)

    assert again.ran == {1, 8, 16}
    assert set(warmth.idle_ns) == ALL


def test_changed_files_start_anew(tmp_path: Path) -> None:
    """Another digest is another model; what was measured is its own, and the predecessor's figures are not mixed in."""
    store, again = LatencyStore(tmp_path), Sized()
    served(store, warmed(store, Sized()), (4, 3_000_000))

    warmth = warmed(store, again, digest="d2")

    assert again.ran == ALL
    assert warmth.prior_ns == {}


def test_model_that_takes_no_synthetic_input_goes_on_from_what_it_served(tmp_path: Path) -> None:
    """Its own table as it is; that of a predecessor times 1.5."""
    store, refusing = LatencyStore(tmp_path), Sized(sane=False)
    served(store, warmed(store, refusing), (4, 3_000_000))

    own, heir = warmed(store, refusing), warmed(store, refusing, digest="d2")

    assert (own.prior_ns, own.runs) == ({4: 3_000_000}, False)
    assert heir.prior_ns == {4: 4_500_000}
    assert "not with this input" in (own.note or "")


def test_without_warm_up_nothing_is_run(tmp_path: Path) -> None:
    """The saved table is all there is."""
    store = LatencyStore(tmp_path)
    served(store, warmed(store, Sized()), (4, 3_000_000))

    assert memory(store).recall("cpu").prior_ns[4] == 3_000_000
    assert memory(None).recall("cpu") == Warmth({}, {}, runs=False)


def test_version_that_never_ran_leaves_no_file(tmp_path: Path) -> None:
    """An empty table would hide the predecessor's."""
    memory(LatencyStore(tmp_path)).keep([{}], [LaneKind(1, LatencyModel())])

    assert not (tmp_path / "latency").exists()


def test_lanes_and_threads_are_part_of_the_key(tmp_path: Path) -> None:
    """A run on two threads is not a run on one."""
    store, again = LatencyStore(tmp_path), Sized()
    served(store, warmed(store, Sized()))
    options = msgspec.structs.replace(ModelOptions(lanes=1), threads=2)

    TableMemory(store, ModelVersion("m", "1", "d1"), options, SCHEMA).warm_up(again, "cpu", 16, 30.0)

    assert again.ran == ALL
