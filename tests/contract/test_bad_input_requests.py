"""B24-B90: requests that contradict the protocol or the model, asked alike over HTTP and gRPC (P15).

After each the same process lives, is ready and answers the next good request; no answer tells of the machine (P19).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from cases import A16, ONES, Case, addsub, on_each, one, tensor
from serving import Serving
from transports import Document, Transport, message_of, texts

HTTP: Final = ("http",)
GRPC: Final = ("grpc",)
INVALID: Final = "INVALID_ARGUMENT"
PLAIN: Final = addsub()
BOTH_INPUTS: Final = PLAIN["inputs"]
FLOATS: Final = one("FP32", [1, 2], [1.0, 2.0])
RANK_33: Final = one("FP32", [1] * 33, [1.0])
TEN_THOUSAND: Final = [tensor(f"I{number}", "INT32", [1], [1]) for number in range(10_000)]
OUTPUTS: Final = [{"name": f"O{number}"} for number in range(10_000)]
MEBIBYTE: Final = b"x" * (1 << 20)


def with_parameters(**parameters: object) -> Document:
    """Return a question to addsub with request parameters."""
    return {**PLAIN, "parameters": parameters}


def in_shared_memory(where: str) -> Document:
    """Return a question of which an input or an output is said to lie in shared memory."""
    region = {"shared_memory_region": "r", "shared_memory_byte_size": 64}
    if where == "outputs":
        return {**PLAIN, "outputs": [{"name": "OUTPUT0", "parameters": region}]}
    first = {key: value for key, value in BOTH_INPUTS[0].items() if key != "data"}
    return {"inputs": [{**first, "parameters": region}, BOTH_INPUTS[1]]}


def named(names: Mapping[str, str]) -> Iterator[Case]:
    """Yield a case for each model name that cannot be."""
    yield from (Case(case, name, PLAIN, INVALID) for case, name in names.items())


def versions(references: Mapping[str, str], family: str) -> Iterator[Case]:
    """Yield a case for each version that cannot be."""
    yield from (Case(f"B26-{name}", "addsub", PLAIN, family, version=text) for name, text in references.items())


def invalid(case: str, model: str, questions: Mapping[str, Document], over: tuple[str, ...]) -> Iterator[Case]:
    """Yield a case for each question to a model that must be refused as invalid."""
    yield from (Case(f"{case}-{name}", model, question, INVALID, over=over) for name, question in questions.items())


NAMES: Final = {
    "B27-blank": " ",
    "B28-dots": "..",
    "B28-up": "a/../b",
    "B28-root": "/etc",
    "B28-backslash": "a\\b",
    "B28-encoded": "a%2fb",
    "B28-long": "m" * 256,
    "B29-emoji": "modèle-🚀",
    "B29-right-to-left": "add\u202esub",
    "B29-not-normal": "a\u0301ddsub",
}

CASES: Final = [
    Case("B24", "nope", PLAIN, "NOT_FOUND", ("nope",)),
    Case("B25", "addsub", PLAIN, "NOT_FOUND", ("2",), version="2"),
    *versions({"latest": "latest", "zero": "01", "negative": "-1", "fraction": "1.0", "long": "1" * 30}, INVALID),
    *versions({"word": "candidate"}, "NOT_FOUND"),
    *named(NAMES),
    Case("B50", "addsub", {**PLAIN, "later": {"a": [1]}}, over=HTTP),
    Case("B51-long", "addsub", {**PLAIN, "id": "i" * 129}, INVALID),
    Case("B51-longest", "addsub", {**PLAIN, "id": "i" * 128}, told={"id": "i" * 128}),
    Case("B51-number", "addsub", {**PLAIN, "id": 7}, INVALID, over=HTTP),
    Case("B51-control", "addsub", {**PLAIN, "id": "a\x00b"}, INVALID),
    Case("B52-triton", "addsub", with_parameters(triton_x="1"), INVALID, ("triton_x",)),
    Case("B52-headers", "addsub", with_parameters(headers="x"), INVALID, ("headers",)),
    *invalid(
        "B53",
        "addsub",
        {
            "zero": with_parameters(timeout=0),
            "negative": with_parameters(timeout=-1),
            "text": with_parameters(timeout="soon"),
            "large": with_parameters(timeout=10**15),
        },
        ("http", "grpc"),
    ),
    Case("B53-header", "addsub", PLAIN, INVALID, headers={"penstock-deadline-ms": "-5"}),
    *invalid(
        "B54",
        "addsub",
        {
            "negative": with_parameters(priority=-1),
            "fraction": with_parameters(priority=1.5),
            "text": with_parameters(priority="1"),
        },
        ("http", "grpc"),
    ),
    Case("B54-above", "addsub", with_parameters(priority=99)),
    Case("B54-header", "addsub", PLAIN, INVALID, ("penstock-priority",), headers={"penstock-priority": "highest"}),
    Case("B55-missing", "addsub", {}, INVALID),
    Case("B55-empty", "addsub", {"inputs": []}, INVALID),
    Case("B55-object", "addsub", {"inputs": {"INPUT0": A16}}, INVALID, over=HTTP),
    Case("B55-numbers", "addsub", {"inputs": [1, 2]}, INVALID, over=HTTP),
    Case("B55-null", "addsub", {"inputs": None}, INVALID, over=HTTP),
    Case("B56", "addsub", {"inputs": BOTH_INPUTS[1:]}, INVALID, ("INPUT0",)),
    Case("B57", "addsub", {"inputs": [*BOTH_INPUTS, tensor("INPUT9", "INT32", [1, 16], A16)]}, INVALID, ("INPUT9",)),
    Case("B58", "addsub", {"inputs": [*BOTH_INPUTS, BOTH_INPUTS[0]]}, INVALID, ("INPUT0",)),
    Case("B59", "addsub", {**PLAIN, "outputs": [{"name": "OUTPUT0"}] * 2}, INVALID, ("OUTPUT0",)),
    Case("B60", "addsub", {**PLAIN, "outputs": [{"name": "X"}]}, INVALID, ("X",)),
    Case("B61-inputs", "addsub", {"inputs": TEN_THOUSAND}, INVALID),
    Case("B61-outputs", "addsub", {**PLAIN, "outputs": OUTPUTS}, INVALID),
    Case("B62", "addsub", addsub(datatype="INT64"), INVALID, ("INT64", "INT32")),
    Case("B62-narrow", "id_fp64", FLOATS, INVALID, ("FP32", "FP64")),
    *invalid(
        "B63",
        "addsub",
        {
            name: addsub(datatype=text, contents="int_contents")
            for name, text in {"unknown": "INT33", "lower": "int32", "enum": "TYPE_INT32", "empty": ""}.items()
        },
        ("http", "grpc"),
    ),
    Case("B64-rank", "addsub", addsub(shape=[16]), INVALID, ("16",)),
    Case("B64-dimension", "addsub", addsub(shape=[2, 8]), INVALID, ("8", "16")),
    Case("B65", "addsub", addsub(shape=[-1, 16]), INVALID, ("-1",)),
    Case("B65-twice", "addsub", addsub(shape=[-1, -16]), INVALID),
    *invalid(
        "B66",
        "addsub",
        {
            "float": addsub(shape=[1.0, 16]),
            "text": addsub(shape=["1", 16]),
            "boolean": addsub(shape=[True, 16]),
            "null": addsub(shape=[None, 16]),
            "number": addsub(shape=16),
            "missing": addsub(shape=None),
            "huge": addsub(shape=[10**30, 16]),
        },
        HTTP,
    ),
    Case("B66-overflow", "addsub", addsub(shape=[2**62, 2**62]), INVALID),
    Case("B67-allowed", "zero_ok", one("FP32", [1, 0], []), outputs={"Y": []}, shape=(1, 0)),
    Case("B67-fixed", "addsub", addsub(shape=[1, 0], data=[]), INVALID, ("16",)),
    Case("B68", "id_free", RANK_33, INVALID, ("33", "32")),
    Case("B69-fewer", "id_vec", one("FP32", [3], [1.0, 2.0]), INVALID, ("3", "2")),
    Case("B69-more", "id_vec", one("FP32", [1], [1.0, 2.0]), INVALID, ("1", "2")),
    Case("B70-ragged", "id_vec", one("FP32", [3], [[1.0], [2.0, 3.0]]), outputs={"Y": [1.0, 2.0, 3.0]}, over=HTTP),
    Case("B70-other", "id_free", one("FP32", [2, 1], [[1.0, 2.0]]), outputs={"Y": [1.0, 2.0]}, shape=(2, 1), over=HTTP),
    Case("B70-count", "id_vec", one("FP32", [3], [[1.0], [2.0]]), INVALID, over=HTTP),
    *invalid("B71", "id_vec", {"float": one("FP32", [2], [1.0, True])}, HTTP),
    *invalid("B71", "id_i32", {"integer": one("INT32", [1, 2], [1, False])}, HTTP),
    Case(
        "B71-field",
        "id_vec",
        {"inputs": [tensor("X", "FP32", [1], [True], contents="bool_contents")]},
        INVALID,
        over=GRPC,
    ),
    *invalid("B72", "id_vec", {"float": one("FP32", [1], ["1.0"]), "nan": one("FP32", [1], ["NaN"])}, HTTP),
    *invalid("B72", "id_i32", {"integer": one("INT32", [1, 1], ["7"])}, HTTP),
    *invalid(
        "B73",
        "id_vec",
        {
            "null": one("FP32", [2], [1.0, None]),
            "object": one("FP32", [2], [1.0, {"a": 1}]),
            "empty": one("FP32", [2], [1.0, 2.0, []]),
            "nested": one("FP32", [2], [[1.0, 2.0], []]),
            "scalar": one("FP32", [1], 1.0),  # type: ignore[arg-type]
        },
        HTTP,
    ),
    *invalid("B74", "id_i32", {"half": one("INT32", [1, 1], [1.5]), "whole": one("INT32", [1, 1], [1.0])}, HTTP),
    Case("B75-uint8", "id_u8", one("UINT8", [1, 1], [300]), INVALID, ("UINT8",)),
    Case("B75-negative", "id_u8", one("UINT8", [1, 1], [-1]), INVALID, ("UINT8",), over=HTTP),
    Case("B75-int16", "id_i16", one("INT16", [1, 1], [40_000]), INVALID, ("INT16",)),
    Case("B75-int64", "id_i64", one("INT64", [1, 1], [2**63]), INVALID, over=HTTP),
    Case("B75-uint64", "id_u64", one("UINT64", [1, 1], [2**64]), INVALID, over=HTTP),
    Case("B75-vast", "id_i64", one("INT64", [1, 1], [10**400]), INVALID, over=HTTP),
    Case("B76-json", "id_bool", one("BOOL", [1, 1], [2]), INVALID, ("BOOL",), over=HTTP),
    Case("B76-one", "id_bool", one("BOOL", [1, 1], [1]), INVALID, ("BOOL",), over=HTTP),
    Case("B76-raw", "id_bool", one("BOOL", [1, 2], b"\x01\x02"), INVALID, ("X",)),
    Case("B77", "id_vec", one("FP32", [1], [1e39]), INVALID, ("FP32",), over=HTTP),
    Case("B79", "id_vec", one("FP32", [2], [16_777_217, 16_777_219]), outputs={"Y": [16_777_216.0, 16_777_220.0]}),
    Case("B80-fp16", "id_fp16", one("FP16", [1, 1], [1.0]), INVALID, ("FP16",)),
    Case("B80-bf16", "id_bf16", one("BF16", [1, 1], [1.0]), INVALID, ("BF16",)),
    Case("B81-nul", "id_str", one("BYTES", [1, 2], ["a\x00b", ""]), outputs={"Y": [b"a\x00b", b""]}),
    Case("B81-nul-raw", "id_str", one("BYTES", [1, 2], texts(b"a\x00b", b"")), outputs={"Y": [b"a\x00b", b""]}),
    Case("B81-long", "id_str", one("BYTES", [1, 1], texts(MEBIBYTE)), outputs={"Y": [MEBIBYTE]}),
    Case("B81-not-text", "id_str", one("BYTES", [1, 1], texts(b"\xff\xfe")), INVALID, ("UTF-8",)),
    Case("B82-past", "id_str", one("BYTES", [1, 1], b"\xff\xff\xff\x7fabc"), INVALID, ("X",)),
    Case("B82-prefix", "id_str", one("BYTES", [1, 1], b"\x01\x00"), INVALID, ("X",)),
    Case("B82-count", "id_str", one("BYTES", [1, 1], texts(b"a", b"b")), INVALID, ("1",)),
    Case("B83-none", "scores", one("FP32", [0, 4], []), outputs={"Y": []}, shape=(0, 4)),
    Case("B83-most", "scores", one("FP32", [8, 4], [1.0] * 32), shape=(8, 4)),
    Case("B83-above", "scores", one("FP32", [9, 4], [1.0] * 36), INVALID, ("9", "8")),
    Case(
        "B83-rejoined",
        "tagged",
        one("FP32", [150, 4], list(map(float, range(600))), outputs=[{"name": "Y"}]),
        outputs={"Y": list(map(float, range(600)))},
        shape=(150, 4),
    ),
    Case("B84-less", "id_vec", one("FP32", [2], b"\x00" * 4), INVALID, ("8", "4")),
    Case("B84-more", "id_vec", one("FP32", [1], b"\x00" * 8), INVALID, ("8", "4")),
    Case("B86", "id_vec", one("FP32", [1], b"\x00" * 6), INVALID, ("6",)),
    Case("B87-input", "addsub", in_shared_memory("inputs"), INVALID, ("shared memory",)),
    Case("B87-output", "addsub", in_shared_memory("outputs"), INVALID, ("shared memory",)),
    *invalid(
        "B88",
        "addsub",
        {name: {**PLAIN, "id": text} for name, text in {"line": "a\r\nb", "escape": "a\x1b[31mb"}.items()},
        ("http", "grpc"),
    ),
    Case("B88-format", "addsub", {**PLAIN, "id": "a\"%s{}'b"}, told={"id": "a\"%s{}'b"}),
    Case("B88-name", "addsub", {"inputs": [*BOTH_INPUTS, tensor("I\r\n\x1b[31m", "INT32", [1], [1])]}, INVALID),
    Case("B88-header", "addsub", PLAIN, headers={"x-request-id": "a\"%s{}'b"}),
    Case("B89-forwarded", "addsub", PLAIN, headers={"x-forwarded-for": "10.0.0.1, evil"}),
    Case("B89-traceparent", "addsub", PLAIN, headers={"traceparent": "00-xyz"}),
    Case("B90", "addsub", PLAIN, "DEADLINE_EXCEEDED", headers={"penstock-deadline-ms": "0"}),
]


@pytest.mark.parametrize(("case", "transport"), on_each(CASES), indirect=["transport"])
def test_bad_request_is_refused_and_leaves_the_server_well(case: Case, transport: Transport, server: Serving) -> None:
    """Each row of the table, over each transport that can ask it."""
    case.check(transport)

    server.assert_serving()


@pytest.mark.parametrize("transport", [pytest.param(t, id=f"B90-{t}-unexecuted") for t in ("http", "grpc")], indirect=True)
def test_request_past_its_deadline_is_not_executed(transport: Transport, server: Serving) -> None:
    """The model's counters stay where they are."""

    def executions() -> list[int]:
        entries = server.client.get("/v2/models/addsub/stats").json()["model_stats"]
        return [entry["execution_count"] for entry in entries]

    before = executions()

    answer = transport.infer("addsub", PLAIN, headers={"penstock-deadline-ms": "0"})

    assert answer.family == "DEADLINE_EXCEEDED"
    assert executions() == before


