"""A session in a worker process answers as one on threads does, whatever happens to the process."""

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from processes import Isolate, is_gone, is_stopped, until, until_busy

from penstock.domain.errors import BadArtifact, DeadlineExceeded, LoadRefused, ModelFailed, OutOfMemory, Unavailable
from penstock.domain.halt import Halt
from penstock.execution import worker_process
from penstock.execution.breaker import Breaker, BreakerState
from penstock.execution.devices import Device
from penstock.execution.isolated_session import IsolatedSession
from penstock.execution.session import OrtSession, SessionSettings
from penstock.execution.synthetic import synthetic_inputs
from penstock.execution.worker_channel import Call, Death, RunLimits
from penstock.execution.worker_keeper import WorkerNews, WorkerState
from penstock.execution.worker_process import WorkerOrder, WorkerProcess

MIB = 2**20
ENDLESS = 10**9
SAME = ("same", "float", "batch,4")
ROW = {"X": np.ones((1, 1), np.float32)}
WIDE = "wide (int64[n] shape) => (float[m] Y) { Y = ConstantOfShape <value = float[1] {7.0}> (shape) }"
HOG_OF = {"N": np.array([[300_000_000]], np.int64)}


def slow(models: ModuleType, rounds: int) -> str:
    """Return a graph that loops so many times."""
    return str(models.SLOW.replace("ROUNDS", str(rounds)).replace("ONES", ", ".join(["1.0"] * 256)))


def pid_of(session: IsolatedSession) -> int:
    """Return the number of the worker that is there now, or will be soon."""
    return until(lambda: session.keeper.current).pid


class Background:
    """A run on a thread of its own."""

    def __init__(self, session: IsolatedSession, **options: Any) -> None:
        self.result: list[np.ndarray[Any, Any]] = []
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._work, args=(session, options))
        self._thread.start()

    def _work(self, session: IsolatedSession, options: dict[str, Any]) -> None:
        try:
            self.result = session.run(ROW, ["Y"], **options)
        except Exception as error:
            self.error = error

    def end(self) -> "Background":
        """Wait until the run is over."""
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self


class Closing:
    """A close on a thread of its own."""

    def __init__(self, session: IsolatedSession) -> None:
        self._thread = threading.Thread(target=session.close, daemon=True)
        self._thread.start()

    def end(self, pid: int) -> None:
        """Wait until the session is closed and the process of that number gone."""
        self._thread.join(10)
        ended = is_gone(pid)
        if not ended:  # the test has stopped it, and would wait for it at its end
            os.kill(pid, signal.SIGKILL)
        assert ended
        self._thread.join(10)
        assert not self._thread.is_alive()


def test_answers_are_those_of_a_session_on_threads(isolate: Isolate, models: ModuleType, tmp_path: Path) -> None:
    """Schema, placement and outputs agree, for floats, integers and texts, no rows and many."""
    session = isolate(models.MULTI)
    beside = OrtSession(tmp_path / "model.onnx", SessionSettings(Device("cpu")))

    assert (session.schema, session.placement) == (beside.schema, beside.placement)
    for rows in (1, 3, 0, 9_000, 2):  # 9,000 rows are more than a first slab holds
        inputs = synthetic_inputs(session.schema, rows, seed=rows)
        for one, other in zip(
            session.run(inputs, session.schema.output_names), beside.run(inputs, beside.schema.output_names), strict=True
        ):
            assert one.dtype == other.dtype
            assert one.shape == other.shape
            assert np.array_equal(one, other)


@pytest.mark.parametrize("element", ["bfloat16", "bool"])
def test_values_pass_as_they_are(isolate: Isolate, models: ModuleType, element: str) -> None:
    """What numpy has no type for, and what not every byte is a value of."""
    session = isolate(models.identity("same", element, "batch,n"))
    inputs = synthetic_inputs(session.schema, 4)

    (answer,) = session.run(inputs, ["Y"])

    assert np.array_equal(answer, inputs["X"])
    assert answer.flags.owndata or answer.base is not None


@pytest.mark.parametrize("shape", [(0, 3_000_000), (3_000_000, 0), (1,) * 40])
def test_outputs_may_have_any_shape(isolate: Isolate, shape: tuple[int, ...]) -> None:
    """What callers may not ask for a model may answer, as it may on threads: no element beside a large dimension, or many dimensions."""
    session = isolate(
        "any (int64[n] shape) => (bool[a] B, string[b] T, float[c] F) {"
        " B = ConstantOfShape <value = bool[1] {1}> (shape) T = Cast <to = 8> (B) F = ConstantOfShape (shape) }"
    )

    answers = session.run({"shape": np.array(shape)}, ["B", "T", "F"])

    assert [answer.shape for answer in answers] == [shape] * 3
    assert not session.keeper.tally.deaths


