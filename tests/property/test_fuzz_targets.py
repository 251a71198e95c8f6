"""Some hundred cases of each target of `make fuzz`, the kept ones first: every mended fault is among those."""

import itertools
import logging
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "fuzz"))  # as `make fuzz` runs them

import http_questions
import judge
import target
import watchdog
from dialogue import Dialogue
from rfc9113 import HEADERS, MAX_FRAME_BYTES, SETTINGS, Sent, named
from seeded import Cases

from penstock.http2 import frames
from penstock.http2.errors import Code
from tests.conftest import load

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


def test_dialogue_knows_what_the_peer_allows() -> None:
    """On a stream and on all of them: a smaller first window holds once the server has acknowledged it."""
    dialogue = Dialogue(random.Random(0))
    dialogue.allow(frames.settings([(4, 10)]))
    dialogue.count(1, 16_384)
    del dialogue.first_windows[0]

    dialogue.count(3, 10)
    with pytest.raises(AssertionError, match="on the stream"):
        dialogue.count(3, 1)
    dialogue.allow(frames.frame(frames.WINDOW_UPDATE, 0, 5, (1 << 20).to_bytes(4, "big")))
    with pytest.raises(AssertionError, match="on all streams"):
        for _ in range(4):
            dialogue.count(5, 16_384)


def test_fields_of_a_question_come_in_any_order() -> None:
    """Most clients send the host first, and some do not."""
    asked = [http_questions.question(random.Random(seed)).split(b"\r\n") for seed in range(300)]

    assert sum(lines[1] != b"Host: h" and b"Host: h" in lines[2:6] for lines in asked) > 10


def test_tensors_of_another_length_come_with_their_size() -> None:
    """Else they would be refused before anybody reads them."""
    chosen, rng = target.load("binary_body"), random.Random(1)
    kept = next(data for data in chosen.corpus if b'"shape":[1,2],"parameters":{"binary_data_size":8}' in data)
    _, text, raw = parted(kept)
    changed = [parted(sys.modules["targets.binary_body"].mutate(kept, rng)) for _ in range(300)]

    told = {len(other) for _, words, other in changed if words == text.replace(b'size":8', b'size":%d' % len(other))}
    assert len(told - {len(raw)}) > 3


def parted(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the head, the JSON and the raw tensors of a case."""
    size = int.from_bytes(data[1:3], "big")
    return data[:3], data[3 : 3 + size], data[3 + size :]


def test_frames_that_are_too_long_stay_so() -> None:
    """A change of a case keeps what it leaves alone."""
    chosen, rng = target.load("http2_frames"), random.Random(1)
    module = sys.modules["targets.http2_frames"]

    changed = [list(module._frames(module.mutate(b"\0\0\1\xff", rng))) for _ in range(50)]
    made = [list(module._frames(module.mutate(chosen.corpus[0], rng))) for _ in range(500)]

    assert sum(any(len(given.payload) > MAX_FRAME_BYTES for given in case) for case in changed) > 20
    assert any(len(given.payload) > MAX_FRAME_BYTES for case in made for given in case)


def test_hang_is_told_whoever_catches_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The server catches what its hooks raise, and goes on."""
    monkeypatch.setattr(watchdog, "_TICK_S", 0.005)
    monkeypatch.setattr(judge, "BUILD", tmp_path)
    (tmp_path / "findings").mkdir()

    def forbearing(data: bytes) -> bool:
        try:
            while data:
                pass
        except Exception:
            return True
        return False

    judging = judge.Judge(target.load("aliases")._replace(case=forbearing))
    judging.watchdog.start()
    try:
        with pytest.raises(watchdog.Hang):
            judging(b"hangs")
        assert not judging(b"")
    finally:
        judging.watchdog.stop()


@pytest.mark.parametrize("name", ["json_body", "openapi"])
def test_process_that_ends_without_a_word_has_failed(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A case may have ended it, and then no other was tried."""
    module = load(Path(target.__file__).with_name("run.py"))
    monkeypatch.setattr(module, "_output", lambda *_: (0, "", ""))
    monkeypatch.setattr(sys, "argv", ["run.py", "--target", name])

    assert module.main() == 1
    assert "tells of no case" in capsys.readouterr().err


def test_page_knows_what_a_refusal_may_take() -> None:
    """As the judge has it."""
    page = (Path(__file__).parents[2] / "docs" / "guides" / "fuzzing.md").read_text("utf-8")

    assert f"and {judge._OF_ANY // 1024} KiB" in page


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
