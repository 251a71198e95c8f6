"""accepted = written + dropped, whatever the sink does; and who is sampled."""

import threading

import numpy as np
import pytest
from predictions import ended, tensor

from penstock.domain.start import StartError
from penstock.payloads.options import PayloadOptions, RecordingOptions
from penstock.payloads.recorder import Recorder
from penstock.payloads.recording import Surroundings
from penstock.payloads.sink import SinkFailed
from penstock.payloads.summary import Summary

PATIENCE_S = 30


class Kept:
    """A sink that keeps records in memory."""

    name = "kept"
    backlog = None

    def __init__(self):
        self.records = []

    def write(self, records, tally):
        self.records += records
        tally.written += len(records)

    def flush(self):
        pass

    def close(self):
        pass


class Hanging(Kept):
    """A sink that takes its time until it is let go."""

    def __init__(self):
        super().__init__()
        self.asked, self.free = threading.Event(), threading.Event()

    def write(self, records, tally):
        self.asked.set()
        assert self.free.wait(PATIENCE_S)
        super().write(records, tally)


class Refusing(Kept):
    """A sink that loses every third record, for two reasons."""

    def write(self, records, tally):
        tally.lost.update("odd" if number % 2 else "even" for number in range(0, len(records), 3))
        super().write(records[: len(records) - tally.lost.total()], tally)
        raise SinkFailed("on purpose")