def test_outputs_outgrow_the_slab(isolate: Isolate) -> None:
    """An answer of megabytes to a question of bytes asks for room, and answers before it stay what they were."""
    session = isolate(WIDE)
    small = session.run({"shape": np.array([3])}, ["Y"])[0]

    large = session.run({"shape": np.array([1_000_000])}, ["Y"])[0]

    assert (small.tolist(), large.shape, large.min()) == ([7.0] * 3, (1_000_000,), 7.0)
    assert until(lambda: session.keeper.current).slab_bytes == 4 * MIB


def test_memory_beyond_what_is_kept_is_freed_on_both_sides(isolate: Isolate) -> None:
    """The worker lets go of it, too, and the next run gets new."""
    session = isolate(WIDE, slab_bytes=MIB)
    worker = until(lambda: session.keeper.current)

    session.run({"shape": np.array([1_000_000])}, ["Y"])

    assert worker.slab_bytes == 0
    until(lambda: not any("penstock-slab" in Path(f"/proc/{pid}/maps").read_text() for pid in (worker.pid, "self")))
    assert session.run({"shape": np.array([3])}, ["Y"])[0].tolist() == [7.0] * 3


def test_memory_that_has_not_been_used_for_longest_is_freed_first(isolate: Isolate) -> None:
    """Of three lanes each with a buffer, where two may keep theirs."""
    session = isolate(WIDE, slab_bytes=8 * MIB)
    worker = until(lambda: session.keeper.current)
    lanes = [worker._lent() for _ in range(3)]
    for lane in (lanes[1], lanes[0], lanes[2]):
        lane.run(Call({"shape": np.array([1_000_000])}, ["Y"], None, None))
        worker._take_back(lane)

    assert [lane.slab_bytes for lane in lanes] == [4 * MIB, 0, 4 * MIB]


def test_crash_during_a_run_is_tried_again(isolate: Isolate, models: ModuleType) -> None:
    """A worker that dies of SIGSEGV with a run under way is replaced, and the run answered."""
    session = isolate(slow(models, 45_000))
    first = pid_of(session)
    run = Background(session)
    until_busy(first)

    os.kill(first, signal.SIGSEGV)

    assert run.end().error is None
    assert run.result[0].tolist() == [[1.0]]
    assert (session.keeper.tally.deaths[Death.CRASHED], session.keeper.tally.restarts, session.keeper.breaker) == (
        1,
        1,
        BreakerState.CLOSED,
    )
    assert pid_of(session) != first
    assert is_gone(first)


def test_run_that_kills_two_workers_has_failed(isolate: Isolate, models: ModuleType) -> None:
    """The second time is the run's fault; rows that are run again get no second try, and none of these deaths opens the breaker."""
    session = isolate(slow(models, ENDLESS))
    run = Background(session)
    for death in (1, 2):
        pid = pid_of(session)
        until_busy(pid)
        os.kill(pid, signal.SIGKILL)
        until(lambda: session.keeper.tally.deaths[Death.KILLED] == death)  # noqa: B023

    assert isinstance(run.end().error, ModelFailed)
    again = Background(session, again=True)
    pid = pid_of(session)
    until_busy(pid)
    os.kill(pid, signal.SIGABRT)

    assert isinstance(again.end().error, ModelFailed)
    assert "SIGABRT" in str(again.error)
    assert session.keeper.breaker is BreakerState.CLOSED
    with pytest.raises(DeadlineExceeded):  # the next worker runs it, too
        session.run(ROW, ["Y"], limit_s=0.05)


def test_run_beside_one_that_kills_the_worker_is_answered(isolate: Isolate, models: ModuleType) -> None:
    """What shared the worker with the offender is tried again alone, so that only the offender can have killed the next worker."""
    session = isolate(slow(models, 45_000))
    run, beside = WorkerProcess.run, Background(session)
    pid = pid_of(session)
    until_busy(pid)

    def poisoned(worker: WorkerProcess, call: Any) -> Any:
        if call.limit_s == 77:
            os.kill(worker.pid, signal.SIGKILL)
        return run(worker, call)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WorkerProcess, "run", poisoned)
        offender = Background(session, limit_s=77)
        assert isinstance(offender.end().error, ModelFailed)

    assert beside.end().error is None
    assert beside.result[0].tolist() == [[1.0]]


