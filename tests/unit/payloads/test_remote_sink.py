"""Rows on their way elsewhere: none is lost, doubled without need, or counted twice, whatever the destination does."""

import errno
import os
import shutil
import threading

import orjson
import pytest
from backlogs import PATIENCE_S, balanced, descriptors, until
from predictions import record

from penstock.payloads.backlog import Backlog
from penstock.payloads.claim import Claim
from penstock.payloads.courier import Breaker, Courier
from penstock.payloads.reading import rows_of
from penstock.payloads.remote import Delivery, Fate, RemoteSink
from penstock.payloads.retention import DAY_S
from penstock.payloads.sink import SinkFailed, Tally
from penstock.payloads.spool import Spool
from penstock.payloads.waiting import Limits


class Far:
    """A destination that keeps what it takes; `act` may do otherwise."""

    together = 256

    def __init__(self, act=lambda lines: None):
        self.lines, self.act, self.calls, self.closed = [], act, [], False

    def send(self, lines):
        self.calls.append(len(lines))
        delivery = self.act(lines) or Delivery([Fate.WRITTEN] * len(lines))
        self.lines += [line for line, fate in zip(lines, delivery.fates, strict=True) if fate is Fate.WRITTEN]
        return delivery

    def close(self):
        self.closed = True

    @property
    def ids(self):
        return [orjson.loads(line)["request_id"] for line in self.lines]


def hasty(name, carry, heard):
    """Return a courier that waits next to nothing after failures."""
    return Courier(name, carry, heard, Breaker(0.001, 0.002))


def sink_of(root, far, most_bytes=1 << 20, longest_s=DAY_S):
    """Return a sink."""
    return RemoteSink("far", Claim(root), Limits(most_bytes, longest_s), lambda: far, listed=root, courier=hasty)


def sent_after_a_start(root):
    """Return the ids of the rows that the next process sends, until nothing waits."""
    far = Far()
    sink = sink_of(root, far)
    sink.flush()
    until(lambda: sink.backlog.waiting == 0)
    sink.close()
    return far.ids


def write(sink, *ids):
    """Write records, and return what has become of them."""
    tally = Tally()
    sink.write([record(request_id=each) for each in ids], tally)
    return tally


def test_rows_arrive_in_order_and_nothing_is_left(tmp_path):
    """Rows arrive in order and nothing is left."""
    far = Far()
    sink = sink_of(tmp_path, far)
    for number in range(50):
        assert write(sink, f"{number}a", f"{number}b").written == 2
    sink.close()
    assert far.ids == [f"{number}{letter}" for number in range(50) for letter in "ab"]
    assert (sink.backlog.written, sink.backlog.waiting, sink.backlog.size_bytes, far.closed) == (100, 0, 0, True)
    assert not list(tmp_path.rglob("*.jsonl"))


def test_a_destination_that_fails_gets_the_rows_later_and_only_a_probe_meanwhile(tmp_path, caplog):
    """Each row once; the first attempts of all, then of one. The log tells of it once."""
    down = threading.Event()
    down.set()
    far = Far(lambda lines: Delivery([Fate.AGAIN] * len(lines), "on purpose") if down.is_set() else None)
    sink = sink_of(tmp_path, far)
    write(sink, *"abcde")
    until(lambda: len(far.calls) > 6)
    assert not sink.backlog.is_up
    assert (far.calls[:3], set(far.calls[4:])) == ([5, 5, 5], {1})
    down.clear()
    until(lambda: sink.backlog.written == 5)
    sink.close()
    assert (far.ids, sink.backlog.is_up, balanced(sink.backlog)) == (list("abcde"), True, True)
    assert [each.levelname for each in caplog.records] == ["WARNING"]


