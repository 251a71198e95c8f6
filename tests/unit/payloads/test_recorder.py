"""accepted = written + dropped, whatever the sink does; and who is sampled."""

import threading
from collections import Counter

import numpy as np
import pytest
from predictions import ended, tensor

from penstock.payloads.options import PayloadOptions, RecordingOptions
from penstock.payloads.recorder import Recorder
from penstock.payloads.recording import Surroundings
from penstock.payloads.sink import SinkFailed
from penstock.payloads.summary import Summary

PATIENCE_S = 30


class Kept:
    """A sink that keeps records in memory."""

    name = "kept"

    def __init__(self):
        self.records = []

    def write(self, records):
        self.records += records

    def flush(self):
        pass

    def close(self):
        pass


class Hanging(Kept):
    """A sink that takes its time until it is let go."""

    def __init__(self):
        super().__init__()
        self.asked, self.free = threading.Event(), threading.Event()

    def write(self, records):
        self.asked.set()
        assert self.free.wait(PATIENCE_S)
        super().write(records)


class Refusing(Kept):
    """A sink that loses every third record, for two reasons, and once all of them."""

    def write(self, records):
        lost = Counter("odd" if number % 2 else "even" for number in range(0, len(records), 3))
        self.records += records[: len(records) - lost.total()]
        raise SinkFailed("on purpose", lost)


class Broken(Kept):
    """A sink with a fault of ours."""

    def write(self, records):
        raise RuntimeError("on purpose")


def house(sink, tmp_path, max_bytes=1 << 30, **options):
    """Return a recorder, and what hears of the ends of a model's predictions."""
    heard = {}
    recorder = Recorder(
        sink, PayloadOptions(max_bytes=max_bytes, flush_s=0.01), tmp_path, heard.__setitem__, surroundings=Surroundings(), redacted=set()
    )
    recorder.follow("m", RecordingOptions(**(options or {"sample": 1.0})))
    return recorder, heard["m"]


def balance(recorder):
    """Return how many predictions are accounted for."""
    return recorder.written + sum(recorder.dropped.values()) + len(recorder.intake)


@pytest.mark.parametrize("sink", [Kept, Refusing, Broken])
def test_every_prediction_is_written_or_counted_as_dropped(sink, tmp_path):
    """Every prediction is written or counted as dropped."""
    recorder, offer = house(sink(), tmp_path)
    recorder.start()
    for number in range(2000):
        offer(ended(str(number)), "OK")
    recorder.close(PATIENCE_S)
    assert recorder.intake.accepted == 2000 == balance(recorder)
    assert recorder.written == len(recorder.sink.records)
    assert recorder.intake.size_bytes == 0


def test_what_a_hanging_sink_leaves_no_room_for_is_dropped_and_nobody_waits(tmp_path):
    """What a hanging sink leaves no room for is dropped and nobody waits."""
    sink = Hanging()
    recorder, offer = house(sink, tmp_path, max_bytes=20_000)
    recorder.start()
    offer(ended("first"), "OK")
    assert sink.asked.wait(PATIENCE_S)
    for number in range(50):
        offer(ended(str(number)), "OK")
        assert recorder.intake.size_bytes <= 20_000
    assert recorder.dropped["queue_full"] > 30
    sink.free.set()
    recorder.close(PATIENCE_S)
    assert recorder.intake.accepted == 51 == balance(recorder)


def test_a_server_that_stops_does_not_wait_for_a_sink_that_hangs(tmp_path):
    """A server that stops does not wait for a sink that hangs."""
    sink = Hanging()
    recorder, offer = house(sink, tmp_path)
    recorder.start()
    offer(ended("first"), "OK")
    assert sink.asked.wait(PATIENCE_S)
    recorder.close(0.01)
    sink.free.set()


def test_a_record_that_cannot_be_redacted_is_dropped_and_not_written(tmp_path, monkeypatch):
    """A record that cannot be redacted is dropped and not written."""
    recorder, offer = house(Kept(), tmp_path, sample=1.0, redact={"X": "hash"})
    monkeypatch.setattr("penstock.payloads.redaction.hashed", lambda *_: 1 / 0)
    recorder.start()
    offer(ended("r"), "OK")
    recorder.close(PATIENCE_S)
    assert (recorder.dropped, recorder.sink.records) == ({"redaction": 1}, [])
    assert recorder.intake.accepted == 1