def test_stopped_worker_is_replaced_after_its_limit(isolate: Isolate, models: ModuleType) -> None:
    """A worker that neither answers nor obeys within `hang_s` is killed; the run is answered by the next one."""
    session = isolate(models.identity(*SAME), hang_s=0.3)
    pid = pid_of(session)
    os.kill(pid, signal.SIGSTOP)
    until(lambda: is_stopped(pid))

    answer = session.run({"X": np.ones((1, 4), np.float32)}, ["Y"])

    assert answer[0].tolist() == [[1.0] * 4]
    assert session.keeper.tally.deaths == {Death.HUNG: 1}


def test_run_beyond_its_limit_is_ended_without_a_death(isolate: Isolate, models: ModuleType) -> None:
    """A long loop is told to end, as `hang_s` or a caller's limit says, and obeys; a caller who leaves ends it, too."""
    session = isolate(slow(models, ENDLESS), hang_s=0.2)
    with pytest.raises(DeadlineExceeded, match=r"limit of 0\.2 s"):
        session.run(ROW, ["Y"])
    with pytest.raises(DeadlineExceeded, match=r"limit of 0\.05 s"):
        session.run(ROW, ["Y"], limit_s=0.05)
    halt = Halt()
    (channel,) = until(lambda: session.keeper.current)._free
    channel._limits = RunLimits(30.0)
    left = Background(session, halt=halt)
    until_busy(pid_of(session))
    halt.ask()

    assert isinstance(left.end().error, ModelFailed)
    assert not session.keeper.tally.deaths


def test_close_ends_a_worker_that_loads(isolate: Isolate, models: ModuleType) -> None:
    """One that is stopped stands for a load without an end: nobody waits for it, whether it was there at the close or came a moment after."""
    session = isolate(models.identity(*SAME))
    first = session.keeper._latest
    os.kill(pid_of(session), signal.SIGKILL)
    loading = until(lambda: session.keeper._latest is not first and session.keeper._latest)
    os.kill(loading.pid, signal.SIGSTOP)

    Closing(session).end(loading.pid)