def test_what_is_refused_is_counted_and_what_is_in_doubt_is_sent_again(tmp_path):
    """Row by row."""
    first = [Delivery([Fate.WRITTEN, Fate.REFUSED, Fate.AGAIN], "on purpose")]
    far = Far(lambda _: first.pop() if first else None)
    sink = sink_of(tmp_path, far)
    write(sink, *"abc")
    until(lambda: sink.backlog.waiting == 0)
    sink.close()
    assert far.ids == ["a", "c"]
    assert (sink.backlog.written, sink.backlog.dropped) == (2, {"refused": 1})


def test_a_destination_with_a_fault_of_ours_is_tried_again(tmp_path, caplog):
    """And the log has the whole of it."""
    faults = [RuntimeError("on purpose")] * 2

    def act(_):
        if faults:
            raise faults.pop()

    far = Far(act)
    sink = sink_of(tmp_path, far)
    write(sink, "a")
    until(lambda: sink.backlog.written == 1)
    sink.close()
    assert "for a reason of ours" in caplog.text


def test_a_dead_destination_costs_the_oldest_rows_beyond_the_buffer(tmp_path):
    """The disk holds no more than the buffer may, and each row is accounted for."""
    far = Far(lambda lines: Delivery([Fate.AGAIN] * len(lines), "on purpose"))
    sink = sink_of(tmp_path, far, most_bytes=20_000)
    for number in range(300):
        write(sink, str(number))
        assert sum(path.stat().st_size for path in tmp_path.rglob("*.jsonl")) <= 20_000
        assert balanced(sink.backlog)
    sink.close()
    assert sink.backlog.dropped["buffer_full"] > 200
    assert sink.backlog.waiting == 300 - sink.backlog.dropped["buffer_full"] > 20
    far.act = lambda _: None
    sink = sink_of(tmp_path, far, most_bytes=20_000)
    sink.flush()
    until(lambda: sink.backlog.waiting == 0)
    sink.close()
    assert far.ids[-1] == "299"
    assert len(far.ids) == len(set(far.ids)) == sink.backlog.recovered == sink.backlog.written


def test_rows_larger_than_the_whole_buffer_are_dropped(tmp_path):
    """And none of those that wait already."""
    sink = sink_of(tmp_path, Far(lambda lines: Delivery([Fate.AGAIN] * len(lines))), most_bytes=2_000)
    sink._courier.hurry = lambda: None
    write(sink, "a")
    write(sink, "b" * 3_000)
    assert (sink.backlog.dropped, sink.backlog.waiting) == ({"buffer_full": 1}, 1)
    sink.close()


def test_rows_that_have_waited_for_too_long_are_dropped(tmp_path):
    """A dead destination is no way around retention."""
    sink = sink_of(tmp_path, Far(lambda lines: Delivery([Fate.AGAIN] * len(lines))), most_bytes=4_000)
    sink._courier.hurry = lambda: None
    for number in range(5):
        write(sink, str(number))
    old, *_ = sorted(tmp_path.rglob("*.jsonl"))
    os.utime(old, (1, 1))
    sink.flush()
    assert 0 < sink.backlog.dropped["too_old"] < 5
    assert (not old.exists(), balanced(sink.backlog)) == (True, True)
    sink.close()


def test_rows_that_grow_old_in_the_hands_of_the_courier_are_dropped_too(tmp_path):
    """Those that it has tried in vain."""
    sink = sink_of(tmp_path, Far(lambda lines: Delivery([Fate.AGAIN] * len(lines))))
    write(sink, *"abc")
    until(lambda: not sink.backlog.is_up)
    (path,) = tmp_path.rglob("*.jsonl")
    os.utime(path, (1, 1))
    until(lambda: not path.exists())
    assert (sink.backlog.dropped, balanced(sink.backlog)) == ({"too_old": 3}, True)
    sink.close()


