"""The worker process of one session: `python -m penstock.execution.worker DESCRIPTOR`.

It holds the graph and nothing else: no listener, no keys, no descriptor but its sockets and slabs. The server hands it a control socket,
on which the main thread listens, and a channel for each run at once, each with a thread of its own. It ends when the server does.
"""

import contextlib
import ctypes
import os
import re
import resource
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Final

import msgspec

from penstock.domain.errors import BadArtifact, LoadRefused, OutOfMemory, PenstockError
from penstock.domain.halt import Halt as RunHalt
from penstock.domain.tensor import Tensor, TensorSpec
from penstock.execution.devices import parse_device
from penstock.execution.memory import settle_heap, thrifty
from penstock.execution.sandbox import close_in
from penstock.execution.session import OrtSession, SessionSettings
from penstock.execution.shared_slab import SharedSlab, span
from penstock.execution.worker_frames import (
    DEVICE_FAILED,
    Crowded,
    Drop,
    Failed,
    Halt,
    Lend,
    Open,
    Opened,
    Ping,
    Pong,
    Ran,
    Refused,
    Room,
    Run,
    Spec,
    Wire,
)

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_FIRST_TO_GO: Final = 500
"""What the kernel's choice of a victim adds where memory runs out: a worker before the server."""
_STICKY: Final = re.compile(
    r"CUDA (failure|error) (214|700|702|71\d)\b|illegal memory access|device-side assert|unspecified launch failure|uncorrectable ECC"
)
"""Failures after which every later run of the process fails, too (CUDA Runtime API, "cudaError_t")."""
_OPENING: Final = msgspec.msgpack.Decoder(Open)
_ORDERS: Final = msgspec.msgpack.Decoder(Lend | Halt | Ping)
_CALLS: Final = msgspec.msgpack.Decoder(Run | Room | Drop)
_Tensors = list[tuple[int, Tensor]]


class Runner:
    """One channel: takes a run, answers it, takes the next. Lives on a thread of its own."""

    def __init__(self, session: OrtSession, wire: Wire) -> None:
        self._session = session
        self._wire = wire
        self._slab: SharedSlab
        self._number = 0
        """The run under way, or the last one."""
        self._halt = RunHalt()
        self._halted = 0

    def end(self, number: int) -> None:
        """End a run, under way or still to come: the word comes by another socket, and may overtake the run."""
        self._halted = max(self._halted, number)
        if self._number == number:
            self._halt.ask()

    def work(self) -> None:
        """Serve the channel for as long as the server does."""
        try:
            while True:
                call, fd = self._wire.receive_with_fd(_CALLS)
                self._take(fd)
                if isinstance(call, Run):
                    self._serve(call)
                elif isinstance(call, Drop):
                    del self._slab
        except (EOFError, OSError):
            os._exit(0)
        finally:  # a run that nobody answers would be waited for
            os._exit(1)

    def _take(self, fd: int | None) -> None:
        if fd is not None:
            self._slab = SharedSlab(fd)
            self._slab.close_descriptor()

    def _serve(self, call: Run) -> None:
        self._halt, self._number = RunHalt(), call.number
        if self._halted == call.number:
            self._halt.ask()
        try:
            outputs = self._outputs(call)
        except PenstockError as error:
            if is_sticky(error.message):
                os._exit(DEVICE_FAILED)
            self._wire.send(Failed(call.number, isinstance(error, OutOfMemory), error.message))
        except MemoryError:
            self._wire.send(Failed(call.number, True, "the model failed on this input: out of memory"))
        else:
            self._answer(call, outputs)

    def _outputs(self, call: Run) -> _Tensors:
        schema = self._session.schema
        inputs = {schema.inputs[place.index].name: self._slab.view(place, schema.inputs[place.index]) for place in call.inputs}
        names = [schema.output_names[index] for index in call.outputs]
        if call.shrink:
            with thrifty():
                arrays = self._session.shrink(inputs, names, self._halt)
        else:
            arrays = self._session.run(inputs, names, halt=self._halt)
        specs = [schema.outputs[index] for index in call.outputs]
        return [(index, Tensor(spec.name, spec.datatype, array)) for index, spec, array in zip(call.outputs, specs, arrays, strict=True)]

    def _answer(self, call: Run, outputs: _Tensors) -> None:
        size = call.room + span(outputs)
        if size > self._slab.size:
            self._wire.send(Crowded(call.number, size))
            _, fd = self._wire.receive_with_fd(_CALLS)
            self._take(fd)
        self._wire.send(Ran(call.number, self._slab.write(outputs, call.room)))


def is_sticky(message: str) -> bool:
    """Tell whether an engine's failure is one of the device that only a new process gets over."""
    return _STICKY.search(message) is not None


def main(fd: int) -> None:
    """Load what the server says, and serve its channels until it closes the control socket."""
    _be_a_child()
    wire = Wire(socket.socket(fileno=fd))
    order, _ = wire.receive_with_fd(_OPENING)
    session = _opened(order, wire)
    runners: list[Runner] = []
    with contextlib.suppress(EOFError, OSError):
        while session is not None:
            said, channel = wire.receive_with_fd(_ORDERS)
            if isinstance(said, Lend) and channel is not None:
                runners.append(Runner(session, Wire(socket.socket(fileno=channel))))
                threading.Thread(target=runners[-1].work, daemon=True).start()
            elif isinstance(said, Halt):
                runners[said.channel].end(said.number)
            elif isinstance(said, Ping):
                wire.send(Pong())
    os._exit(0)  # the engine's own end may hang, and the kernel frees everything anyway


def _be_a_child() -> None:
    """End with the server and not before it, even if stopped; gain no rights, leave no core file, and go first where memory runs out."""
    for stop in (signal.SIGTERM, signal.SIGINT):  # a supervisor may tell all processes at once, but the server still drains
        signal.signal(stop, signal.SIG_IGN)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_FIRST_TO_GO))
    settle_heap()


def _opened(order: Open, wire: Wire) -> OrtSession | None:
    try:
        session = _load(order)
        _describe(session, wire)
    except Exception as error:  # whatever it is, the server is to know
        message = error.message if isinstance(error, PenstockError) else f"{type(error).__name__} in the worker process"
        wire.send(Refused(isinstance(error, BadArtifact), message))
        return None
    return session


def _load(order: Open) -> OrtSession:
    device = parse_device(order.device)
    if order.memory_bytes is not None and device.kind == "cpu":  # drivers of GPUs map far more than they use
        resource.setrlimit(resource.RLIMIT_DATA, (order.memory_bytes, order.memory_bytes))
    if device.kind == "cpu":  # drivers of GPUs talk to their daemons
        close_in()
    settings = SessionSettings(device, order.threads, order.session_options, order.provider_options, order.slab_bytes)
    with thrifty():
        return OrtSession(Path(order.path), settings, order.max_batch_size)


def _describe(session: OrtSession, wire: Wire) -> None:
    schema = session.schema
    inputs, outputs = tuple(map(_spec, schema.inputs)), tuple(map(_spec, schema.outputs))
    try:
        wire.send(Opened(inputs, outputs, schema.batched, schema.max_batch_rows, schema.notes, dict(session.placement)))
    except ValueError as error:
        count = len(inputs) + len(outputs)
        raise LoadRefused(f"names and shapes of {count} inputs and outputs are more than a worker process can tell: {error}") from error


def _spec(spec: TensorSpec) -> Spec:
    return Spec(spec.name, spec.datatype.wire, spec.shape, spec.optional)


if __name__ == "__main__":
    main(int(sys.argv[1]))
