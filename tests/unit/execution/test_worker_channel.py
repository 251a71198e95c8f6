"""The server's end of a channel, with a worker at the other end that has been taken over and says what it likes."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.domain.errors import DeadlineExceeded, ModelFailed
from penstock.domain.halt import Halt
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, TensorSpec
from penstock.execution.shared_slab import SharedSlab
from penstock.execution.worker_channel import Call, Channel, Death, RunLimits, WorkerLost
from penstock.execution.worker_frames import MOST_BYTES, Crowded, Failed, Frame, Placed, Ran, Wire, _encode

SCHEMA = ModelSchema(
    (TensorSpec("X", DATATYPES["FP32"], (-1, 2)),),
    (TensorSpec("Y", DATATYPES["FP32"], (-1, 2)), TensorSpec("T", DATATYPES["BYTES"], (-1,)), TensorSpec("B", DATATYPES["BOOL"], (-1,))),
    batched=True,
)
CALL = Call({"X": np.ones((1, 2), np.float32)}, ["Y"], None, None)
Say = Callable[[bytes], None]


class Captive:
    """A channel, and the end of its socket that the worker holds."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.killed: list[Death] = []
        self.halted: list[int] = []
        self.channel = Channel(Wire(ours), SCHEMA, RunLimits(0.05, 1 << 30), self.halted.append, self.killed.append)

    def run(self, *answers: bytes, outputs: list[str] | None = None) -> Any:
        """Run while the worker has already said these packets."""
        for answer in answers:
            self.theirs.send(answer)
        return self.channel.run(CALL._replace(outputs=outputs or ["Y"]))

    def close(self) -> None:
        """Let go of both ends."""
        self.channel.close()
        self.theirs.close()


@pytest.fixture
def captive() -> Iterator[Captive]:
    """Return a channel whose worker a test speaks for."""
    one = Captive()
    yield one
    one.close()


def ran(*placed: Placed, number: int = 1) -> bytes:
    """Return the packet of an answer."""
    return _encode(Ran(number, placed))


def test_well_placed_answer_is_read(captive: Captive) -> None:
    """The control: what follows fails for its content."""
    (answer,) = captive.run(ran(Placed(0, (1, 2), 0, 8)))

    assert answer.tolist() == [[1.0, 1.0]]  # the inputs, which lie there
    assert not captive.killed


@pytest.mark.parametrize(
    ("packet", "outputs"),
    [
        (b"\x00", ["Y"]),
        (os.urandom(200), ["Y"]),
        (b"\x93", ["Y"]),
        (b"x" * (MOST_BYTES + 10), ["Y"]),
        (_encode(Frame()), ["Y"]),
        (ran(number=1), ["Y"]),
        (ran(Placed(0, (1, 2), 0, 8), number=2), ["Y"]),
        (ran(Placed(0, (1, 2), 0, 8), number=-1), ["Y"]),
        (ran(Placed(1, (1,), 0, 8)), ["Y"]),
        (ran(Placed(-1, (1, 2), 0, 8)), ["Y"]),
        (ran(Placed(0, (1, 2), 0, 8), Placed(0, (1, 2), 0, 8)), ["Y"]),
        (ran(Placed(0, (-1, -2), 0, 8)), ["Y"]),
        (ran(Placed(0, (1 << 40, 1 << 40), 0, 8)), ["Y"]),
        (ran(Placed(0, (1, 1 << 30), 0, 8)), ["Y"]),
        (ran(Placed(0, (1,) * 80, 0, 4)), ["Y"]),
        (ran(Placed(0, (1, 2), -8, 8)), ["Y"]),
        (ran(Placed(0, (1, 2), 1 << 62, 8)), ["Y"]),
        (ran(Placed(0, (1, 2), 65_532, 8)), ["Y"]),
        (ran(Placed(1, (1 << 40,), 0, 8)), ["T"]),
        (ran(Placed(1, (2,), 0, 1 << 40)), ["T"]),
        (ran(Placed(1, (-1, -2), 0, 8)), ["T"]),
        (ran(Placed(1, (0, 1 << 62, 1 << 62), 0, 0)), ["T"]),
        (ran(Placed(1, (2,), -4, 8)), ["T"]),
        (ran(Placed(1, (1,), 0, 8)), ["T"]),
        (ran(Placed(2, (8,), 0, 8)), ["B"]),
        (ran(Placed(2, (-2, -4), 0, 8)), ["B"]),
        (ran(Placed(2, (0, 1 << 62, 1 << 62), 0, 0)), ["B"]),
        (_encode(Crowded(1, 8)), ["Y"]),
        (_encode(Crowded(7, 1 << 20)), ["Y"]),
        (_encode(Crowded(1, -1)), ["Y"]),
    ],
)
def test_senseless_answer_costs_the_worker_its_life(captive: Captive, packet: bytes, outputs: list[str]) -> None:
    """Whatever it says, the run ends as that of a worker that has died, and no memory beyond the slab is read."""
    with pytest.raises(WorkerLost):
        captive.run(packet, outputs=outputs)

    assert captive.killed == [Death.GARBLED]
    assert captive.channel.broken


