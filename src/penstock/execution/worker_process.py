"""A worker process as the server sees it, from its start to its death."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec

from penstock.domain.errors import BadArtifact, LoadRefused
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Array, TensorSpec
from penstock.execution.memory import own_bytes
from penstock.execution.session import SessionSettings
from penstock.execution.worker_channel import Call, Channel, Death, RunLimits, WorkerLost, death_of, words_of
from penstock.execution.worker_frames import Frame, Halt, Lend, Open, Opened, Ping, Pong, Refused, Spec, Wire

_LOAD_S: Final = 300.0
_BEAT_S: Final = 0.5
_DIES_S: Final = 1.0
"""How long after its sockets a process that dies is gone, at the latest."""
SILENT_S: Final = 3.0
"""A worker that has said nothing for so long although it was asked is silent."""
_OPENINGS: Final = msgspec.msgpack.Decoder(Opened | Refused)
_WORDS: Final = msgspec.msgpack.Decoder(Pong)
_INHERITED: Final = (
    "PATH",
    "HOME",
    "TMPDIR",
    "TZ",
    "LANG",
    "LC_",
    "LD_",
    "PYTHON",
    "VIRTUAL_ENV",
    "CUDA",
    "NVIDIA",
    "ORT_",
    "OMP_",
    "XDG_",
)
"""Beginnings of the variables that a worker may see: what loaders and drivers read, and no key of a registry."""


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """What a worker is to load, and what it may use."""

    path: Path
    settings: SessionSettings
    max_batch_size: int | None
    hang_s: float
    memory_bytes: int | None = None

    @property
    def limits(self) -> RunLimits:
        """What each run may use: outputs are of the worker's memory first, so that more than it has cannot be asked for."""
        return RunLimits(self.hang_s) if self.memory_bytes is None else RunLimits(self.hang_s, self.memory_bytes)

    @property
    def opening(self) -> Open:
        """The first frame to the worker."""
        said = self.settings
        return Open(
            str(self.path),
            str(said.device),
            said.threads,
            dict(said.session_options),
            {kind: dict(values) for kind, values in said.provider_options.items()},
            self.max_batch_size,
            said.slab_bytes,
            self.memory_bytes,
        )


