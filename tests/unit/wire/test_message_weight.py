"""What a gRPC message takes that is refused: no more than twice its limit, whatever it is full of."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from penstock.domain.errors import InvalidInput, PenstockError, TooLarge
from penstock.domain.request import InferenceRequest
from penstock.grpc.codec import decode_body, decode_head, read
from penstock.wire import inference as pb
from penstock.wire import message_weight

LIMIT: Final = 8 << 20
N: Final = LIMIT - 100
BYTES_OF_ANY: Final = 3 << 20


def field(number: int, data: bytes) -> bytes:
    """Return a field with its length."""
    size, length = len(data), b""
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


def tensor(datatype: str, contents: bytes, more: bytes = b"") -> bytes:
    """Return a message with one input of typed contents."""
    return field(1, b"m") + field(5, field(1, b"X") + field(2, datatype.encode()) + field(3, b"\x01") + more + field(5, contents))


PARAMETERS: Final = [field(1, b"%06x" % number) + field(2, b"\x08\x01") for number in range(N // 16)]
KINDS: Final[dict[str, Callable[[], bytes]]] = {
    "inputs": lambda: field(5, b"") * (N // 2),
    "outputs": lambda: field(6, b"") * (N // 2),
    "raw": lambda: field(7, b"") * (N // 2),
    "parameters": lambda: b"".join(field(4, each) for each in PARAMETERS),
    "parameters-of-an-input": lambda: tensor("INT64", b"", b"".join(field(4, each) for each in PARAMETERS)),
    "parameters-of-an-output": lambda: field(6, b"".join(field(2, each) for each in PARAMETERS)),
    "dimensions": lambda: field(5, field(3, b"\x01" * N)),
    "numbers": lambda: tensor("INT64", field(3, b"\x01" * N)),
    "short-numbers": lambda: tensor("INT32", field(2, b"\x01" * N)),
    "numbers-apart": lambda: tensor("INT64", b"\x18\x01" * (N // 2)),
    "booleans": lambda: tensor("BOOL", field(1, b"\x01" * N)),
    "floats": lambda: tensor("FP32", field(6, b"\0" * (N // 4 * 4))),
    "texts": lambda: tensor("BYTES", field(8, b"") * (N // 2)),
    "letters": lambda: tensor("BYTES", field(8, b"a") * (N // 3)),
    "contents": lambda: field(5, field(5, b"") * (N // 2)),
    "unknown": lambda: b"\x78\x01" * (N // 2),
    "groups": lambda: b"\x7b\x7c" * (N // 2),
    "behind-a-group": lambda: b"\x7b\x7c" + field(5, b"") * (N // 2),
    "name": lambda: field(1, b"a" * N),
    "half-a-field": lambda: field(5, b"") * (N // 2) + b"\x2a\xff\xff",
}


def grown(data: bytes) -> int:
    """Return how far the memory of the process rises while the message is refused."""
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    request = InferenceRequest("grpc", "", "", [], arrived_ns=0)
    with pytest.raises(PenstockError) as error:
        message = read(data, LIMIT)
        decode_head(message, request)
        decode_body(message, request)
    assert type(error.value) in {InvalidInput, TooLarge}
    return peak() - before


def peak() -> int:
    """Return the most that was resident, in bytes."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("kind", KINDS)
def test_refusal_takes_little_more_than_the_message(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own, since protobuf keeps what it has had; the message itself is there before."""
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("nobody tells the peak")
    monkeypatch.setattr(message_weight, "_LEAST_BUDGET", 0)
    data = KINDS[kind]()
    if not (child := os.fork()):
        try:
            os._exit(int(grown(data) > LIMIT + BYTES_OF_ANY))
        except BaseException:
            os._exit(2)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_long_message_of_a_few_tensors_is_taken() -> None:
    """Typed, of numbers with a few letters each, within the limit; and with as many fields as there may be."""
    request = pb.ModelInferRequest(
        model_name="m", inputs=[pb.ModelInferRequest.InferInputTensor(name="X", datatype="INT64", shape=[200_000])]
    )
    request.inputs[0].contents.int64_contents.extend(range(200_000))
    for number in range(4000):
        request.parameters[str(number)].int64_param = number
    message = read(request.SerializeToString(), LIMIT)

    assert message.inputs[0].shape == [200_000]


@pytest.mark.parametrize("letter", [b" ", b"(", b"B"], ids=ascii)
def test_long_texts_are_taken(letter: bytes) -> None:
    """Their letters are no values, whichever tags they look like."""
    message = read(tensor("BYTES", field(8, letter * (LIMIT // 32)) * 30), LIMIT)

    assert len(message.inputs[0].contents.bytes_contents) == 30


def test_error_says_what_to_do() -> None:
    """Send it raw, or raise the limit."""
    with pytest.raises(TooLarge, match=r"send raw_input_contents, send less at once, or raise grpc\.max_message_bytes"):
        read(KINDS["numbers"](), LIMIT)