def test_worker_cannot_ask_for_all_memory(captive: Captive) -> None:
    """Room for outputs is memory of the server's: a worker that asks for more than there can be gets none."""
    with pytest.raises(WorkerLost):
        captive.run(_encode(Crowded(1, 2 << 30)))

    assert captive.killed == [Death.GARBLED]


def test_worker_that_asks_for_room_twice_is_ended(captive: Captive) -> None:
    """One answer says what the outputs need."""
    with pytest.raises(WorkerLost):
        captive.run(_encode(Crowded(1, 100_000)), _encode(Crowded(1, 1_000_000)))

    assert captive.killed == [Death.GARBLED]


def test_descriptors_from_a_worker_are_not_kept(captive: Captive) -> None:
    """It cannot fill the server's table of open files."""
    captive.run(ran(Placed(0, (1, 2), 0, 8)))
    before = len(list(Path("/proc/self/fd").iterdir()))
    socket.send_fds(captive.theirs, [ran(Placed(0, (1, 2), 0, 8), number=2)], [0, 1, 2])
    captive.run()

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_failure_is_told_without_end(captive: Captive) -> None:
    """A message is cut, whatever its length."""
    with pytest.raises(ModelFailed) as caught:
        captive.run(_encode(Failed(1, False, "x" * 100_000)))

    assert len(caught.value.message) <= 1000
    assert not captive.channel.broken


