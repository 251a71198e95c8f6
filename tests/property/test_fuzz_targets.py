"""Some hundred cases of each target of `make fuzz`, the kept ones first: every mended fault is among those."""

import itertools
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "fuzz"))  # as `make fuzz` runs them

import target
from rfc9113 import HEADERS, SETTINGS, Sent, named
from seeded import Cases

from penstock.http2.errors import Code

CASES = 300
LONG = 20_000
SMALLEST_SHARE = 0.03


@pytest.fixture(autouse=True, scope="module")
def loud_again() -> Iterator[None]:
    """Let the tests after these hear the log: a target switches it off."""
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", target.NAMES)
def test_every_case_keeps_the_promise(name: str) -> None:
    """Nothing is raised but what a target promises; and enough cases get past the first checks, or nothing would be tested."""
    assert judged(name, CASES, seed=1) > SMALLEST_SHARE


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", target.NAMES)
def test_many_cases_keep_the_promise(name: str) -> None:
    """The same, for long."""
    assert judged(name, LONG, seed=2) > SMALLEST_SHARE


def judged(name: str, count: int, seed: int) -> float:
    """Return which share of the cases was taken."""
    chosen = target.load(name)
    cases, taken = Cases(chosen, seed), 0
    count = max(count, len(chosen.corpus))
    for data in itertools.islice(cases, count):
        took = chosen.case(data)
        cases.judged(data, taken=took)
        taken += took
    return taken / count


@pytest.mark.parametrize("name", target.NAMES)
def test_same_seed_has_the_same_cases(name: str) -> None:
    """Or a finding could not be had again."""
    chosen = target.load(name)

    first, second = (list(itertools.islice(Cases(chosen, 3), 40)) for _ in range(2))

    assert first == second


def test_corpus_is_small_and_complete() -> None:
    """It is kept in the repository; a target without one would start from nothing."""
    assert {path.name for path in target.CORPUS.iterdir()} == set(target.NAMES)
    assert sum(path.stat().st_size for path in target.CORPUS.rglob("*") if path.is_file()) < 200_000


def test_model_of_the_rfc_names_errors() -> None:
    """A judge that finds everything in order would hide any fault."""
    sent = Sent(SETTINGS, 0, 0, b"12345", last_id=0, block_of=0, was_reset=False)

    assert named(sent) == {Code.FRAME_SIZE_ERROR}
    assert named(sent._replace(stream_id=1)) == {Code.FRAME_SIZE_ERROR, Code.PROTOCOL_ERROR}
    assert named(sent._replace(payload=bytes(6))) == set()
    assert named(sent._replace(payload=bytes(6), block_of=1)) == {Code.PROTOCOL_ERROR}
    assert named(Sent(HEADERS, 4, 2, b"", last_id=0, block_of=0, was_reset=False)) == {Code.PROTOCOL_ERROR}


def test_target_sees_a_promise_that_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here by a codec that answers with other numbers than it was asked with."""
    chosen = target.load("json_body")
    module = sys.modules["targets.json_body"]
    decode = module.decode

    def wrong(body, length, request, schema, limit):
        encode = decode(body, length, request, schema, limit)
        for tensor in request.inputs:
            if tensor.array.dtype.kind == "i" and tensor.array.size:
                request.inputs = [replace(given, array=given.array + 1) for given in request.inputs]
                break
        return encode

    monkeypatch.setattr(module, "decode", wrong)

    with pytest.raises(AssertionError):
        for data in itertools.islice(Cases(chosen, 1), 200):
            chosen.case(data)