def test_a_destination_that_hangs_keeps_nobody_waiting(tmp_path):
    """Neither the writer nor the end of the server; rows stay for the next start, which sends them once."""
    asked, free = threading.Event(), threading.Event()

    def hang(lines):
        asked.set()
        free.wait(PATIENCE_S)
        return Delivery([Fate.AGAIN] * len(lines), "on purpose")

    sink = sink_of(tmp_path, Far(hang))
    sink._courier.stop = lambda _within_s, stop=sink._courier.stop: stop(0.01)
    write(sink, "a")
    assert asked.wait(PATIENCE_S)
    for number in range(20):
        assert write(sink, str(number)).written == 1
    sink.close()
    assert sink.backlog.waiting == 21
    free.set()
    sink._courier._thread.join(PATIENCE_S)
    far = Far()
    sink = sink_of(tmp_path, far)
    sink.flush()
    until(lambda: sink.backlog.written == 21)
    sink.close()
    assert sorted(far.ids) == sorted(["a", *map(str, range(20))])


def test_a_stop_in_the_middle_of_a_block_sends_nothing_twice(tmp_path):
    """What has arrived of it is taken out."""
    far = Far(lambda lines: Delivery([Fate.WRITTEN, *[Fate.AGAIN] * (len(lines) - 1)], "on purpose") if not far.lines else down(lines))

    def down(lines):
        return Delivery([Fate.AGAIN] * len(lines), "on purpose")

    sink = sink_of(tmp_path, far)
    write(sink, *"abc")
    until(lambda: len(far.calls) > 2)
    sink.close()
    assert (far.ids, sink.backlog.waiting) == (["a"], 2)
    assert sent_after_a_start(tmp_path) == ["b", "c"]


def test_a_stop_while_a_row_is_under_way_sends_none_of_those_before_it_twice(tmp_path):
    """Its own fate is not known: it is the only one that may come twice."""
    asked, free = threading.Event(), threading.Event()

    def hang(_):
        if far.lines:
            asked.set()
            free.wait(PATIENCE_S)

    far = Far(hang)
    far.together = 1
    sink = sink_of(tmp_path, far)
    sink._courier.stop = lambda _within_s, stop=sink._courier.stop: stop(0.01)
    write(sink, *"abc")
    assert asked.wait(PATIENCE_S)
    sink.close()
    free.set()
    sink._courier._thread.join(PATIENCE_S)
    assert (far.ids, sent_after_a_start(tmp_path)) == (["a", "b"], ["b", "c"])


@pytest.mark.parametrize(("code", "reason"), [(errno.ENOSPC, "disk_full"), (errno.EIO, "io")])
def test_a_disk_that_takes_nothing_costs_rows_that_are_counted_and_the_next_are_whole(tmp_path, monkeypatch, code, reason):
    """A disk that takes nothing costs rows that are counted and the next are whole."""
    far, real, calls = Far(), os.write, []
    sink = sink_of(tmp_path, far)
    sink._courier.hurry, hurry = lambda: None, sink._courier.hurry
    write(sink, "a")

    def torn(descriptor, data):
        calls.append(1)
        if len(calls) > 1:
            raise OSError(code, "on purpose")
        return real(descriptor, data[:7])

    tally = Tally()
    with monkeypatch.context() as patch, pytest.raises(SinkFailed):
        patch.setattr(os, "write", torn)
        sink.write([record(request_id="b"), record(request_id="\ud800")], tally)
    assert (tally.written, tally.lost) == (0, {reason: 1, "encode": 1})
    write(sink, "c")
    hurry()
    sink.close()
    assert (far.ids, sink.backlog.written, balanced(sink.backlog)) == (["a", "c"], 2, True)


def test_blocks_that_somebody_has_removed_count_as_lost(tmp_path):
    """The others arrive."""
    far = Far()
    sink = sink_of(tmp_path, far, most_bytes=4_000)
    sink._courier.hurry, hurry = lambda: None, sink._courier.hurry
    for number in range(8):
        write(sink, str(number))
    next(iter(sorted(tmp_path.rglob("*.jsonl")))).unlink()
    hurry()
    sink.close()
    assert sink.backlog.dropped["io"] > 0
    assert sink.backlog.written + sink.backlog.dropped["io"] == 8 == len(far.ids) + sink.backlog.dropped["io"]


