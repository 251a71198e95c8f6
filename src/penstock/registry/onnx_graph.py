"""What a model file says of itself, read without the `onnx` package.

The file is walked by onnx.proto's field numbers: headers are read, tensor bytes are stepped over. Nothing is kept but
the open messages and the facts, so that neither a large file nor a hostile one costs more than its size in time.
"""

import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_MAX_DEPTH: Final = 100  # where protobuf itself gives up, so the engine could not read more
_MAX_NAME_BYTES: Final = 1 << 16  # of any name, domain or location
_MAX_NAMES: Final = 1_000_000  # of one sort
_HEADER_BYTES: Final = 20  # two varints
_WINDOW_BYTES: Final = 1 << 13
_COUNT: Final = re.compile("[0-9]{1,19}")  # of bytes


@dataclass(frozen=True, slots=True)
class ExternalData:
    """Where one tensor keeps its bytes outside the model file, as the file states it: neither checked nor trusted."""

    tensor: str
    location: str
    offset: int
    length: int | None
    """None: up to the end of the file."""


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """The facts of a model file that decide whether and how it can be loaded."""

    ir_version: int
    opset_imports: tuple[tuple[str, int], ...]
    """Domain and version in the order of the file; ONNX's own domain is written "" or "ai.onnx"."""
    domains: frozenset[str]
    """The domains of all nodes, those in subgraphs and in the model's own functions included."""
    function_domains: frozenset[str]
    """The domains of the functions that the model brings along: calls of these need no operator from elsewhere."""
    producer_name: str
    producer_version: str
    inputs: tuple[str, ...]
    initializers: frozenset[str]
    """Names of the main graph's constants; an input that is among them may be left out of a request."""
    external_data: tuple[ExternalData, ...]
    """Every tensor that names a file, wherever it is, whether or not it also claims to be external: protobuf merges
    fields that are repeated in a file, so that the claim may stand far from the name."""


def scan(path: Path) -> OnnxGraph:
    """Return what the model file at `path` says of itself.

    Raises ValueError with a sentence for its publisher if the file is empty, truncated or no ONNX model at all, OSError
    if it cannot be read. Blocks on the disk.
    """
    with path.open("rb") as file:
        try:
            return _Scan(_Reader(file.fileno())).run()
        except ValueError as error:
            reason = _likeness(file.read(16)) or error
            raise ValueError(f"{path.name} is not a readable ONNX model: {reason}") from error


