"""Versions are watched while they are ready and wanted; a rollout has outputs gathered for as long as it asks."""

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from penstock.domain.clock import NS_PER_S
from penstock.domain.model import ModelVersion
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Tensor, TensorSpec
from penstock.http.drift_report import drift_of
from penstock.inference.canary_drift import CanaryDrift
from penstock.inference.drift import Drift
from penstock.inference.scrape import drift_views
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.reference_store import References, ReferenceStore
from penstock.monitoring.options import MonitoringOptions
from penstock.monitoring.reference import VersionReference, reference_of
from penstock.payloads.options import RecordingOptions

FP32 = DATATYPES["FP32"]
PUBLISHED = VersionReference(inputs=reference_of(["X.0", "X.1"], np.random.default_rng(1).standard_normal((1000, 2))))


class House:
    """A catalog of one model, whose versions are as much of one as drift looks at."""

    def __init__(self) -> None:
        self.catalog = Catalog()
        self.model = self.catalog.served("m")
        self.now_ns = 0
        self.drift = Drift(self.catalog, ReferenceStore(None))
        self.canaries = CanaryDrift(self.drift, clock=lambda: self.now_ns)

    def ready(self, number: int, output: str = "Y", references: References | None = None, **options: Any) -> Any:
        """Have a version become ready; return it."""
        schema = ModelSchema((TensorSpec("X", FP32, (-1, 2)),), (TensorSpec(output, FP32, (-1, 1)),), batched=True)
        redact = options.pop("redact", {})
        chosen = ModelOptions(monitoring=MonitoringOptions(window_rows=500, **options), payloads=RecordingOptions(redact=redact))
        readiness = SimpleNamespace(options=chosen, references=references or References())
        version: Any = SimpleNamespace(
            identity=ModelVersion("m", str(number)), ready=True, schema=schema, readiness=readiness, batcher=SimpleNamespace(watch=None)
        )
        self.drift.follow(version)
        return version

    @staticmethod
    def answer(version: Any, rows: np.ndarray, arm: str = "stable") -> None:
        """Have a run answer rows, if anybody watches."""
        output = Tensor(version.schema.outputs[0].name, FP32, rows[:, :1])
        response = SimpleNamespace(outputs=[output], batch_rows=len(rows))
        request = SimpleNamespace(inputs=[Tensor("X", FP32, rows)])
        if version.batcher.watch is not None:
            version.batcher.watch([SimpleNamespace(arm=arm, request=request, response=response)])


@pytest.fixture
def house() -> House:
    """Return a house without versions."""
    return House()


def rows_of(seed: int, rows: int = 500, shift: float = 0.0) -> np.ndarray:
    """Return normal rows of two features."""
    return np.random.default_rng(seed).standard_normal((rows, 2)).astype(np.float32) + np.float32(shift)


@pytest.mark.asyncio
async def test_crossings_of_a_window_are_one_event_and_the_way_back_is_another(house: House) -> None:
    """A model keeps few events; they name features and the figure that tells most."""
    version = house.ready(1, references=References(published=PUBLISHED))
    for shift in (0.0, 1.0, 1.0, 0.0):
        house.answer(version, rows_of(2, shift=shift))
        await house.drift.look()

    told = [(event.before, event.after) for event in house.model.events.latest()]

    assert told == [("none drifts", "2 drift: 'X.0', 'X.1'"), ("2 drift", "none drifts")]
    first, last = house.model.events.latest()
    assert first.what == "drift of version 1, stable, inputs"
    assert "'X.0' has" in first.why
    assert last.why == "as in the reference again: 'X.0', 'X.1'"


@pytest.mark.asyncio
async def test_what_windows_that_end_together_have_shown_is_one_event(house: House) -> None:
    """A busy model has several in a second: a feature may begin to drift in one of them, and stop in the next."""
    version = house.ready(1, references=References(published=PUBLISHED))
    for shifts in ((1.0, 0.0), (0.0, 1.0), (0.0, 1.0), (0.0,)):
        for seed, shift in enumerate(shifts, 20):
            house.answer(version, rows_of(seed, shift=shift), "b" if seed % 2 else "c")  # two canaries are one branch
        await house.drift.look()

    told = [(event.before, event.after, "above" in event.why, "again" in event.why) for event in house.model.events.latest()]

    assert told == [
        ("none drifts", "none drifts", True, True),
        ("none drifts", "2 drift: 'X.0', 'X.1'", True, False),
        ("2 drift", "2 drift: 'X.0', 'X.1'", True, True),
        ("2 drift", "none drifts", False, True),
    ]


@pytest.mark.asyncio
async def test_only_what_is_wanted_of_what_is_ready_is_told(house: House) -> None:
    """Predictions of all others pay nothing; a version that is gone has no metrics either."""
    watched, idle = house.ready(1, references=References(published=PUBLISHED)), house.ready(2)
    assert (watched.batcher.watch is None, idle.batcher.watch is None) == (False, True)
    house.answer(watched, rows_of(3))
    await house.drift.look()
    assert [(view.version, view.sides[0].side, view.sides[0].rows) for view in drift_views(house.drift)] == [("1", "inputs", 500)]

    watched.ready = False

    assert list(drift_views(house.drift)) == []
    await house.drift.look()
    assert house.drift.find("m", "1") is None