def test_a_buffer_that_somebody_has_removed_is_made_again(tmp_path):
    """The rows that it held are lost, and no others."""
    far = Far()
    sink = sink_of(tmp_path, far)
    sink._courier.hurry, hurry = lambda: None, sink._courier.hurry
    write(sink, "a", "b")
    shutil.rmtree(sink._claim.path)
    write(sink, "c")
    hurry()
    sink.close()
    assert (far.ids, sink.backlog.dropped, balanced(sink.backlog)) == (["c"], {"io": 2}, True)


def test_the_half_row_of_a_killed_writer_is_cut(tmp_path):
    """The rows before it are there."""
    claim = Claim(tmp_path)
    Spool(claim.path, Limits(1 << 20, DAY_S), Backlog()).put([b'{"request_id":"a"}\n', b'{"request_id":"b"}\n', b'{"reque'])
    claim.release()
    far = Far()
    sink = sink_of(tmp_path, far)
    sink._courier.hurry, hurry = lambda: None, sink._courier.hurry
    write(sink, "c")
    hurry()
    until(lambda: sink.backlog.waiting == 0)
    sink.close()
    assert (far.ids, sink.backlog.recovered, sink.backlog.written) == (["a", "b", "c"], 2, 3)


def test_a_directory_has_one_process_and_what_dead_ones_leave_goes_to_the_next(tmp_path):
    """Two servers may share the state directory."""
    one, other = Claim(tmp_path), Claim(tmp_path)
    assert one.path != other.path
    for claim, name in ((one, "a.jsonl"), (other, "folder/b.jsonl")):
        (claim.path / name).parent.mkdir(exist_ok=True)
        (claim.path / name).write_text("{}\n")
    other.release()
    third = Claim(tmp_path)
    assert third.path == other.path
    assert (one.path / "a.jsonl").exists()
    third.release()
    one.release()
    fourth = Claim(tmp_path)
    assert sorted(path.name for path in fourth.path.rglob("*.jsonl")) == ["a.jsonl", "b.jsonl"]
    fourth.release()


def test_what_cannot_be_taken_over_stays_and_keeps_nobody_from_a_directory(tmp_path, caplog):
    """A folder of somebody else's beside it."""
    (tmp_path / "1.bak").mkdir()
    (tmp_path / "1.bak" / ".lock").mkdir()
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "a.jsonl").touch()
    claim = Claim(tmp_path)
    assert claim.path == tmp_path / "1"
    assert [path.name for path in claim.path.rglob("*.jsonl")] == ["a.jsonl"]
    assert "1.bak stays there until the next start" in caplog.text
    claim.release()


def test_a_disk_without_locks_costs_no_descriptor(tmp_path, monkeypatch):
    """A claim is tried again each second."""
    monkeypatch.setattr("fcntl.flock", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOLCK, "No locks available")))
    before = descriptors()
    with pytest.raises(OSError, match="No locks"):
        Claim(tmp_path)
    assert descriptors() == before


def test_pauses_double_up_to_a_limit_and_are_spread():
    """So that many servers do not come back at once."""
    breaker = Breaker(0.5, 30.0)
    assert (breaker.pause_s(0.5), breaker.is_open) == (0, False)
    pauses = []
    for breaker.failures in range(1, 10):
        pauses.append((breaker.pause_s(0.0), breaker.pause_s(1.0)))
    assert pauses[:3] == [(0.25, 0.5), (0.5, 1.0), (1.0, 2.0)]
    assert pauses[-1] == (15.0, 30.0)
    assert breaker.is_open


def test_what_waits_is_made_of_whole_rows(tmp_path):
    """The buffer is lines of JSON, private to the owner."""
    sink = sink_of(tmp_path, Far())
    sink._courier.hurry = lambda: None
    write(sink, "a", "b")
    (path,) = tmp_path.rglob("*.jsonl")
    assert [row["request_id"] for row in rows_of(path)] == ["a", "b"]
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    sink.close()