_MAGIC: Final = {
    (b"PK\x03\x04",): "a zip archive",
    (b"\x1f\x8b",): "gzip-compressed data",
    (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"): "a pickle",
    (b"version https://",): "a Git LFS pointer: fetch the file itself",
}


def _likeness(start: bytes) -> str:
    """Return what a file that is no model begins like, "" if like nothing known."""
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            return f"it looks like {kind}"
    return "it looks like text" if re.fullmatch(rb"[\t\r\n -~]+", start) else ""


# The messages of onnx.proto that lead to a fact.
(_MODEL, _OPSET, _TRAINING, _FUNCTION, _MAIN_GRAPH, _GRAPH, _INPUT) = range(7)
(_NODE, _ATTRIBUTE, _INITIALIZER, _TENSOR, _SPARSE_INITIALIZER, _SPARSE, _ENTRY) = range(7, 14)

_FIELDS: Final[dict[int, dict[int, int | type[int | str]]]] = {
    _MODEL: {1: int, 2: str, 3: str, 7: _MAIN_GRAPH, 8: _OPSET, 20: _TRAINING, 25: _FUNCTION},
    _OPSET: {1: str, 2: int},
    _TRAINING: {1: _GRAPH, 2: _GRAPH},
    _FUNCTION: {7: _NODE, 10: str, 11: _ATTRIBUTE},
    _MAIN_GRAPH: {1: _NODE, 5: _INITIALIZER, 11: _INPUT, 15: _SPARSE_INITIALIZER},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _INPUT: {1: str},
    _NODE: {5: _ATTRIBUTE, 7: str},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _INITIALIZER: {8: str, 13: _ENTRY},
    _TENSOR: {8: str, 13: _ENTRY},
    _SPARSE_INITIALIZER: {1: _INITIALIZER, 2: _TENSOR},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _ENTRY: {1: str, 2: str},
}
"""By message and field number: what to read there, a message, a number or a text. All else is stepped over."""

_NAME_FIELDS: Final = {_NODE: 7, _FUNCTION: 10, _INPUT: 1, _INITIALIZER: 8}
"""The messages whose names are gathered; of nodes and functions that is the domain."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES: Final = {_VARINT: 0, _FIXED64: 8, _BYTES: 0, _FIXED32: 4}
"""The wire types of onnx.proto, with the bytes that surely follow a header of each."""


def _number_run(wanted: Collection[int]) -> re.Pattern[bytes]:
    """Return a pattern for a run of numbers in fields that are not wanted: a tree ensemble has millions of them."""
    numbers = [number for number in range(1, 16) if number not in wanted]
    tags = tuple(re.escape(bytes(number << 3 | wire for number in numbers)) for wire in (_VARINT, _FIXED32, _FIXED64))
    return re.compile(rb"(?:[%b][\x80-\xff]{0,9}[\x00-\x7f]|[%b].{4}|[%b].{8})*+" % tags, re.DOTALL)


_NUMBER_RUNS: Final = {message: _number_run(fields) for message, fields in _FIELDS.items()}


class _Reader:
    """Reads a file by position through a small window.

    A memory mapping would be shorter, but the kernel ends the process (SIGBUS) that touches a mapping whose file was
    cut meanwhile, and models are copied over while servers run.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._start = 0
        self._window = b""
        self.size = os.fstat(descriptor).st_size

    def field(self, position: int, end: int) -> tuple[int, int, int, int, int]:
        """Return number, wire type, integer, start and stop of the field at `position` in a message up to `end`."""
        index = self._seek(position)
        tag, index = _varint(self._window, index)
        number, wire = tag >> 3, tag & 7
        if wire not in _SIZES or not 0 < number < 1 << 29:
            raise ValueError(f"byte {position} starts no field")
        value, size = 0, _SIZES[wire]
        if wire == _VARINT:
            value, index = _varint(self._window, index)
        elif wire == _BYTES:
            size, index = _varint(self._window, index)
        start = self._start + index
        if start + size > end:
            raise ValueError(f"the field at byte {position} lacks {start + size - end} bytes")
        return number, wire, value, start, start + size

    def past(self, run: re.Pattern[bytes], position: int, end: int) -> int:
        """Return where a run of fields ends that starts at `position`, at most where the message or the window ends."""
        index = self._seek(position)
        match = run.match(self._window, index, end - self._start)
        return position if match is None else self._start + match.end()

    def text(self, start: int, stop: int) -> str:
        """Return the text between two positions."""
        size = stop - start
        if size > _MAX_NAME_BYTES:
            raise ValueError(f"the name at byte {start} is longer than {_MAX_NAME_BYTES} bytes")
        index = self._seek(start)
        text = self._window[index : index + size]
        return (text if len(text) == size else os.pread(self._descriptor, size, start)).decode()

    def finish(self) -> None:
        """Raise ValueError if the file's size is no longer that of the start: then what was read is not one model."""
        if os.fstat(self._descriptor).st_size != self.size:
            raise ValueError("it changed while it was read")

    def _seek(self, position: int) -> int:
        """Return the index of `position` in the window, which holds a whole header from there on."""
        index = position - self._start
        if not 0 <= index <= len(self._window) - _HEADER_BYTES:
            # Behind the file's end stand zeros: they end any number, and then the field is found to lack bytes.
            window = os.pread(self._descriptor, _WINDOW_BYTES, position)
            self._window = window if len(window) == _WINDOW_BYTES else window + bytes(_HEADER_BYTES)
            self._start, index = position, 0
        return index


def _varint(data: bytes, index: int) -> tuple[int, int]:
    """Return the integer at `index` and the index behind it."""
    value = data[index]
    if not value & 0x80:  # most of them
        return value, index + 1
    value = 0
    for at, byte in enumerate(data[index : index + 10]):
        value |= (byte & 0x7F) << 7 * at
        if not byte & 0x80:
            return value, index + at + 1
    raise ValueError("a number in it has no end")


@dataclass(slots=True)
class _Message:
    """A message that is being read: where it ends and what was found in it."""

    kind: int
    end: int
    integers: dict[int, int] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    external: dict[str, str] = field(default_factory=dict)


class _Scan:
    """One walk over one file. The stack is our own, so that nesting costs no Python frames."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self._model = _Message(_MODEL, reader.size)
        self._path = [self._model]
        self._names: dict[int, dict[str, None]] = {kind: {} for kind in _NAME_FIELDS}
        self._opsets: list[tuple[str, int]] = []
        self._external: list[ExternalData] = []
        self._has_graph = False

    def run(self) -> OnnxGraph:
        """Return the facts of the whole file."""
        position = 0
        while self._path:
            if position < self._path[-1].end:
                position = self._step(position)
            else:
                self._close(self._path.pop())
        self._reader.finish()
        return self._result()

    def _step(self, position: int) -> int:
        """Read the field at `position` and return where to go on: behind it, or inside if it is a message of ours."""
        message = self._path[-1]
        number, wire, value, start, stop = self._reader.field(position, message.end)
        wanted = _FIELDS[message.kind].get(number)
        if wanted is None:
            return stop if wire == _BYTES else self._reader.past(_NUMBER_RUNS[message.kind], stop, message.end)
        if wire != (_VARINT if wanted is int else _BYTES):
            raise ValueError(f"the field at byte {position} has not the type that onnx.proto gives it")
        if isinstance(wanted, int):
            self._open(wanted, stop)
            return start
        if wanted is int:
            message.integers[number] = value
        else:
            message.texts[number] = self._reader.text(start, stop)
        return stop

    def _open(self, kind: int, end: int) -> None:
        if len(self._path) > _MAX_DEPTH:
            raise ValueError(f"it is nested more than {_MAX_DEPTH} messages deep")
        self._path.append(_Message(kind, end))

    def _close(self, message: _Message) -> None:
        """Keep what a message said, now that it is read to its end."""
        kind, texts = message.kind, message.texts
        if kind in _NAME_FIELDS:
            self._names[kind][texts.get(_NAME_FIELDS[kind], "")] = None
        if message.external:
            self._external.append(_external_data(texts.get(8, ""), message.external))
        if kind == _ENTRY:
            _keep_entry(self._path[-1].external, texts.get(1, ""), texts.get(2, ""))
        elif kind == _OPSET:
            self._opsets.append((texts.get(1, ""), message.integers.get(2, 0)))
        self._has_graph |= kind == _MAIN_GRAPH
        if max(len(self._opsets), len(self._external), len(self._names.get(kind, ()))) > _MAX_NAMES:
            raise ValueError(f"it holds more than {_MAX_NAMES} names of one sort")

    def _result(self) -> OnnxGraph:
        if not self._has_graph:
            raise ValueError("it holds no graph" if self._model.end else "it is empty")
        return OnnxGraph(
            ir_version=self._model.integers.get(1, 0),
            opset_imports=tuple(self._opsets),
            domains=frozenset(self._names[_NODE]),
            function_domains=frozenset(self._names[_FUNCTION]),
            producer_name=self._model.texts.get(2, ""),
            producer_version=self._model.texts.get(3, ""),
            inputs=tuple(self._names[_INPUT]),
            initializers=frozenset(self._names[_INITIALIZER]),
            external_data=tuple(self._external),
        )


def _keep_entry(external: dict[str, str], key: str, value: str) -> None:
    """Keep one entry of a tensor's external_data; a second one for a key would leave open which file is meant."""
    if key not in ("location", "offset", "length"):
        return
    if external.setdefault(key, value) != value:
        raise ValueError(f"a tensor states its external {key} twice")
    if key != "location" and not _COUNT.fullmatch(value):
        raise ValueError(f"a tensor's external {key} is {value[:40]!r}, not a count of bytes")


def _external_data(tensor: str, entries: dict[str, str]) -> ExternalData:
    length = int(entries["length"]) if "length" in entries else None
    return ExternalData(tensor, entries.get("location", ""), int(entries.get("offset", "0")), length)