@pytest.mark.parametrize("name", [pytest.param("", id="B27-empty-grpc")])
def test_empty_model_name_is_refused_over_grpc(server: Serving, name: str) -> None:
    """No model is asked for."""
    assert server.grpc.infer(name, PLAIN).family == INVALID

    server.assert_serving()


@pytest.mark.parametrize("path", [pytest.param("/v2/models//infer", id="B27-empty-http")])
def test_empty_model_name_is_refused_over_http(server: Serving, path: str) -> None:
    """The path has nothing where the name belongs."""
    response = server.client.post(path, json=PLAIN)

    assert response.status_code == 400
    server.assert_serving()


def more_raw(message: Any) -> None:
    """Add a raw entry that belongs to no input."""
    message.raw_input_contents.append(b"")


def fewer_raw(message: Any) -> None:
    """Take the last raw entry away."""
    message.raw_input_contents.pop()


def no_value(message: Any) -> None:
    """Add a parameter without a value."""
    message.parameters["empty"].SetInParent()


def two_fields(message: Any) -> None:
    """Fill two typed fields of one input."""
    del message.raw_input_contents[:]
    for entry in message.inputs:
        entry.contents.int_contents.extend(A16)
        entry.contents.fp32_contents.extend([1.0])


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(more_raw, id="B84-more-entries-grpc"),
        pytest.param(fewer_raw, id="B84-fewer-entries-grpc"),
        pytest.param(two_fields, id="B84-two-fields-grpc"),
        pytest.param(no_value, id="B52-no-value-grpc"),
    ],
)
def test_message_that_contradicts_itself_is_refused(server: Serving, spoil: Any) -> None:
    """What JSON cannot say wrong in this way."""
    raw = bytes(64)
    question = {"inputs": [tensor(name, "INT32", [1, 16], raw) for name in ("INPUT0", "INPUT1")]}
    message = message_of("addsub", question)
    spoil(message)

    assert server.grpc.ask(message).family == INVALID

    server.assert_serving()