class Broken(Kept):
    """A sink with a fault of ours in the middle of each block."""

    def write(self, records, tally):
        super().write(records[: len(records) // 2], tally)
        raise RuntimeError("on purpose")


class Flaky(Kept):
    """A sink that can be made only at the third attempt."""

    attempts = 0

    def made(self):
        self.attempts += 1
        if self.attempts < 3:
            raise StartError("on purpose")
        return self


def house(sink, tmp_path, max_bytes=1 << 30, **options):
    """Return a recorder, its writer, and what hears of the ends of a model's predictions."""
    heard = {}
    make = getattr(sink, "made", lambda: sink)
    recorder = Recorder(
        lambda _: make(),
        PayloadOptions(max_bytes=max_bytes, flush_s=0.01),
        tmp_path,
        heard.__setitem__,
        surroundings=Surroundings(),
        redacted=set(),
    )
    recorder.follow("m", RecordingOptions(**(options or {"sample": 1.0})))
    return recorder, recorder.writers["jsonl"], heard["m"]


def balance(writer):
    """Return how many predictions are accounted for."""
    return writer.written + sum(writer.dropped.values()) + writer.waiting


@pytest.mark.parametrize("sink", [Kept, Refusing, Broken, Flaky])
def test_every_prediction_is_written_or_counted_as_dropped(sink, tmp_path):
    """Whatever the sink does: nothing that it has written counts as dropped, nor the other way round."""
    kept = sink()
    recorder, writer, offer = house(kept, tmp_path)
    recorder.start()
    for number in range(2000):
        offer(ended(str(number)), "OK")
    recorder.close(PATIENCE_S)
    assert writer.intake.accepted == 2000 == balance(writer)
    assert writer.waiting == 0
    assert writer.written == len(kept.records)
    assert writer.intake.size_bytes == 0


def test_what_a_slow_sink_has_no_time_for_is_dropped_and_the_rest_is_written(tmp_path):
    """Nothing is lost but what there was no room for."""
    sink = Hanging()
    sink.free.wait = lambda _: threading.Event().wait(0.005) or True
    recorder, writer, offer = house(sink, tmp_path, max_bytes=100_000)
    recorder.start()
    for number in range(3000):
        offer(ended(str(number)), "OK")
    recorder.close(PATIENCE_S)
    assert writer.dropped.keys() == {"queue_full"}
    assert writer.intake.accepted == 3000 == writer.written + writer.dropped["queue_full"]
    assert writer.written == len(sink.records) > 0


def test_what_a_hanging_sink_leaves_no_room_for_is_dropped_and_nobody_waits(tmp_path):
    """What a hanging sink leaves no room for is dropped and nobody waits."""
    sink = Hanging()
    recorder, writer, offer = house(sink, tmp_path, max_bytes=20_000)
    recorder.start()
    offer(ended("first"), "OK")
    assert sink.asked.wait(PATIENCE_S)
    for number in range(50):
        offer(ended(str(number)), "OK")
        assert writer.intake.size_bytes <= 20_000
    assert writer.dropped["queue_full"] > 30
    sink.free.set()
    recorder.close(PATIENCE_S)
    assert writer.intake.accepted == 51 == balance(writer)


def test_a_server_that_stops_does_not_wait_for_a_sink_that_hangs_and_counts_what_it_leaves(tmp_path, caplog):
    """The rows in the sink's hands too, unless it lets go of them after all."""
    sink = Hanging()
    recorder, writer, offer = house(sink, tmp_path)
    recorder.start()
    offer(ended("first"), "OK")
    assert sink.asked.wait(PATIENCE_S)
    offer(ended("second"), "OK")
    recorder.close(0.01)
    assert (writer.dropped, writer.waiting) == ({"shutdown": 2}, 0)
    assert "2 rows could not be written to jsonl in time" in caplog.text
    sink.free.set()
    writer.join(PATIENCE_S)
    assert writer.intake.accepted == 2 == balance(writer)


def test_a_sink_that_hangs_costs_only_the_rows_that_are_its_own(tmp_path):
    """Each sink has a queue and a thread."""
    heard, sinks = {}, {"jsonl": Kept(), "kafka": Hanging()}
    options = PayloadOptions(max_bytes=20_000, flush_s=0.01)
    recorder = Recorder(sinks.__getitem__, options, tmp_path, heard.__setitem__, surroundings=Surroundings(), redacted=set())
    recorder.start()
    recorder.follow("m", RecordingOptions(sample=1.0))
    recorder.follow("n", RecordingOptions(sample=1.0, sink="kafka"))
    assert (recorder.sink_of("m"), recorder.sink_of("n")) == ("jsonl", "kafka")
    for number in range(50):
        heard["n"](ended(str(number)), "OK")
    for number in range(5):
        heard["m"](ended(str(number)), "OK")
    recorder.writers["jsonl"].stop()
    recorder.writers["jsonl"].join(PATIENCE_S)
    assert [each.request_id for each in sinks["jsonl"].records] == list("01234")
    assert recorder.writers["kafka"].dropped["queue_full"] > 30
    sinks["kafka"].free.set()
    recorder.close(PATIENCE_S)


def test_rows_that_no_sink_can_be_made_for_are_counted_until_one_can(tmp_path, caplog):
    """It is tried again, and told once."""
    sink = Flaky()
    _, writer, offer = house(sink, tmp_path)
    for _ in range(2):
        offer(ended("early"), "OK")
        writer._turn()
    offer(ended("late"), "OK")
    writer._turn()
    assert (writer.written, writer.dropped) == (1, {"unusable": 2})
    assert caplog.text.count("jsonl takes no rows: on purpose") == 1


def test_a_record_that_cannot_be_redacted_is_dropped_and_not_written(tmp_path, monkeypatch):
    """A record that cannot be redacted is dropped and not written."""
    sink = Kept()
    recorder, writer, offer = house(sink, tmp_path, sample=1.0, redact={"X": "hash"})
    monkeypatch.setattr("penstock.payloads.redaction.hashed", lambda *_: 1 / 0)
    recorder.start()
    offer(ended("r"), "OK")
    recorder.close(PATIENCE_S)
    assert (writer.dropped, sink.records) == ({"redaction": 1}, [])
    assert writer.intake.accepted == 1


def test_a_row_that_cannot_be_made_is_a_fault_of_ours_and_costs_no_other(tmp_path, monkeypatch):
    """It is not said that the settings could not be kept."""
    sink = Kept()
    _, writer, offer = house(sink, tmp_path)
    monkeypatch.setattr("penstock.payloads.offer.trace_id_of", lambda traceparent: 1 / len(traceparent) and "t")
    for traceparent in ("there", "", "there"):
        ticket = ended("r")
        ticket.request.traceparent = traceparent
        offer(ticket, "OK")
    writer._turn()
    assert (writer.dropped, len(sink.records), writer.waiting) == ({"fault": 1}, 2, 0)


def test_a_tensor_that_is_dropped_is_not_even_kept_in_memory(tmp_path):
    """A tensor that is dropped is not even kept in memory."""
    _, writer, offer = house(Kept(), tmp_path, sample=1.0, redact={"X": "drop"})
    offer(ended("r", [tensor("X", np.zeros((1, 100_000)))]), "OK")
    (waiting,) = writer.intake.take(1)
    assert (waiting.inputs, waiting.request.inputs) == ([], [])
    assert waiting.size_bytes < 10_000


def test_messages_of_errors_stay_out_where_anything_is_redacted(tmp_path):
    """Messages of errors stay out where anything is redacted."""
    for redact, expected in (({}, True), ({"Y": "hash"}, False)):
        sink = Kept()
        recorder, _, offer = house(sink, tmp_path, sample=1.0, redact=redact)
        offer(ended("r", failed=True), "MODEL_FAILED")
        recorder.start()
        recorder.close(PATIENCE_S)
        assert ("CANARY" in sink.records[0].error) is expected


def test_the_same_request_is_sampled_whatever_the_protocol(tmp_path):
    """The same request is sampled whatever the protocol."""
    _, _, offer = house(Kept(), tmp_path, sample=0.3)
    for number in range(500):
        assert offer.fraction(ended(str(number))) == offer.fraction(ended(str(number), protocol="grpc"))


def test_nothing_is_recorded_unless_it_is_asked_for(tmp_path):
    """Nothing is recorded unless it is asked for."""
    heard = {}
    recorder = Recorder(lambda _: Kept(), PayloadOptions(), tmp_path, heard.__setitem__, surroundings=Surroundings(), redacted=set())
    recorder.follow("m", RecordingOptions())
    assert heard == {"m": None}


def test_errors_and_slow_ones_are_always_kept_with_the_probability_of_one(tmp_path):
    """Errors and slow ones are always kept with the probability of one."""
    _, _, offer = house(Kept(), tmp_path, sample=0.0, keep_errors=True, slower_ms=5)
    assert offer.fraction(ended("a")) == 0
    assert offer.fraction(ended("a", failed=True)) == 1
    assert offer.fraction(ended("a", took_ns=6_000_000)) == 1


def test_weighted_figures_are_those_of_all_predictions(tmp_path):
    """Weighted figures are those of all predictions."""
    random = np.random.default_rng(5)
    _, _, offer = house(Kept(), tmp_path, sample=0.1, keep_errors=True, slower_ms=8)
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
    recorder, _, _ = house(Kept(), tmp_path, sample=0.5)
    recorder.change("m", RecordingOptions(sample=0.1))
    recorder.follow("m", RecordingOptions(sample=0.5))
    assert recorder.in_force("m").sample == 0.1
    recorder.follow("m", RecordingOptions(sample=0.2))
    assert recorder.in_force("m").sample == 0.2


def test_what_still_waits_for_a_shadow_is_decided_and_written_before_the_writers_stop(tmp_path):
    """By the draw, into the sink that its model has."""
    heard, sinks = {}, {"parquet": Kept(), "kafka": Kept()}
    recorder = Recorder(
        sinks.__getitem__,
        PayloadOptions(flush_s=0.01),
        tmp_path,
        heard.__setitem__,
        surroundings=Surroundings(followers_of=lambda _: 1),
        redacted=set(),
    )
    for model, sink in (("m", "parquet"), ("n", "kafka")):
        recorder.follow(model, RecordingOptions(sample=0.999_999, keep_disagreements=True, sink=sink))
    recorder.start()
    tickets = [ended("a"), ended("b"), ended("c")]
    for ticket, model in zip(tickets, ("m", "n", "n"), strict=True):
        heard[model](ticket, "OK")
    assert len(recorder.undecided) == 3
    recorder.close(PATIENCE_S)
    assert [[row.request_id for row in sink.records] for sink in sinks.values()] == [["a"], ["b", "c"]]
    assert all(writer.waiting == 0 for writer in recorder.writers.values())
