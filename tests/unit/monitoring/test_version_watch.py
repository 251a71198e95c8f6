"""What predictions leave behind is counted by arm, bounded, and compared with a published or a gathered reference."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Tensor, TensorSpec
from penstock.monitoring.arm_comparison import ArmComparison
from penstock.monitoring.columns import sides_of
from penstock.monitoring.options import MonitoringOptions
from penstock.monitoring.reference import Reference, VersionReference, reference_of
from penstock.monitoring.side_watch import SideWatch
from penstock.monitoring.version_watch import MOST_ROWS, VersionWatch

FP32 = DATATYPES["FP32"]
SCHEMA = ModelSchema((TensorSpec("X", FP32, (-1, 2)),), (TensorSpec("Y", FP32, (-1, 1)),), batched=True)


def ticket(rows: np.ndarray, arm: str = "stable", outputs: np.ndarray | None = None) -> Any:
    """Return an answered prediction."""
    answer = rows[:, :1] if outputs is None else outputs
    response = SimpleNamespace(outputs=[Tensor("Y", FP32, answer)], batch_rows=len(rows))
    return SimpleNamespace(arm=arm, request=SimpleNamespace(inputs=[Tensor("X", FP32, rows)]), response=response)


def rows_of(seed: int, rows: int = 500, shift: float = 0.0) -> np.ndarray:
    """Return normal rows of two features."""
    return np.random.default_rng(seed).standard_normal((rows, 2)).astype(np.float32) + np.float32(shift)


def watch_of(published: Reference | None = None, kept: list[VersionReference] | None = None, **options: Any) -> VersionWatch:
    """Return a watch; what it gathers is added to `kept`."""
    chosen = MonitoringOptions(**{"window_rows": 500, **options})
    sides, told = sides_of(SCHEMA, chosen, {}), [] if kept is None else kept

    def keep() -> None:
        told.append(VersionReference(inputs=inputs.gathered, outputs=outputs.gathered))

    known = kept[-1] if kept else VersionReference()
    inputs = SideWatch(sides.inputs, chosen, published=published, kept=known.inputs, frozen=keep)
    outputs = SideWatch(sides.outputs, chosen, kept=known.outputs, frozen=keep)
    return VersionWatch(inputs, outputs, sides.unwatched)


def count(watch: VersionWatch, *tickets: Any) -> list[Any]:
    """Have predictions counted, and return what is told."""
    watch(tickets)
    return watch.count(watch.take())


def test_first_rows_are_the_reference_and_later_ones_are_held_against_it() -> None:
    """They are kept once they are there, both sides together."""
    kept: list[VersionReference] = []
    watch = watch_of(kept=kept, drift="live", reference_rows=500)
    count(watch, ticket(rows_of(1, 499)))
    assert kept == []
    count(watch, ticket(rows_of(2, 1)))
    assert [bool(kept[-1].inputs), bool(kept[-1].outputs)] == [True, True]

    assert count(watch, ticket(rows_of(3))) == []
    told = count(watch, ticket(rows_of(4, shift=1.0)))

    assert [(each.side, each.arm, [crossing.feature for crossing in each.crossings]) for each in told] == [
        ("inputs", "stable", ["X.0", "X.1"]),
        ("outputs", "stable", ["prediction.Y"]),
    ]


def test_kept_reference_is_taken_up_again() -> None:
    """Nothing is gathered a second time."""
    kept: list[VersionReference] = []
    count(watch_of(kept=kept, drift="live", reference_rows=500), ticket(rows_of(1)))

    again = watch_of(kept=kept, drift="live", reference_rows=500)

    assert again.sides["inputs"].sample is None
    assert again.sides["inputs"].gathered == kept[-1].inputs


def test_published_reference_wins_over_a_kept_one_and_is_not_kept() -> None:
    """The other side gathers, if the settings ask for that."""
    published = reference_of(["X.0", "X.1"], rows_of(5))
    kept: list[VersionReference] = []

    watch = watch_of(published, kept, drift="live", reference_rows=500)
    count(watch, ticket(rows_of(6)))

    assert (kept[-1].inputs, bool(kept[-1].outputs)) == (None, True)
    assert watch.sides["inputs"].arms["stable"].windows == 1


def test_nothing_is_watched_without_a_reference_or_where_it_is_off() -> None:
    """Then no prediction pays for it."""
    published = reference_of(["X.0", "X.1"], rows_of(5))

    assert not watch_of().is_on
    assert not watch_of(published, drift="off").is_on
    assert watch_of(published).is_on
    assert watch_of(drift="live").is_on


def test_arms_have_windows_of_their_own_and_pinned_requests_count_as_stable() -> None:
    """The names of canaries are people's choice; there are two arms."""
    watch = watch_of(reference_of(["X.0", "X.1"], rows_of(5)))

    count(watch, ticket(rows_of(6), "b"), ticket(rows_of(7, 250), "pinned"), ticket(rows_of(8, 250)))

    assert {arm: windows.windows for arm, windows in watch.sides["inputs"].arms.items()} == {"canary": 1, "stable": 1}


def test_predictions_beyond_what_may_wait_are_dropped_and_counted() -> None:
    """Until somebody takes them; a prediction never waits."""
    watch = watch_of(drift="live")
    watch([ticket(rows_of(1, MOST_ROWS))])
    watch([ticket(rows_of(2, 1)), ticket(rows_of(3, 1))])
    assert (watch.dropped, len(watch.take())) == (2, 1)

    for _ in range(MOST_ROWS // 2 + 1):
        watch([])  # a run whose callers have all left
        watch([ticket(rows_of(4, 2))])

    assert (watch.dropped, len(watch.take())) == (3, MOST_ROWS // 2)


def test_large_tensors_do_not_wait_by_the_thousand() -> None:
    """Bytes are bounded too; of what is larger than the bound, one run at a time."""
    watch = watch_of(drift="live")
    large = np.zeros((1, 5 * 1024 * 1024), np.float32)
    for _ in range(3):
        watch([ticket(large)])

    assert (watch.dropped, len(watch.take())) == (2, 1)


def test_comparison_hears_of_its_arms_alone_and_needs_no_reference() -> None:
    """By the arm's own name; pinned requests take no arm."""
    watch, comparison = watch_of(), ArmComparison(["prediction.Y"])
    watch.compare(comparison, 0, "stable")
    watch.compare(comparison, 1, "b")
    assert watch.is_on
    comparison.ask()
    count(watch, ticket(rows_of(1, 600)), ticket(rows_of(2, 600, shift=9.0), "pinned"), ticket(rows_of(3, 600), "c"))
    assert comparison.ask() is None

    count(watch, ticket(rows_of(4, 600, shift=1.0), "b"))

    assert (comparison.ask() or 0) > 0.2
    watch.end(comparison)
    assert not watch.is_on