# A truncated message, a string that is not UTF-8, bytes that are no message. Our own code parses, so it is not grpcio's INTERNAL.
GARBAGE: Final = {
    "B45-not-utf8": b"\x0a\x02\xff\xfe",
    "B44-truncated": b"\x0a\x20ab",
    "B38-random": b"\xff" * 32,
    "B48-groups": b"\x7b" * 250_000,
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=[f"{name}-grpc" for name in GARBAGE])
def test_bytes_that_are_no_message_are_refused(server: Serving, data: bytes) -> None:
    """With a reason, and counted once like every other prediction."""
    answer = server.grpc.ask(data)  # type: ignore[arg-type]

    assert answer.family == INVALID
    server.assert_serving()


@pytest.mark.parametrize("data", [pytest.param(b"", id="B38-grpc")])
def test_empty_message_is_refused(server: Serving, data: bytes) -> None:
    """It is a valid message that asks for nothing."""
    assert server.grpc.ask(data).family == INVALID  # type: ignore[arg-type]

    server.assert_serving()


@pytest.mark.parametrize("model", [pytest.param("addsub", id="B65-overflow-order")])
def test_vast_shapes_are_refused_before_memory_is_taken(server: Serving, model: str) -> None:
    """A shape of 2^39 text elements comes with no bytes."""
    for transport in server.transports.values():
        answer = transport.infer("id_str", one("BYTES", [1, 2**39], texts(b"a")))
        assert answer.family == INVALID

    assert server.grpc.infer(model, {"inputs": [tensor("INPUT0", "INT32", [1, 16], ONES)]}).family == INVALID
    server.assert_serving()
