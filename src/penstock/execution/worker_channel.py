"""The server's end of one channel to a worker process: one run at a time goes out and comes back."""

import contextlib
import signal
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from time import monotonic
from typing import Final, NamedTuple

import msgspec

from penstock.domain.errors import DeadlineExceeded, InvalidInput, ModelFailed, OutOfMemory
from penstock.domain.halt import Halt
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import Array, Tensor
from penstock.execution.shared_slab import SharedSlab, span
from penstock.execution.worker_frames import DEVICE_FAILED, Crowded, Drop, Failed, Ran, Room, Run, Wire

_ANSWERS: Final = msgspec.msgpack.Decoder(Ran | Crowded | Failed)
_GRACE_S: Final = 1.0
"""How long a run that was told to end at its hard limit may take to do so."""
_LONGEST_MESSAGE: Final = 1000


class Death(StrEnum):
    """Why a worker process died."""

    CRASHED = "crashed"
    """By a signal that a fault in it raised, such as SIGSEGV."""
    KILLED = "killed"
    """By SIGKILL from outside: the kernel where memory ran out, or a person."""
    HUNG = "hung"
    """Ended by the server: a run did not end within `hang_s`."""
    MEMORY = "memory"
    """Ended by the server: it had taken more than `memory_bytes`."""
    DEVICE = "device"
    """By itself: its device has failed in a way that only a new process gets over."""
    GARBLED = "garbled"
    """Ended by the server: it said what makes no sense."""
    EXITED = "exited"
    """By itself, or it could not be started."""


FAULTS: Final = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS})


class WorkerLost(Exception):
    """The worker process died while it had something to do."""


class Call(NamedTuple):
    """What a run is asked for."""

    inputs: Mapping[str, Array]
    outputs: Sequence[str]
    limit_s: float | None
    halt: Halt | None
    shrink: bool = False


class RunLimits(NamedTuple):
    """What a run may use."""

    hang_s: float = 60.0
    output_bytes: int = 1 << 40
    """The most bytes of its outputs."""


