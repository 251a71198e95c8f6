"""ModelInferRequest as bytes: whoever reads it past protobuf reads what protobuf reads, or leaves it alone."""

from random import Random
from typing import Any, Final

import echo
from mutation import mutated

from penstock.domain.errors import InvalidInput, Unimplemented
from penstock.domain.request import InferenceRequest
from penstock.domain.tensor import DATATYPES
from penstock.grpc.call import parse
from penstock.grpc.codec import Message, classified, decode_body, decode_head, encode
from penstock.wire import inference as pb
from penstock.wire.raw_request import read_raw_request

FORMED: Final = 0.6
WORDS: Final = (
    b"\x0a\x01m", b"\x12\x011", b"\x1a\x01i", b"\x2a\x0a", b"\x32\x03\x0a\x01Y", b"\x3a\x04\0\0\0\0", b"\x80\x80\x80\x80\x00", b"\x80\x00", b"\x0b\x0c",
    b"\x0a\x02\xed\xa0", b"FP32", b"BYTES", b"\x1a\x02\x01\x02", b"\x22", b"\xff\xff\xff\xff\x0f", b"\xff" * 9 + b"\x01",
)  # fmt: skip
_FIELDS: Final = (
    "bool_contents",
    "int_contents",
    "int64_contents",
    "uint_contents",
    "uint64_contents",
    "fp32_contents",
    "fp64_contents",
    "bytes_contents",
)


def case(data: bytes) -> bool:
    """Read the message both ways; then ask each model with it, and write an answer."""
    raw = read_raw_request(data)
    try:
        plain = parse(pb.ModelInferRequest, data)
    except InvalidInput:
        assert raw is None, "read what protobuf refuses"
        return False
    given = _decoded(plain)
    if raw is not None:
        assert _decoded(raw) == given, "read otherwise than protobuf"
    if isinstance(given, str):
        return False
    return _answer(plain)


def _decoded(message: Message) -> Any:
    request = InferenceRequest("grpc", "", "", [], arrived_ns=1)
    try:
        decode_head(message, request)
        classes = decode_body(message, request)
    except (InvalidInput, Unimplemented) as error:
        assert error.message.isprintable(), error.message
        return error.message
    return request.model, request.version, request.client_id, echo.told(request.inputs), request.outputs, classes, request.priority


def _answer(message: Message) -> bool:
    request = InferenceRequest("grpc", "", "", [], arrived_ns=1)
    decode_head(message, request)
    classes, taken = decode_body(message, request), False
    for schema in echo.SCHEMAS:
        try:
            schema.check(request)
            response = echo.answer(request, schema)
            outputs = classified(response.outputs, classes, schema)
        except InvalidInput:
            continue
        written = pb.ModelInferResponse.FromString(encode(response, outputs))
        assert [output.name for output in written.outputs] == [tensor.name for tensor in outputs]
        assert len(written.raw_output_contents) == len(outputs)
        taken = True
    return taken


def mutate(data: bytes, rng: Random) -> bytes:
    """Change a field of the message; as often put its fields in another order, which means the same."""
    try:
        message = pb.ModelInferRequest.FromString(data)
    except Exception:
        return _message(rng).SerializeToString()
    match rng.randrange(6):
        case 0:
            message.MergeFrom(_message(rng))
        case 1 if message.inputs:
            _change(rng.choice(message.inputs), rng)
        case 2 if message.raw_input_contents:
            at = rng.randrange(len(message.raw_input_contents))
            message.raw_input_contents[at] = mutated(message.raw_input_contents[at], rng)
        case 3:
            message.parameters[
                rng.choice(("timeout", "priority", "sequence_id", "triton_x", "", "binary_data"))
            ].int64_param = rng.randrange(-1, 9)
        case 4:
            message.outputs.add(name=rng.choice(("Y", "A", "B", "é"))).parameters["classification"].int64_param = rng.randrange(4)
        case _:
            return _message(rng).SerializeToString() + (data if rng.random() < 0.3 else b"")
    return message.SerializeToString()


def _change(tensor: Any, rng: Random) -> None:
    match rng.randrange(4):
        case 0:
            tensor.name = rng.choice(("X", "A", "B", "", "é", "x" * 300))
        case 1:
            tensor.datatype = rng.choice((*DATATYPES, "", "fp32"))
        case 2:
            tensor.shape[:] = [rng.choice((0, 1, 2, 3, -1, 1 << 62)) for _ in range(rng.randrange(5))]
        case _:
            field = getattr(tensor.contents, rng.choice(_FIELDS))
            field.extend([rng.choice((True, False))] if field is tensor.contents.bool_contents else [])
            tensor.contents.int_contents.extend([rng.choice((0, 1, 300, -(1 << 31)))] * rng.randrange(3))


def _message(rng: Random) -> Any:
    """Return a question that fits in most cases: raw, or typed."""
    datatype = rng.choice(list(DATATYPES.values()))
    shape = [rng.randrange(3) for _ in range(rng.choice((2, 2, 2, 1, 0)))]
    count = 1
    for dim in shape:
        count *= dim
    message = pb.ModelInferRequest(model_name=rng.choice(("m", "")), id=rng.choice(("", "i", "é")))
    tensor = message.inputs.add(name="X", datatype=datatype.wire, shape=shape)
    if rng.random() < 0.7:
        message.raw_input_contents.append(rng.randbytes(count * datatype.itemsize) if datatype.itemsize else b"\x01\0\0\0a" * count)
    elif datatype.itemsize:
        values = [rng.choice((0, 1))] * count
        getattr(
            tensor.contents,
            {
                "BOOL": "bool_contents",
                "INT64": "int64_contents",
                "UINT64": "uint64_contents",
                "FP32": "fp32_contents",
                "FP64": "fp64_contents",
            }.get(datatype.wire, "uint_contents" if datatype.wire[0] == "U" else "int_contents"),
        ).extend(values)
    else:
        tensor.contents.bytes_contents.extend([rng.choice((b"a", b"\xff", "é".encode()))] * count)
    return message
