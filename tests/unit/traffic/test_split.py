"""Which arm a request takes."""

import importlib
import random
from collections import Counter
from hashlib import sha256
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from penstock.domain.request import InferenceRequest
from penstock.domain.route import Canary, Route, Sticky
from penstock.domain.tensor import DATATYPES, Tensor
from penstock.traffic import split as split_module
from penstock.traffic.split import Split, line_of, plan, position

KEYS = [f"user-{number}".encode() for number in range(100_000)]
WEIGHTS = st.lists(st.integers(0, 10_000), min_size=1, max_size=5).filter(lambda slots: sum(slots) <= 10_000)


def split(**weights: float) -> Split:
    """Return a split with a canary of each weight."""
    return Split("m", Route(canaries=tuple(Canary(name, "2", weight) for name, weight in weights.items())))


def arms(subject: Split, keys: list[bytes] = KEYS) -> list[str]:
    """Return the names of the arms that keys take."""
    return [plan(subject, key, 0.0).name for key in keys]


def fits(names: list[str], **percents: float) -> bool:
    """Tell whether counts are what the percentages let expect."""
    counts = Counter(names)
    expected = [len(names) * percent / 100 for percent in percents.values()]
    return bool(chisquare([counts[name] for name in percents], expected).pvalue > 0.001)


def test_hash_is_the_same_where_the_interpreter_has_none_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As some builds do; then OpenSSL's is taken."""
    own = split_module._own_sha256()
    monkeypatch.setattr(split_module, "import_module", lambda name: importlib.import_module(f"{name}_that_is_not_there"))

    assert split_module._own_sha256() is sha256
    assert own(b"key").digest() == sha256(b"key").digest()


def test_keys_are_divided_by_the_weights() -> None:
    """A hundred thousand keys, by chi-square."""
    assert fits(arms(split(b=7, c=3)), stable=90, b=7, c=3)


def test_draws_are_divided_by_the_weights() -> None:
    """The same for callers who bring no key."""
    source, subject = random.Random(7), split(b=7, c=3)
    assert fits([plan(subject, None, source.random()).name for _ in range(100_000)], stable=90, b=7, c=3)


@given(WEIGHTS)
def test_draw_takes_the_arm_whose_hundredth_it_falls_in(slots: list[int]) -> None:
    """Whatever the weights, each of the 10,000 slots belongs to one arm, and each arm has as many as its weight says."""
    subject = split(**{f"c{number}": count / 100 for number, count in enumerate(slots)})
    counts = Counter(plan(subject, None, (slot + 0.5) / 10_000).name for slot in range(10_000))
    assert [counts[f"c{number}"] for number in range(len(slots))] == slots


def test_order_in_which_canaries_are_listed_makes_no_difference() -> None:
    """A route that was sorted by a tool is the same route."""
    assert arms(split(b=20, c=30), KEYS[:1000]) == arms(split(c=30, b=20), KEYS[:1000])


@pytest.mark.parametrize(
    ("before", "after", "needed"),
    [
        pytest.param({"b": 5}, {"b": 10}, 5, id="more"),
        pytest.param({"b": 10}, {"b": 5}, 5, id="less"),
        pytest.param({"b": 5, "c": 5}, {"b": 10, "c": 5}, 5, id="more-beside-another"),
        pytest.param({"b": 5, "c": 5}, {"b": 5, "c": 10}, 5, id="the-other-one-more"),
        pytest.param({"c": 5}, {"b": 5, "c": 5}, 5, id="a-new-one"),
        pytest.param({"b": 5, "c": 5}, {"c": 5}, 5, id="one-less"),
        pytest.param({"b": 50}, {"b": 100}, 50, id="all"),
    ],
)
def test_only_the_needed_share_of_keys_moves(before: dict[str, float], after: dict[str, float], needed: float) -> None:
    """Everybody else keeps the version that he is used to."""
    one, other = arms(split(**before)), arms(split(**after))
    moved = sum(was != became for was, became in zip(one, other, strict=True)) / len(KEYS) * 100
    assert moved == pytest.approx(needed, abs=0.5)


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_single_canary_only_gains_or_only_loses(one: int, other: int) -> None:
    """When its weight changes no key moves against the change."""
    less, more = sorted((one, other))
    before, after = arms(split(b=less / 100), KEYS[:300]), arms(split(b=more / 100), KEYS[:300])
    assert all(became == "b" for was, became in zip(before, after, strict=True) if was == "b")