def test_worker_that_is_started_while_its_session_closes_is_ended(
    isolate: Isolate, models: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The close comes just before there is a process that it could end."""
    session, started = isolate(models.identity(*SAME)), list[int]()
    begun, gate = threading.Event(), threading.Event()
    start = worker_process._started

    def late(end: socket.socket) -> "subprocess.Popen[bytes]":
        begun.set()
        gate.wait(20)
        process = start(end)
        os.kill(process.pid, signal.SIGSTOP)
        started.append(process.pid)
        return process

    monkeypatch.setattr(worker_process, "_started", late)
    os.kill(pid_of(session), signal.SIGKILL)
    until(begun.is_set)  # a session that closes before starts no other
    closing = Closing(session)
    until(lambda: session.keeper.state is WorkerState.CLOSED)
    gate.set()

    closing.end(until(lambda: started)[0])


def test_worker_is_heard_of_when_it_has_loaded(isolate: Isolate, models: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that took long to load is not silent for that."""
    opened_s: list[float] = []
    load = WorkerProcess._open

    def timed(worker: WorkerProcess) -> Any:
        opened = load(worker)
        opened_s.append(time.monotonic())
        return opened

    monkeypatch.setattr(WorkerProcess, "_open", timed)

    assert until(lambda: isolate(models.identity(*SAME)).keeper.current).heard_s >= opened_s[0]


def test_hog_fails_alone(isolate: Isolate, models: ModuleType) -> None:
    """A run that asks for more than the worker may have fails with what it lacks, and the worker goes on."""
    session = isolate(models.HOG, memory_bytes=500 * MIB)
    pid = pid_of(session)

    with pytest.raises(OutOfMemory):
        session.run(HOG_OF, ["Y"])

    assert session.run({"N": np.array([[3]])}, ["Y"])[0].tolist() == [[3]]
    assert pid_of(session) == pid


def test_shrinking_gives_the_memory_of_large_runs_back(isolate: Isolate, models: ModuleType) -> None:
    """The engine keeps what its largest run has taken, until it is told not to."""
    session = isolate(models.HOG)
    worker = until(lambda: session.keeper.current)
    session.run({"N": np.array([[50_000_000]])}, ["Y"])
    kept = worker.own_bytes

    session.shrink({"N": np.array([[3]])}, ["Y"])

    assert worker.own_bytes < kept - 150 * MIB


def test_worker_that_takes_too_much_memory_is_replaced(isolate: Isolate, models: ModuleType) -> None:
    """The watch ends a worker that is over its limit."""
    session = isolate(models.identity(*SAME))
    worker = until(lambda: session.keeper.current)

    worker._order = dataclasses.replace(worker._order, memory_bytes=MIB)

    until(lambda: session.keeper.tally.restarts == 1)
    assert session.keeper.tally.deaths == {Death.MEMORY: 1}


@pytest.mark.slow
def test_idle_worker_that_dies_is_replaced(isolate: Isolate, models: ModuleType) -> None:
    """Nobody has to ask first; whoever listens hears of it."""
    session = isolate(models.identity(*SAME))
    news: list[WorkerNews] = []
    session.keeper.listener = news.append

    os.kill(pid_of(session), signal.SIGKILL)

    until(lambda: session.keeper.tally.restarts == 1 and session.keeper.state is WorkerState.UP)
    assert [(each.before, each.after) for each in news] == [
        (WorkerState.UP, WorkerState.RESTARTING),
        (WorkerState.RESTARTING, WorkerState.UP),
    ]
    assert news[0].why == "was killed (SIGKILL)"


@pytest.mark.slow
def test_third_death_opens_the_breaker_until_a_run_passes(isolate: Isolate, models: ModuleType) -> None:
    """While it is open there is no worker and every run is refused at once; after its rest one more worker decides."""
    session = isolate(models.identity(*SAME), breaker=Breaker(rest_s=1.0))
    for death in (1, 2, 3):
        os.kill(pid_of(session), signal.SIGKILL)
        until(lambda: session.keeper.tally.deaths.total() == death)  # noqa: B023

    with pytest.raises(Unavailable, match=r"was killed \(SIGKILL\), once too often"):
        session.run({"X": np.ones((1, 4), np.float32)}, ["Y"])
    assert (session.keeper.state, session.keeper.current) == (WorkerState.RESTING, None)
    until(lambda: session.keeper.state is WorkerState.UP)
    assert session.keeper.breaker is BreakerState.HALF_OPEN
    session.run({"X": np.ones((1, 4), np.float32)}, ["Y"])
    assert session.keeper.breaker is BreakerState.CLOSED


def test_model_that_cannot_be_loaded_is_refused_with_the_engines_words(isolate: Isolate, models: ModuleType, tmp_path: Path) -> None:
    """What a session on threads would raise, a worker reports; one that dies of the load is no worker."""
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(BadArtifact, match="ONNX Runtime"):
        IsolatedSession(WorkerOrder(tmp_path / "text.onnx", SessionSettings(Device("cpu")), None, 60.0))
    with pytest.raises(LoadRefused):
        isolate(models.identity(*SAME), memory_bytes=MIB)


def test_graph_with_more_names_than_a_worker_can_tell_is_refused_by_its_size(isolate: Isolate) -> None:
    """What is too long, and by how much."""
    outputs = [f"Y{number}_{'y' * 2000}" for number in range(70)]
    graph = f"many (float[n] X) => ({', '.join(f'float[n] {name}' for name in outputs)}) {{ {' '.join(f'{n} = Identity(X)' for n in outputs)} }}"

    with pytest.raises(LoadRefused, match=r"71 inputs and outputs .* a frame of 14\d{4} bytes is longer than 131072"):
        isolate(graph)


def test_worker_has_no_descriptor_and_no_secret_of_the_server(
    isolate: Isolate, models: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its sockets, its slab and no group of the server's; keys of a registry are not in its environment."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    session = isolate(models.identity(*SAME))
    session.run({"X": np.ones((1, 4), np.float32)}, ["Y"])
    pid = pid_of(session)

    held = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]

    assert sorted(link.partition(":")[0] for link in held) == ["/dev/null"] * 3 + ["/memfd"] + ["socket"] * 2
    assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert os.getpgid(pid) == pid
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")


ORPHAN = """
import sys
from pathlib import Path
from penstock.execution.devices import Device
from penstock.execution.isolated_session import IsolatedSession
from penstock.execution.session import SessionSettings
from penstock.execution.worker_process import WorkerOrder
session = IsolatedSession(WorkerOrder(Path(sys.argv[1]), SessionSettings(Device("cpu")), None, 60.0))
print(session.keeper.current.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("stopped", [pytest.param(False, marks=pytest.mark.slow), True], ids=["running", "stopped"])
def test_worker_ends_with_its_server(models: ModuleType, tmp_path: Path, *, stopped: bool) -> None:
    """SIGKILL of the server leaves no worker, not even one that is stopped, and no file of shared memory."""
    models.save(models.parse(models.identity(*SAME)), tmp_path)
    before = set(Path("/dev/shm").iterdir())
    command = [sys.executable, "-c", ORPHAN, str(tmp_path / "model.onnx")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        if stopped:
            os.kill(pid, signal.SIGSTOP)
            until(lambda: is_stopped(pid))

        server.kill()
        server.wait()

        until(lambda: is_gone(pid))
    assert set(Path("/dev/shm").iterdir()) <= before