def test_silent_worker_is_told_to_end_its_run_and_then_ended(captive: Captive, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the word, then the grace, then the kill."""
    monkeypatch.setattr("penstock.execution.worker_channel._GRACE_S", 0.05)

    with pytest.raises(WorkerLost):
        captive.run()

    assert (captive.halted, captive.killed) == ([1], [Death.HUNG])


@pytest.mark.parametrize("crowded", [False, True])
def test_answer_after_the_limit_is_handed_out(captive: Captive, *, crowded: bool) -> None:
    """The word came too late, and the answer is there all the same; a worker that waits for room gets it, and the channel stays in step."""

    def answer_late(number: int) -> None:
        captive.halted.append(number)
        if crowded:
            captive.theirs.send(_encode(Crowded(number, 100_000)))
        captive.theirs.send(ran(Placed(0, (1, 2), 0, 8)))

    captive.channel._halt = answer_late

    assert captive.run()[0].shape == (1, 2)
    assert (captive.halted, captive.killed) == ([1], [])
    assert captive.run(ran(Placed(0, (1, 2), 0, 8), number=2))[0].shape == (1, 2)


def test_server_that_was_stopped_meanwhile_leaves_the_worker_its_grace(captive: Captive, monkeypatch: pytest.MonkeyPatch) -> None:
    """It wakes long after the limit, and blames nobody for that."""
    monkeypatch.setattr("penstock.execution.worker_channel.monotonic", iter([0.0, 3600.0]).__next__)

    def answer(_: int) -> None:
        captive.theirs.send(ran(Placed(0, (1, 2), 0, 8)))

    captive.channel._halt = answer

    assert captive.run()[0].shape == (1, 2)
    assert not captive.killed


def test_failure_after_the_limit_is_that_of_the_limit(captive: Captive) -> None:
    """An engine that was told to end fails, in words of its own."""

    def fail(number: int) -> None:
        captive.theirs.send(_encode(Failed(number, False, "terminated")))

    captive.channel._halt = fail

    with pytest.raises(DeadlineExceeded, match=r"limit of 0\.05 s"):
        captive.run()

    assert not captive.killed


def test_run_that_nobody_waits_for_is_not_sent(captive: Captive) -> None:
    """Its caller has left before it began: the worker hears nothing of it."""
    halt = Halt()
    halt.ask()

    with pytest.raises(ModelFailed, match="nobody waited"):
        captive.channel.run(CALL._replace(halt=halt))

    with pytest.raises(BlockingIOError):
        captive.theirs.recv(1, socket.MSG_DONTWAIT)
    assert not captive.halted
    assert captive.run(ran(Placed(0, (1, 2), 0, 8), number=2))[0].shape == (1, 2)


def test_slab_cannot_be_made_shorter_or_longer() -> None:
    """A mapping that shrinks would end the server with SIGBUS."""
    slab = SharedSlab.new(1)
    try:
        for size in (0, 1 << 30):
            with pytest.raises(PermissionError):
                os.ftruncate(slab.lend(), size)
    finally:
        slab.close_descriptor()


def test_answer_does_not_change_after_it_was_read(captive: Captive) -> None:
    """What the worker writes later is not in it."""
    (answer,) = captive.run(ran(Placed(0, (1, 2), 0, 8)))

    captive.channel._slab._map[:8] = b"\xff" * 8  # type: ignore[union-attr]

    assert answer.tolist() == [[1.0, 1.0]]


frames = st.one_of(
    st.binary(min_size=1, max_size=300),
    st.builds(
        lambda number, index, shape, offset, size: ran(Placed(index, tuple(shape), offset, size), number=number),
        st.integers(0, 2),
        st.integers(-2, 4),
        st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
        st.integers(-(2**63), 2**63 - 1),
        st.integers(-(2**63), 2**63 - 1),
    ),
    st.builds(lambda number, size: _encode(Crowded(number, size)), st.integers(0, 2), st.integers(-(2**63), 2**63 - 1)),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(packets=st.lists(frames, min_size=1, max_size=3), output=st.sampled_from(["Y", "T", "B"]))
def test_no_word_of_a_worker_gets_further_than_its_channel(packets: list[bytes], output: str) -> None:
    """Fuzz from the worker's side: an answer, a failure of the model, or a lost worker; nothing else comes out."""
    captive = Captive()
    for packet in packets:
        captive.theirs.send(packet)
    captive.theirs.shutdown(socket.SHUT_WR)
    try:
        captive.channel.run(CALL._replace(outputs=[output]))
    except (WorkerLost, ModelFailed):
        pass
    finally:
        captive.close()


def test_suspect_runs_alone_and_goes_first() -> None:
    """Plain runs end before it, and those that come meanwhile wait for it."""
    from penstock.execution.isolated_session import Company

    company, order = Company(), list[str]()
    company.enter(alone=False)

    def enter(name: str, *, alone: bool) -> None:
        company.enter(alone=alone)
        order.append(name)
        company.leave(alone=alone)

    suspect = threading.Thread(target=enter, args=("suspect",), kwargs={"alone": True})
    suspect.start()
    while not company._suspects:
        pass
    plain = threading.Thread(target=enter, args=("plain",), kwargs={"alone": False})
    plain.start()
    assert not order
    company.leave(alone=False)
    suspect.join(10)
    plain.join(10)

    assert order == ["suspect", "plain"]


@pytest.mark.parametrize(
    ("message", "sticky"),
    [
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0", True),
        ("CUDA failure 719: unspecified launch failure ; GPU=0", True),
        ("CUDA error cudaErrorIllegalAddress:an illegal memory access was encountered", True),
        ("CUDA failure 2: out of memory ; GPU=0", False),
        ("Failed to allocate memory for requested buffer of size 700", False),
        ("indices element out of data bounds, idx=710 must be within the inclusive range [-4,3]", False),
    ],
)
def test_failure_of_a_device_is_told_from_one_of_the_input(message: str, *, sticky: bool) -> None:
    """After the first kind every run fails, so that only a new process helps; it has a reason of its own."""
    from penstock.execution.worker import is_sticky
    from penstock.execution.worker_channel import DEVICE_FAILED, death_of

    assert is_sticky(message) is sticky
    assert (death_of(DEVICE_FAILED), death_of(0), death_of(-11), death_of(-9)) == (Death.DEVICE, Death.EXITED, Death.CRASHED, Death.KILLED)
