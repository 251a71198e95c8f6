"""Comparisons: what counts as a disagreement, and what is kept of it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from penstock.domain.model import ModelVersion
from penstock.domain.tensor import DATATYPES, Tensor
from penstock.traffic import findings
from penstock.traffic.comparison import Comparison, Observed, Side, Verdict
from penstock.traffic.differences import Tolerance
from penstock.traffic.examples import Examples
from penstock.traffic.findings import Answers, Kind
from penstock.traffic.tally import Measure

TOLERANCE = Tolerance(rtol=1e-3, atol=1e-5)
Compare = Callable[[bool], Comparison]


@pytest.fixture(name="comparison")
def _comparison() -> Comparison:
    """Nothing compared yet; two examples of each kind are kept, with values."""
    beside = Side(TOLERANCE, Examples(2, values=True))
    return Comparison(ModelVersion("m", "1"), ModelVersion("m", "2"), beside, Side(TOLERANCE))


def tensor(values: Any, datatype: str = "FP32", name: str = "Y") -> Tensor:
    """Return an output."""
    return Tensor(name, DATATYPES[datatype], np.array(values, DATATYPES[datatype].dtype))


def observed(primary: Tensor | None, shadow: Tensor | None, request_id: str = "r") -> Observed:
    """Return one request with one output, or without."""
    by_name = [{one.name: one} if one else {} for one in (primary, shadow)]
    return Observed(Answers(request_id, *by_name), [tensor([[7.0]], name="X")], 1_000_000, 2_000_000, 5_000_000)


def pairs(number: int, change: float = 0.0, seed: int = 0) -> list[Observed]:
    """Return requests of class scores whose first element differs by so much."""
    scores = np.random.default_rng(seed).normal(size=(number, 1, 6)).astype(np.float32)
    return [observed(tensor(row), tensor(row + np.float32([change, 0, 0, 0, 0, 0]))) for row in scores]


def test_equal_answers_agree(comparison: Comparison) -> None:
    """As soon as there are enough of them to say so."""
    comparison.beside.add(pairs(99))
    assert comparison.verdict is Verdict.INCONCLUSIVE

    comparison.beside.add(pairs(1))

    assert (comparison.verdict, comparison.disagreements) == (Verdict.AGREES, 0)
    assert comparison.rate.high < 0.04
    assert not list(comparison.beside.examples or ())


def test_what_the_primary_does_itself_is_no_disagreement(comparison: Comparison) -> None:
    """Only what is beyond the largest difference of the primary from itself, whenever that is learnt."""
    comparison.beside.add(pairs(200, change=0.5) + pairs(1, change=100.0))
    assert comparison.disagreements == 201

    comparison.noise.add(pairs(50, change=1.0, seed=0))

    assert comparison.disagreements == 1
    assert comparison.verdict is Verdict.DISAGREES
    assert comparison.floor > 100


def test_an_unsteady_primary_makes_a_shadow_noisy(comparison: Comparison) -> None:
    """Whose labels differ from each other as often as the shadow's do from them says nothing about the shadow."""
    label, other = tensor([3], "INT64"), tensor([4], "INT64")
    half = [observed(label, other), observed(label, label)]
    comparison.beside.add(half * 100)
    comparison.noise.add(half * 100)
    assert comparison.verdict is Verdict.NOISY

    comparison.beside.add([observed(label, other)] * 400)

    assert comparison.verdict is Verdict.DISAGREES
    assert comparison.beyond_noise.low > 0


@pytest.mark.parametrize(
    ("primary", "shadow", "measure", "kind"),
    [
        (tensor([[1.0, 2.0]]), tensor([[1.0, 2.1]]), Measure.TOLERANCE, Kind.VALUE),
        (tensor([[1.0, 2.0]]), tensor([[1.0, np.nan]]), Measure.NAN, Kind.NAN),
        (tensor([[1.0, 2.0]]), tensor([[2.0, 1.0]]), Measure.ARGMAX, Kind.VALUE),
        (tensor([[0.9, 0.1]]), tensor([[0.1, 0.9]]), Measure.DISTRIBUTION, Kind.VALUE),
        (tensor([[4.0, 3, 2, 1]]), tensor([[4.0, 1, 2, 3]]), Measure.TOPK, Kind.VALUE),
        (tensor([[1.0, 2.0]]), tensor([1.0, 2.0]), Measure.SHAPE, Kind.SHAPE),
        (tensor([[1.0, 2.0]]), tensor([[1.0, 2.0]], "FP64"), Measure.DATATYPE, Kind.DATATYPE),
        (tensor([[1.0, 2.0]]), None, Measure.OUTPUTS, Kind.MISSING),
        (None, tensor([[1.0, 2.0]]), Measure.OUTPUTS, Kind.EXTRA),
        (tensor([1, 2], "INT32"), tensor([1, 3], "INT32"), Measure.TOLERANCE, Kind.EXACT),
        (tensor(["a"], "BYTES"), tensor(["b"], "BYTES"), Measure.TOLERANCE, Kind.EXACT),
        (tensor(1.0), tensor(2.0), Measure.TOLERANCE, Kind.VALUE),
    ],
)
def test_every_way_to_differ_is_told(
    comparison: Comparison, primary: Tensor | None, shadow: Tensor | None, measure: Measure, kind: Kind
) -> None:
    """By a measure, as a disagreement, and with an example."""
    counts = comparison.beside.add([observed(primary, shadow, "this one"), observed(tensor([[1.0]]), tensor([[1.0]]))])

    assert counts.compared[measure] >= counts.mismatched[measure] == 1
    assert comparison.disagreements == 1
    (example,) = comparison.beside.examples or ()
    assert (example.request_id, example.kind) == ("this one", kind)


def test_several_rows_are_one_request(comparison: Comparison) -> None:
    """Whose worst element is told by its place in the whole tensor; rows are counted where rows are what matters."""
    rows = np.zeros((5, 3, 2), np.float32)
    other = rows.copy()
    other[3, 1, 1], other[2, 0, 0] = 8.0, 4.0
    empty = tensor(np.zeros((0, 3, 2)))

    comparison.beside.add([observed(empty, empty), observed(tensor(rows), tensor(other)), observed(tensor(rows), tensor(rows))])

    assert comparison.disagreements == 1
    (example,) = comparison.beside.examples or ()
    assert (example.element, example.difference, example.outside) == ((3, 1, 1), 8.0, 2)
    assert example.values == {"primary": 0.0, "shadow": 8.0, "inputs": {"X": [7.0]}}
    tally = comparison.beside.tally.outputs["Y"]
    assert (tally.requests, tally.elements, tally.outside, tally.total) == (3, 60, 2, 12.0)


def test_the_worst_are_kept(comparison: Comparison) -> None:
    """A few, whatever the order."""
    for size in (1.0, 5.0, 3.0, 4.0, 2.0):
        comparison.beside.add([observed(tensor([[0.0]]), tensor([[size]]), f"by {size}")])

    assert [example.request_id for example in comparison.beside.examples or ()] == ["by 5.0", "by 4.0"]


def test_large_tensors_are_not_put_together(comparison: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts find what the whole does."""
    monkeypatch.setattr(findings, "_TOGETHER", 7)

    counts = comparison.beside.add(pairs(5, change=1.0))

    assert counts.mismatched[Measure.TOLERANCE] == comparison.disagreements == 5


def test_latencies_are_kept(comparison: Comparison) -> None:
    """In seconds."""
    comparison.beside.add(pairs(3))

    latency = comparison.beside.latency
    assert [bins.largest for bins in (latency.primary, latency.shadow, latency.queue)] == [0.001, 0.002, 0.005]
