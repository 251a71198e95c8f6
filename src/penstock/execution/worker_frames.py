"""What a server and a worker process say to each other: typed frames, one to each packet of a socket pair.

A frame is MessagePack of a known type; nothing else is decoded, so that a worker that was taken over can send no code and no object of
its own choosing. Tensors never travel in frames: they lie in a slab, and a frame says where.
"""

import array
import os
import socket
from typing import Final, TypeVar

import msgspec

MOST_BYTES: Final = 128 * 1024
"""Of one frame. A packet that fills the buffer may have been cut, and counts as too long."""
DEVICE_FAILED: Final = 75
"""The exit code of a worker whose device has failed for good."""
_FD_SPACE: Final = socket.CMSG_SPACE(array.array("i", [0]).itemsize)
_T = TypeVar("_T")
_encode: Final = msgspec.msgpack.Encoder().encode


class Frame(msgspec.Struct, array_like=True, forbid_unknown_fields=True, tag=True):
    """One message."""


class Placed(Frame, tag=False):
    """A tensor in a slab."""

    index: int
    """Which input or output of the schema it is."""
    shape: tuple[int, ...]
    offset: int
    size: int
    """Bytes: raw elements, BYTES with a length before each (Open Inference Protocol, "Binary Tensor Data Extension")."""


class Spec(Frame, tag=False):
    """An input or output as the worker has read it from the graph."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool


class Open(Frame):
    """To the worker, first of all: load this graph."""

    path: str
    device: str
    threads: int
    session_options: dict[str, str | int | bool]
    provider_options: dict[str, dict[str, str | int | bool]]
    max_batch_size: int | None
    slab_bytes: int
    memory_bytes: int | None
    """The most memory that the worker may take for itself; None for no limit."""


class Opened(Frame):
    """From the worker: the graph is loaded."""

    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]
    batched: bool
    max_batch_rows: int | None
    notes: tuple[str, ...]
    placement: dict[str, float]


class Refused(Frame):
    """From the worker: the graph cannot be loaded."""

    bad_artifact: bool
    """Whether its file is to blame, rather than this installation."""
    message: str


class Lend(Frame):
    """To the worker, with a descriptor: one more channel."""

    channel: int


class Halt(Frame):
    """To the worker: end a run early."""

    channel: int
    number: int


class Ping(Frame):
    """To the worker: say that you are there."""


class Pong(Frame):
    """From the worker: it is there."""


class Run(Frame):
    """To the worker, on a channel: run this. A descriptor beside it is a new slab."""

    number: int
    inputs: tuple[Placed, ...]
    outputs: tuple[int, ...]
    room: int
    """Where in the slab the outputs may begin."""
    shrink: bool = False
    """Whether memory that the run does not use is to be given back after it."""


class Room(Frame):
    """To the worker, with a descriptor: a slab that holds the outputs of the run."""

    number: int


class Drop(Frame):
    """To the worker, on a channel between two runs: let go of the slab; the next run brings another."""


class Ran(Frame):
    """From the worker: the outputs, in the order asked for."""

    number: int
    outputs: tuple[Placed, ...]


class Crowded(Frame):
    """From the worker: the outputs need so many bytes of a slab."""

    number: int
    size: int


class Failed(Frame):
    """From the worker: the model failed on this input."""

    number: int
    out_of_memory: bool
    message: str


class Wire:
    """One end of a socket pair. One thread at a time may receive; any may send."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._buffer = memoryview(bytearray(MOST_BYTES))
        self._wait_s: float | None = None

    def send(self, frame: Frame, fd: int | None = None) -> None:
        """Send a frame, with a copy of a descriptor. Raises `OSError` if nobody is there, `ValueError` if the frame is too long.

        Without a descriptor it never waits, once something was received with a limit: `socket.send` would, for as long as that limit.
        """
        data = _encode(frame)
        if len(data) >= MOST_BYTES:
            raise ValueError(f"a frame of {len(data)} bytes is longer than {MOST_BYTES}")
        if fd is None:
            os.write(self._socket.fileno(), data)
        else:
            socket.send_fds(self._socket, [data], [fd])

    def receive(self, decoder: "msgspec.msgpack.Decoder[_T]", wait_s: float | None = None) -> _T | None:
        """Return the next frame, None if none comes in time; a descriptor beside it is dropped.

        Raises `EOFError` when the other end is closed, `ValueError` for what is no frame of the decoder's types.
        """
        if wait_s != self._wait_s:  # each setting is a system call
            self._socket.settimeout(wait_s)
            self._wait_s = wait_s
        try:
            size = self._socket.recv_into(self._buffer)
        except TimeoutError:
            return None
        except ConnectionError as error:
            raise EOFError from error
        return self._decoded(decoder, size)

    def receive_with_fd(self, decoder: "msgspec.msgpack.Decoder[_T]") -> tuple[_T, int | None]:
        """Return the next frame, and the descriptor that came with it; raises as `receive` does."""
        size, ancillary, _, _ = self._socket.recvmsg_into([self._buffer], _FD_SPACE)
        fds = array.array("i")
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data)
        return self._decoded(decoder, size), fds[0] if fds else None

    def close(self) -> None:
        """Let the other end know."""
        self._socket.close()

    def _decoded(self, decoder: "msgspec.msgpack.Decoder[_T]", size: int) -> _T:
        if not size:
            raise EOFError
        if size >= MOST_BYTES:
            raise ValueError(f"a packet of {size} bytes or more")
        return decoder.decode(self._buffer[:size])