class Channel:
    """Used by one thread at a time."""

    def __init__(
        self, wire: Wire, schema: ModelSchema, limits: RunLimits, halt: Callable[[int], None], kill: Callable[[Death], None]
    ) -> None:
        """`halt` tells the worker to end a run by its number, `kill` ends the worker."""
        self._wire = wire
        self._schema = schema
        self._limits = limits
        self._halt = halt
        self._kill = kill
        self._index = {spec.name: index for index, spec in enumerate(schema.inputs)}
        self._datatypes = {spec.name: spec.datatype for spec in schema.inputs}
        self._output_index = {name: index for index, name in enumerate(schema.output_names)}
        self._slab: SharedSlab | None = None
        self._number = 0
        self.broken = False
        """Whether the worker is gone, or makes no sense."""

    @property
    def slab_bytes(self) -> int:
        """Bytes of shared memory that the channel keeps."""
        return 0 if self._slab is None else self._slab.size

    def run(self, call: Call) -> list[Array]:
        """Return the outputs. Raises as `Session.run` does, and `WorkerLost` if the worker died or had to."""
        self._number += 1
        try:
            self._send(call)
            answer = self._answer(call)
            if isinstance(answer, Crowded):
                self._send_room(answer)
                answer = self._answer(call)
            return self._read(answer, call)
        except (OSError, EOFError) as error:
            self.broken = True
            raise WorkerLost from error
        except (ValueError, TypeError, InvalidInput, LookupError) as error:
            self.broken = True
            self._kill(Death.GARBLED)
            raise WorkerLost from error

    def drop_slab(self) -> None:
        """Keep no memory between runs, nor have the worker keep it; the next one gets new."""
        if self._slab is not None:
            self._slab = None
            with contextlib.suppress(OSError):  # the worker is gone, and all that it has mapped
                self._wire.send(Drop())

    def close(self) -> None:
        """Let go of the socket and the slab."""
        self._wire.close()
        self._slab = None

    def _send(self, call: Call) -> None:
        if call.halt is not None and call.halt.asked:
            raise _unwanted()
        tensors = [(self._index[name], Tensor(name, self._datatypes[name], array)) for name, array in call.inputs.items()]
        room = span(tensors)
        fresh = self._fit(room)
        assert self._slab is not None, "just fitted"  # noqa: S101
        placed = self._slab.write(tensors)
        outputs = tuple([self._output_index[name] for name in call.outputs])
        self._wire.send(Run(self._number, placed, outputs, room, call.shrink), fresh)
        self._slab.close_descriptor()
        if call.halt is not None:
            call.halt.when_asked(partial(self._halt, self._number))

    def _fit(self, size: int) -> int | None:
        """See to it that the slab holds so many bytes; returns the descriptor of a new one."""
        if self._slab is not None and self._slab.size >= size:
            return None
        self._slab = SharedSlab.new(size)
        return self._slab.lend()

    def _send_room(self, crowded: Crowded) -> None:
        if crowded.number != self._number or not self.slab_bytes < crowded.size <= self.slab_bytes + self._limits.output_bytes:
            raise ValueError(f"it wants room for {crowded.size} bytes")
        self._slab = SharedSlab.new(crowded.size)
        self._wire.send(Room(self._number), self._slab.lend())
        self._slab.close_descriptor()

    def _answer(self, call: Call) -> Ran | Crowded | Failed:
        """Wait for the worker's word until the run's limit; it is told to end the run then, and has until `hang_s`.

        What it has done by then is handed out: a word that nobody took up, such as that it waits for room, would be in the way of the next.
        """
        began_s = monotonic()
        wait_s = self._limits.hang_s if call.limit_s is None else min(call.limit_s, self._limits.hang_s)
        answer: Ran | Crowded | Failed | None = self._wire.receive(_ANSWERS, wait_s)
        if answer is not None:
            return answer
        self._halt(self._number)
        left_s = self._limits.hang_s - (monotonic() - began_s)
        late: Ran | Crowded | Failed | None = self._wire.receive(_ANSWERS, max(0.0, left_s) + _GRACE_S)
        if late is None:
            self._kill(Death.HUNG)
            raise EOFError
        if isinstance(late, Failed):
            raise DeadlineExceeded(f"the run was stopped after its limit of {wait_s:g} s")
        return late

    def _read(self, answer: Ran | Crowded | Failed, call: Call) -> list[Array]:
        if answer.number != self._number:
            raise ValueError(f"it answers run {answer.number}, asked for was {self._number}")
        if isinstance(answer, Failed):
            raise _failure(answer, call)
        if isinstance(answer, Crowded) or [place.index for place in answer.outputs] != [self._output_index[name] for name in call.outputs]:
            raise ValueError("it gives other outputs than were asked for")
        assert self._slab is not None, "something was sent"  # noqa: S101
        return [self._slab.read(place, self._schema.outputs[place.index]) for place in answer.outputs]


_WORDS: Final = {
    Death.CRASHED: "crashed ({signal})",
    Death.KILLED: "was killed ({signal})",
    Death.HUNG: "hung",
    Death.MEMORY: "took more memory than it may",
    Death.DEVICE: "gave up, since its device has failed",
    Death.GARBLED: "said what makes no sense",
}


def death_of(code: int) -> Death:
    """Return what an exit code as `subprocess` tells it stands for."""
    if code >= 0:
        return Death.DEVICE if code == DEVICE_FAILED else Death.EXITED
    return Death.CRASHED if -code in FAULTS else Death.KILLED


def words_of(death: Death, code: int) -> str:
    """Say how a worker died, for people."""
    words = _WORDS.get(death, "ended with exit code {code}")
    return words.format(code=code, signal=signal.Signals(-code).name if code < 0 else "")


def _failure(answer: Failed, call: Call) -> ModelFailed:
    if call.halt is not None and call.halt.asked:
        return _unwanted()
    failure = OutOfMemory if answer.out_of_memory else ModelFailed
    return failure(answer.message[:_LONGEST_MESSAGE])


def _unwanted() -> ModelFailed:
    return ModelFailed("the run was ended, for nobody waited for it any more")