def test_a_tensor_that_is_dropped_is_not_even_kept_in_memory(tmp_path):
    """A tensor that is dropped is not even kept in memory."""
    recorder, offer = house(Kept(), tmp_path, sample=1.0, redact={"X": "drop"})
    offer(ended("r", [tensor("X", np.zeros((1, 100_000)))]), "OK")
    (waiting,) = recorder.intake.take(1)
    assert (waiting.inputs, waiting.request.inputs) == ([], [])
    assert waiting.size_bytes < 10_000


def test_messages_of_errors_stay_out_where_anything_is_redacted(tmp_path):
    """Messages of errors stay out where anything is redacted."""
    for redact, expected in (({}, True), ({"Y": "hash"}, False)):
        recorder, offer = house(Kept(), tmp_path, sample=1.0, redact=redact)
        offer(ended("r", failed=True), "MODEL_FAILED")
        recorder.start()
        recorder.close(PATIENCE_S)
        assert ("CANARY" in recorder.sink.records[0].error) is expected


def test_the_same_request_is_sampled_whatever_the_protocol(tmp_path):
    """The same request is sampled whatever the protocol."""
    _, offer = house(Kept(), tmp_path, sample=0.3)
    for number in range(500):
        assert offer.fraction(ended(str(number))) == offer.fraction(ended(str(number), protocol="grpc"))


def test_nothing_is_recorded_unless_it_is_asked_for(tmp_path):
    """Nothing is recorded unless it is asked for."""
    heard = {}
    recorder = Recorder(Kept(), PayloadOptions(), tmp_path, heard.__setitem__, surroundings=Surroundings(), redacted=set())
    recorder.follow("m", RecordingOptions())
    assert heard == {"m": None}


def test_errors_and_slow_ones_are_always_kept_with_the_probability_of_one(tmp_path):
    """Errors and slow ones are always kept with the probability of one."""
    _, offer = house(Kept(), tmp_path, sample=0.0, keep_errors=True, slower_ms=5)
    assert offer.fraction(ended("a")) == 0
    assert offer.fraction(ended("a", failed=True)) == 1
    assert offer.fraction(ended("a", took_ns=6_000_000)) == 1


def test_weighted_figures_are_those_of_all_predictions(tmp_path):
    """Weighted figures are those of all predictions."""
    random = np.random.default_rng(5)
    _, offer = house(Kept(), tmp_path, sample=0.1, keep_errors=True, slower_ms=8)
    summary, errors, slow = Summary(), 0, 0
    for number in range(20_000):
        failed, took_us = bool(random.random() < 0.02), int(random.exponential(2_000))
        errors, slow = errors + failed, slow + (took_us > 8_000)
        fraction = offer.fraction(ended(f"{number:x}", failed=failed, took_ns=took_us * 1000))
        if fraction:
            row = {"sampling_fraction": fraction, "status": "BAD" if failed else "OK", "timestamp": "t", "total_us": took_us}
            summary.add(row)
    # 2000 draws at 0.1 have a standard deviation of about 2 % of the total.
    assert summary.predictions == pytest.approx(20_000, rel=0.07)
    assert summary.statuses["BAD"] == pytest.approx(errors)
    assert summary.total_us(1 - slow / 20_000) == pytest.approx(8_000, rel=0.07)


def test_what_was_changed_holds_until_the_settings_change(tmp_path):
    """What was changed holds until the settings change."""
    recorder, _ = house(Kept(), tmp_path, sample=0.5)
    recorder.change("m", RecordingOptions(sample=0.1))
    recorder.follow("m", RecordingOptions(sample=0.5))
    assert recorder.in_force("m").sample == 0.1
    recorder.follow("m", RecordingOptions(sample=0.2))
    assert recorder.in_force("m").sample == 0.2