def test_weights_of_a_hundred_leave_nothing_for_the_stable_arm() -> None:
    """Not even by rounding."""
    assert set(arms(split(b=60, c=40), KEYS[:2000])) == {"b", "c"}


def test_weight_of_nothing_takes_nobody() -> None:
    """A canary may wait in the route for its time."""
    assert set(arms(split(b=0), KEYS[:2000])) == {"stable"}


def test_position_is_the_published_one() -> None:
    """The vectors of docs/guides/traffic.md: whoever computes positions elsewhere gets these."""
    assert position(line_of("fraud", "b"), b"user-1") == int.from_bytes(sha256(b"fraud\0b\0user-1").digest()[:4], "big")
    assert [position(line_of("fraud", name), key) for name, key in (("b", b"user-1"), ("b", b""), ("c", "Zoë".encode()))] == [
        1308142694,
        687335945,
        2420953232,
    ]


def request(**given: Any) -> InferenceRequest:
    """Return a request of the model."""
    return InferenceRequest("http", "m", "", [], **given)


def tensor(name: str, datatype: str, array: Any) -> Tensor:
    """Return a tensor."""
    return Tensor(name, DATATYPES[datatype], array)


@pytest.mark.parametrize(
    ("sticky", "asked", "key"),
    [
        (Sticky(header="X-User-Id"), request(headers={"x-user-id": "u1"}), b"u1"),
        (Sticky(header="x-user-id"), request(headers={"x-user-id": "Zo\xc3\xab"}), "Zoë".encode()),
        (Sticky(header="x-user-id"), request(headers={"x-user-id": ""}), None),
        (Sticky(header="x-user-id"), request(headers={}), None),
        (Sticky(header="x-user-id"), request(), None),
        (Sticky(header="x-user-id"), request(headers={"x-user-id": "u" * 2000}), b"u" * 1024),
        (Sticky(input="user"), request(), None),
    ],
)
def test_key_is_read_where_the_route_says(sticky: Sticky, asked: InferenceRequest, key: bytes | None) -> None:
    """A header that is not ASCII counts by its bytes."""
    assert Split("m", Route(sticky=sticky)).key(asked) == key


@pytest.mark.parametrize(
    ("datatype", "array", "key"),
    [
        ("BYTES", np.array([["Zoë"], ["b"]], object), "Zoë".encode()),
        ("INT64", np.array([[42, 43]]), b"42"),
        ("UINT8", np.array([7], np.uint8), b"7"),
        ("INT64", np.array([], np.int64), None),
    ],
)
def test_first_element_of_an_input_is_the_key(datatype: str, array: Any, key: bytes | None) -> None:
    """A text by its UTF-8, an integer by its digits, so that both wires and other languages agree."""
    asked = request()
    asked.inputs += [tensor("other", "INT64", np.array([1])), tensor("user", datatype, array)]
    assert Split("m", Route(sticky=Sticky(input="user"))).key(asked) == key


def test_neighbouring_positions_are_independent_between_canaries() -> None:
    """Else one canary's callers would be those of another."""
    both = [(position(line_of("m", "b"), key), position(line_of("m", "c"), key)) for key in KEYS[:5000]]
    assert abs(np.corrcoef(np.array(both).T)[0, 1]) < 0.06
    assert len({one for one, _ in both}) > 4990
    assert all(one != other for one, other in pairwise(both))