@pytest.mark.asyncio
async def test_what_watched_a_version_is_gone_with_it(house: House) -> None:
    """Without the garbage collector."""
    version = house.ready(1, drift="live")
    watched = house.drift.find("m", "1")
    assert watched is not None
    watch = weakref.ref(watched.watch.sides["inputs"])
    version.ready, watched = False, None
    gc.disable()
    try:
        await house.drift.look()
        version.batcher.watch = None
        assert watch() is None
    finally:
        gc.enable()


@pytest.mark.asyncio
async def test_what_goes_wrong_with_one_version_does_not_keep_others_from_being_counted(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in the log."""
    broken, sound = (house.ready(number, references=References(published=PUBLISHED)) for number in (1, 2))
    house.answer(broken, np.zeros((5, 3), np.float32))
    house.answer(sound, rows_of(4))

    await house.drift.look()

    assert [view.sides[0].rows for view in drift_views(house.drift) if view.sides] == [500]
    assert "what m/1 has answered could not be counted" in caplog.text


@pytest.mark.asyncio
async def test_figures_are_exported_of_so_many_features_outputs_first(house: House) -> None:
    """Both sides together."""
    outputs = reference_of(["prediction.Y"], rows_of(5)[:, :1])
    both = VersionReference(inputs=PUBLISHED.inputs, outputs=outputs)
    version = house.ready(1, references=References(published=both), exported_features=2)
    house.answer(version, rows_of(6))
    house.answer(version, rows_of(6, rows=10), "b")  # whose first window goes on
    await house.drift.look()

    (view,) = drift_views(house.drift)

    assert [(side.side, side.route, side.features, list(side.figures)) for side in view.sides] == [
        ("outputs", "stable", 1, ["prediction.Y"]),
        ("outputs", "canary", 1, []),
        ("inputs", "stable", 2, ["X.0"]),
        ("inputs", "canary", 2, []),
    ]


@pytest.mark.asyncio
async def test_features_of_which_a_reference_says_nothing_are_told(house: House) -> None:
    """A published one that has no such column, and one of first rows that held no value; one that is not there is no reference."""
    house.ready(1, references=References(published=VersionReference(inputs=reference_of(["X.1"], rows_of(8)[:, 1:]))))
    live = house.ready(2, drift="live", reference_rows=100)
    house.ready(3)
    first: Any = drift_of(house.drift, house.model)
    rows = rows_of(9)
    rows[:, 0] = np.nan  # of which the answers are made
    house.answer(live, rows)
    await house.drift.look()

    then: Any = drift_of(house.drift, house.model)

    assert [list(version["unwatched"]) for version in first["versions"].values()] == [["X.0"], [], []]
    assert [list(version["unwatched"]) for version in then["versions"].values()] == [["X.0"], ["X.0", "prediction.Y"], []]


@pytest.mark.asyncio
async def test_outputs_of_both_arms_are_gathered_while_a_rollout_asks_and_no_longer(house: House) -> None:
    """Whether or not the model is watched otherwise."""
    stable, canary = house.ready(1), house.ready(2)
    arms = ("2", "new"), ("1", "stable")
    assert house.canaries.between("m", *arms) is None
    house.answer(stable, rows_of(7))
    house.answer(canary, rows_of(8, shift=1.0), "new")
    await house.drift.look()

    assert (house.canaries.between("m", *arms) or 0) > 0.2

    house.now_ns = 61 * NS_PER_S
    assert house.canaries.between("m", ("3", "b"), ("1", "stable")) is None
    await house.drift.look()
    assert (stable.batcher.watch, canary.batcher.watch) == (None, None)


@pytest.mark.asyncio
async def test_version_that_is_loaded_anew_is_compared_from_its_first_row_on(house: House) -> None:
    """What its earlier files have answered does not count."""
    stable, canary = house.ready(1), house.ready(2)
    arms = ("2", "new"), ("1", "stable")
    house.canaries.between("m", *arms)
    house.answer(stable, rows_of(9))
    house.answer(canary, rows_of(10, 400, shift=9.0), "new")
    await house.drift.look()
    canary = house.ready(2)
    assert house.canaries.between("m", *arms) is None

    house.answer(stable, rows_of(11))
    house.answer(canary, rows_of(12), "new")
    await house.drift.look()

    assert house.canaries.between("m", *arms) == 0


@pytest.mark.parametrize(
    ("canary", "why"),
    [
        ({}, ""),
        ({"output": "Z"}, "the versions have no output in common that is watched"),
        ({"redact": {"Y": "drop"}}, "in common that is watched (prediction.Y: payloads.redact touches it; name it in monitoring"),
        ({"redact": {"Y": "drop"}, "outputs": ["Y"]}, ""),
    ],
)
def test_versions_without_an_output_in_common_cannot_be_compared(house: House, canary: dict[str, Any], why: str) -> None:
    """The rules of redaction hold for the gate too."""
    house.ready(1)
    house.ready(2, **canary)

    told = house.canaries.obstacle("m", "2", "1")

    assert (told == "") == (why == "")
    assert why in told