class WorkerProcess:
    """Thread-safe. The thread that starts it has to live as long as it: the kernel kills the worker when that thread ends."""

    def __init__(self, order: WorkerOrder) -> None:
        """Start it; it is of use once `load` has returned."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._order = order
        self._wire = Wire(ours)
        self._process = _started(theirs)
        self._free: list[Channel] = []
        self._channels: list[Channel] = []
        self._lock = threading.Lock()
        self._burial = threading.Lock()
        self._end: Death | None = None
        self._closed = False
        self.suspected = False
        """Whether all that it runs is a batch that a worker has died of before: its death then tells nothing new of the model."""
        self.heard_s = monotonic()
        """When it last said something."""
        self.schema: ModelSchema
        self._opened: Opened

    def load(self) -> None:
        """Have it load the graph; blocks. Raises `BadArtifact` or `LoadRefused`, `WorkerLost` if it died of it."""
        try:
            self._opened = self._open()
            self.heard_s = monotonic()
            self.schema = _schema(self._opened)
        except BaseException:
            self.close()
            raise

    @property
    def placement(self) -> dict[str, float]:
        """Share of the graph's nodes by device kind."""
        return self._opened.placement

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def slab_bytes(self) -> int:
        """Bytes of shared memory that its channels keep."""
        return sum([channel.slab_bytes for channel in self._channels])

    @property
    def own_bytes(self) -> int:
        """What it has in memory for itself, neither files nor slabs; 0 if it is gone."""
        return own_bytes(self.pid)

    def run(self, call: Call) -> list[Array]:
        """Return the outputs of a run; raises as `Channel.run` does."""
        channel = self._lent()
        try:
            return channel.run(call)
        finally:
            self._take_back(channel)

    def watch(self, beat: Callable[[], None]) -> tuple[Death, str]:
        """Wait until the process has died, and say why; `beat` is called about twice a second meanwhile."""
        asked = False
        with contextlib.suppress(EOFError, OSError, ValueError):
            while True:
                heard = self._wire.receive(_WORDS, _BEAT_S)
                if heard is not None:
                    self.heard_s, asked = monotonic(), False
                    continue
                if not asked:
                    self._wire.send(Ping())
                    asked = True
                self._check_memory()
                beat()
        return self.death()

    def kill(self, death: Death) -> None:
        """End it at once; `death` is why."""
        with self._lock:
            self._end = self._end or death
        self._process.kill()

    def death(self) -> tuple[Death, str]:
        """Wait until it has died, which it does if it has closed a socket, and say why."""
        with self._burial:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_DIES_S)
            if self._process.poll() is None:
                self.kill(Death.GARBLED)
            code = self._process.wait()
        death = self._end or death_of(code)
        return death, words_of(death, code)

    def close(self) -> None:
        """End it, and free what it shared; blocks until it is gone."""
        self._process.kill()
        self._process.wait()
        with self._lock:
            self._closed = True
            self._wire.close()
            self._close_free()

    def _open(self) -> Opened:
        try:
            self._wire.send(self._order.opening)
            opened: Opened | Refused | None = self._wire.receive(_OPENINGS, _LOAD_S)
        except (EOFError, OSError, ValueError) as error:
            raise WorkerLost(f"it {self.death()[1]} while it loaded the model") from error
        if opened is None:
            raise LoadRefused(f"the worker process has not loaded the model within {_LOAD_S:g} s")
        if isinstance(opened, Refused):
            raise (BadArtifact if opened.bad_artifact else LoadRefused)(opened.message)
        return opened

    def _take_back(self, channel: Channel) -> None:
        if channel.broken:
            channel.close()
            return
        with self._lock:
            self._free.append(channel)
            self._drop_slabs()
            if self._closed:
                self._close_free()

    def _drop_slabs(self) -> None:
        """Keep what `slab_bytes` allows: the channels that nobody uses, the one that was used last at the end, give up theirs in order."""
        for channel in self._free:
            if self.slab_bytes <= self._order.settings.slab_bytes:
                return
            channel.drop_slab()

    def _close_free(self) -> None:
        """Close the channels that nobody uses. Who uses one closes it: a thread that reads a closed socket might read another."""
        while self._free:
            self._free.pop().close()

    def _check_memory(self) -> None:
        most = self._order.memory_bytes
        if most is not None and self.own_bytes > most:
            self.kill(Death.MEMORY)

    def _lent(self) -> Channel:
        with self._lock:
            return self._free.pop() if self._free else self._one_more()

    def _one_more(self) -> Channel:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = len(self._channels)
            channel = Channel(Wire(ours), self.schema, self._order.limits, partial(self._halt, number), self.kill)
            self._channels.append(channel)
            try:
                self._wire.send(Lend(number), theirs.fileno())
            except OSError as error:
                channel.close()
                raise WorkerLost from error
        return channel

    def _halt(self, channel: int, number: int) -> None:
        self._tell(Halt(channel, number))

    def _tell(self, frame: Frame) -> None:
        with self._lock, contextlib.suppress(OSError):  # it is gone, or so far behind that one word more changes nothing
            self._wire.send(frame)


def _started(end: socket.socket) -> "subprocess.Popen[bytes]":
    """Start the process, with its socket as the only descriptor.

    A new interpreter, not a fork of this one: a fork of a process with threads may find their locks held for ever, and would hold the
    server's listeners and keys. It is no member of the server's process group, so that Ctrl-C reaches the server alone.
    """
    with end:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-m", "penstock.execution.worker", str(end.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(end.fileno(),),
            process_group=0,
            env=_environment(),
        )


def _environment() -> dict[str, str]:
    everything = os.environ  # noqa: TID251 - passed on to a child in parts, not read as settings
    return {name: value for name, value in everything.items() if name.startswith(_INHERITED)}


def _schema(opened: Opened) -> ModelSchema:
    try:
        inputs, outputs = tuple(map(_spec, opened.inputs)), tuple(map(_spec, opened.outputs))
    except KeyError as error:
        raise LoadRefused(f"the worker process describes a tensor of the unknown datatype {error}") from error
    return ModelSchema(inputs, outputs, opened.batched, opened.max_batch_rows, opened.notes)


def _spec(spec: Spec) -> TensorSpec:
    return TensorSpec(spec.name, DATATYPES[spec.datatype], spec.shape, spec.optional)
