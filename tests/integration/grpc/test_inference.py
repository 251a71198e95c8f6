"""ModelInfer: tensors in and out, refusals, metadata, and the ledger that counts each call once."""

import asyncio
import gc
import re
from collections.abc import Sequence
from typing import Any, Final

import grpc
import numpy as np
import pytest

from penstock.domain.errors import InvalidInput
from penstock.domain.outcome import Outcome
from penstock.grpc.options import GrpcOptions
from penstock.wire import inference as pb

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
ANSWERED, CLIENT_ERROR = Outcome.ANSWERED, Outcome.CLIENT_ERROR
INPUT = pb.ModelInferRequest.InferInputTensor
OUTPUT = pb.ModelInferRequest.InferRequestedOutputTensor
A16: Final = np.arange(16, dtype=np.int32)
ONES: Final = np.ones(16, np.int32)
SUM: Final = (A16 + ONES).tobytes()
DIFFERENCE: Final = (A16 - ONES).tobytes()


def inputs(**changes: Any) -> list[Any]:
    """Return the declarations of addsub's inputs, with changes to the first."""
    first = {"name": "INPUT0", "datatype": "INT32", "shape": [1, 16], **changes}
    return [INPUT(**first), INPUT(name="INPUT1", datatype="INT32", shape=[1, 16])]


def raw(declared: Sequence[Any] | None = None, **fields: Any) -> pb.ModelInferRequest:
    """Return a request to addsub with raw tensors."""
    return pb.ModelInferRequest(
        model_name="addsub",
        inputs=inputs() if declared is None else declared,
        **{"raw_input_contents": [A16.tobytes(), ONES.tobytes()], **fields},
    )


def typed(**first: list[Any]) -> pb.ModelInferRequest:
    """Return a request to addsub with typed tensors; `first` replaces the contents of the first."""
    message = raw(raw_input_contents=[])
    message.inputs[0].contents.CopyFrom(pb.InferTensorContents(**(first or {"int_contents": A16.tolist()})))
    message.inputs[1].contents.int_contents.extend(ONES.tolist())
    return message


async def test_raw_tensors_are_answered_raw(served: Any) -> None:
    """C80: one entry of 64 bytes for each output, contents unset; the highest version answers."""
    answer = await served.ask("ModelInfer", raw(model_version="1", id="abc"))

    assert list(answer.raw_output_contents) == [SUM, DIFFERENCE]
    assert [(o.name, o.datatype, list(o.shape)) for o in answer.outputs] == [
        ("OUTPUT0", "INT32", [1, 16]),
        ("OUTPUT1", "INT32", [1, 16]),
    ]
    assert not any(output.HasField("contents") for output in answer.outputs)
    assert (answer.model_name, answer.model_version, answer.id) == ("addsub", "1", "abc")
    assert not answer.parameters


async def test_typed_tensors_are_answered_raw(served: Any) -> None:
    """C81: the same numbers; the highest ready version answers, whose outputs are swapped."""
    answer = await served.ask("ModelInfer", typed())

    assert list(answer.raw_output_contents) == [DIFFERENCE, SUM]
    assert answer.model_version == "3"
    assert answer.id == ""


async def test_outputs_come_as_they_were_asked_for(served: Any) -> None:
    """Only the outputs of the list, in its order."""
    answer = await served.ask("ModelInfer", raw(outputs=[OUTPUT(name="OUTPUT1")], model_version="1"))
    other = await served.ask("ModelInfer", raw(outputs=[OUTPUT(name="OUTPUT1"), OUTPUT(name="OUTPUT0")], model_version="1"))

    assert list(answer.raw_output_contents) == [DIFFERENCE]
    assert list(other.raw_output_contents) == [DIFFERENCE, SUM]


REFUSED: Final = {
    "C82-raw-and-typed": (raw(typed().inputs), INVALID, "must not be specified when using raw_input_contents"),
    "C83-one-raw-entry": (raw(raw_input_contents=[A16.tobytes()]), INVALID, "unable to find data.*INPUT1"),
    "C84-wrong-field": (typed(fp32_contents=[0.0] * 16), INVALID, "unexpected explicit tensor data"),
    "C85-shape": (
        raw(inputs(shape=[1, 15]), raw_input_contents=[A16.tobytes()[4:], ONES.tobytes()]),
        INVALID,
        r"unexpected shape for input 'INPUT0': received \[1, 15\], the model expects \[-1, 16\]",
    ),
    "C85-datatype": (raw(inputs(datatype="FP32")), INVALID, "datatype FP32, but the model expects INT32"),
    "C85-missing": (raw(inputs()[:1], raw_input_contents=[A16.tobytes()]), INVALID, "missing required.*INPUT1"),
    "three-raw-entries": (raw(raw_input_contents=[A16.tobytes()] * 3), INVALID, "3 entries for 2 inputs"),
    "two-fields": (typed(int_contents=[0] * 16, uint_contents=[0] * 16), INVALID, "already supplied"),
    "unknown-input": (raw(inputs(name="INPUT2")), INVALID, "no input 'INPUT2'"),
    "input-twice": (raw(inputs(name="INPUT1")), INVALID, "'INPUT1' already exists"),
    "unknown-output": (raw(outputs=[OUTPUT(name="NOPE")]), INVALID, "'NOPE'"),
    "output-twice": (raw(outputs=[OUTPUT(name="OUTPUT0")] * 2), INVALID, "'OUTPUT0' already exists"),
    "too-many-rows": (
        pb.ModelInferRequest(
            model_name="addsub",
            inputs=[INPUT(name=name, datatype="INT32", shape=[9, 16]) for name in ("INPUT0", "INPUT1")],
            raw_input_contents=[bytes(576)] * 2,
        ),
        INVALID,
        "at most 8 rows",
    ),
    "no-inputs": (raw([], raw_input_contents=[]), INVALID, "missing required"),
    "reserved-parameter": (raw(parameters={"triton_x": pb.InferParameter(int64_param=1)}), INVALID, "reserved"),
    "shared-memory": (
        raw(inputs(parameters={"shared_memory_region": pb.InferParameter(string_param="r")})),
        INVALID,
        "shared memory",
    ),
    "id-too-long": (raw(id="x" * 129), INVALID, "more than 128 bytes"),
    "version-malformed": (raw(model_version="01"), INVALID, "version '01' is not valid"),
    "version-unknown": (raw(model_version="2"), NOT_FOUND, "version 2 .* is not found"),
    "alias-unknown": (raw(model_version="challenger"), NOT_FOUND, "no alias 'challenger'"),
}


@pytest.mark.parametrize(("message", "status", "reason"), REFUSED.values(), ids=REFUSED)
async def test_refused_call_is_counted_once(served: Any, message: pb.ModelInferRequest, status: grpc.StatusCode, reason: str) -> None:
    """Each has its status and text, is one client error in the ledger, and the next good call is answered."""
    error = await served.refusal("ModelInfer", message)
    await served.ask("ModelInfer", raw())

    assert error.code() is status
    assert re.search(reason, error.details())
    assert served.outcomes() == {("addsub", CLIENT_ERROR): 1, ("addsub", ANSWERED): 1}
    assert served.ledger.in_flight == 0


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"\xff\xff", INVALID),
        (b"", INVALID),
        (b"\x0a\x02\xff\xfe", INVALID),
        (pb.ModelInferRequest(model_name="nope"), NOT_FOUND),
        (pb.ModelInferRequest(model_name="a/../b"), INVALID),
        (pb.ModelInferRequest(model_name="\u202e"), INVALID),
    ],
    ids=["no-protobuf", "empty", "not-utf8", "unknown", "path", "right-to-left"],
)
async def test_call_to_no_model_is_counted_as_other(served: Any, message: pb.ModelInferRequest | bytes, status: grpc.StatusCode) -> None:
    """Names of callers make no series, and what cannot be parsed is a client error with a request id."""
    error = await served.refusal("ModelInfer", message)

    assert error.code() is status
    assert served.outcomes() == {("other", CLIENT_ERROR): 1}
    assert dict(error.trailing_metadata())["x-request-id"]


async def test_unknown_model_wins_over_bad_tensors(served: Any) -> None:
    """NOT_FOUND is told before anything about the tensors is."""
    message = typed(fp32_contents=[1.0])
    message.model_name = "nope"

    assert (await served.refusal("ModelInfer", message)).code() is NOT_FOUND


async def trailing(served: Any, metadata: Sequence[tuple[str, str]] = (), **fields: Any) -> dict[str, str]:
    """Return the trailing metadata of a good call."""
    call = served.rpc("ModelInfer")(raw(**fields), metadata=metadata, timeout=20)
    await call
    return dict(await call.trailing_metadata())


async def test_answer_tells_version_arm_id_and_timing(served: Any) -> None:
    """The trailing metadata of every prediction."""
    told = await trailing(served, (("x-request-id", "mine"),))

    assert told["penstock-model-version"] == "3"
    assert told["penstock-arm"] == "stable"
    assert told["x-request-id"] == "mine"
    assert re.fullmatch(r"queue;dur=\d+\.\d{3}, compute;dur=\d+\.\d{3}, total;dur=\d+\.\d{3}", told["server-timing"])


async def test_version_in_the_request_is_pinned(served: Any) -> None:
    """Who names a version is told so."""
    told = await trailing(served, model_version="1")

    assert (told["penstock-model-version"], told["penstock-arm"]) == ("1", "pinned")


async def test_request_id_is_made_for_who_brings_none(served: Any) -> None:
    """Every call has an id of its own."""
    one, other = await trailing(served), await trailing(served)

    assert one["x-request-id"] != other["x-request-id"]


@pytest.mark.parametrize(
    "message", [raw(model_version="2"), raw(id="x" * 129), b"\xff\xff"], ids=["version-unknown", "id-too-long", "no-protobuf"]
)
async def test_error_tells_the_request_id(served: Any, message: pb.ModelInferRequest | bytes) -> None:
    """The id under which the logs know the call, which the caller gave, whatever is wrong with its message."""
    error = await served.refusal("ModelInfer", message, (("x-request-id", "mine"),))

    assert dict(error.trailing_metadata())["x-request-id"] == "mine"


def errors_left() -> list[InvalidInput]:
    """Return the refusals that somebody keeps; other tests may have kept theirs."""
    return [left for left in gc.get_objects() if isinstance(left, InvalidInput)]


@pytest.mark.parametrize("model", ["addsub", "nope"])
async def test_refusal_leaves_nothing_to_the_garbage_collector(served: Any, model: str) -> None:
    """A hundred refused messages of 8 MiB took more than a gigabyte until that came by."""
    message = raw(parameters={"triton_x": pb.InferParameter(int64_param=1)})
    message.model_name = model
    gc.collect()
    gc.disable()
    kept = {id(other) for other in errors_left()}
    try:
        await served.refusal("ModelInfer", message)
        await served.until(lambda: not [left for left in errors_left() if id(left) not in kept])
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "metadata",
    [("x-request-id", "x" * 129), ("penstock-deadline-ms", "soon"), ("penstock-priority", "urgent")],
    ids=lambda pair: pair[0],
)
async def test_metadata_that_make_no_sense_are_refused(served: Any, metadata: tuple[str, str]) -> None:
    """A client error of that model, with an id of ours."""
    error = await served.refusal("ModelInfer", raw(), (metadata,))

    assert error.code() is INVALID
    assert re.fullmatch("[0-9a-f]{32}", dict(error.trailing_metadata())["x-request-id"])
    assert served.outcomes() == {("addsub", CLIENT_ERROR): 1}


def scores(classes: int, values: Sequence[float] = (0.1, 0.7, 0.15, 0.05)) -> pb.ModelInferRequest:
    """Return a request for the classes of one row."""
    asked = OUTPUT(name="Y", parameters={"classification": pb.InferParameter(int64_param=classes)})
    return pb.ModelInferRequest(
        model_name="scores",
        inputs=[INPUT(name="X", datatype="FP32", shape=[1, 4])],
        outputs=[asked],
        raw_input_contents=[np.array(values, np.float32).tobytes()],
    )


async def test_classification_answers_with_labels(served: Any) -> None:
    """The k largest values as `value:index:label` in the BYTES encoding."""
    answer = await served.ask("ModelInfer", scores(2))

    first, second = b"0.700000:1:b", b"0.150000:2:c"
    assert (answer.outputs[0].datatype, list(answer.outputs[0].shape)) == ("BYTES", [1, 2])
    assert answer.raw_output_contents[0] == b"\x0c\0\0\0" + first + b"\x0c\0\0\0" + second


async def test_classes_are_told_while_the_model_is_loaded_anew(gated: Any, gate: Any) -> None:
    """By the version that answers, though another one has taken its place in the catalog."""
    gate.opened.clear()
    runs = gate.runs
    asked = asyncio.create_task(gated.ask("ModelInfer", scores(1)))
    await gated.until(lambda: gate.runs == runs + 1)
    await gated.manager.unload("scores")
    load = asyncio.create_task(gated.manager.load("scores"))
    await gated.until(lambda: gate.runs == runs + 2)
    gate.opened.set()

    assert (await asked).raw_output_contents == [b"\x0c\0\0\x000.700000:1:b"]
    await load


async def test_classification_of_a_wrong_kind_is_refused(served: Any) -> None:
    """The k of the classes must be at least 1."""
    assert (await served.refusal("ModelInfer", scores(0))).code() is INVALID


async def test_answer_that_cannot_be_encoded_fails_alone(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours is INTERNAL without its cause, and the server goes on."""
    monkeypatch.setattr("penstock.grpc.codec.classify", lambda *_, **__: 1 / 0)

    error = await served.refusal("ModelInfer", scores(1))
    await served.ask("ModelInfer", raw())

    assert error.code() is grpc.StatusCode.INTERNAL
    assert "ZeroDivision" not in error.details()


async def test_request_that_cannot_be_decoded_for_a_fault_of_ours_is_counted(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """INTERNAL without its cause, and one failure in the ledger."""
    monkeypatch.setattr("penstock.grpc.codec.array_of", lambda *_: 1 / 0)

    error = await served.refusal("ModelInfer", raw())

    assert error.code() is grpc.StatusCode.INTERNAL
    assert "division" not in error.details()
    assert served.outcomes() == {("addsub", Outcome.FAILED): 1}


async def test_failing_model_is_internal(serve: Any, registry: Any, models: Any) -> None:
    """C41 over gRPC: the model's failure is told, and the next good call is answered."""
    models.write_configured_model(registry, "boom", models.BOOM, 0)

    def index(value: int) -> pb.ModelInferRequest:
        return pb.ModelInferRequest(
            model_name="boom",
            inputs=[INPUT(name="I", datatype="INT64", shape=[1])],
            raw_input_contents=[np.array([value], np.int64).tobytes()],
        )

    async with serve() as served:
        error = await served.refusal("ModelInfer", index(99))
        answer = await served.ask("ModelInfer", index(2))

    assert error.code() is grpc.StatusCode.INTERNAL
    assert "the model failed on this input" in error.details()
    assert answer.raw_output_contents[0] == np.array([2], np.float32).tobytes()
    assert served.outcomes() == {("boom", Outcome.FAILED): 1, ("boom", ANSWERED): 1}


async def test_text_survives(serve: Any, registry: Any, models: Any) -> None:
    """B81: empty strings, NUL, text beyond ASCII and a long one come back as they went."""
    models.write_configured_model(registry, "id_str", models.identity("id_str", "string", "batch,n"), 8)
    texts = [b"", b"nul\0", "日本".encode(), b"x" * 1024 * 1024]
    contents = pb.InferTensorContents(bytes_contents=texts)
    message = pb.ModelInferRequest(model_name="id_str", inputs=[INPUT(name="X", datatype="BYTES", shape=[1, 4], contents=contents)])

    async with serve() as served:
        answer = await served.ask("ModelInfer", message)

    assert answer.raw_output_contents[0] == b"".join(len(text).to_bytes(4, "little") + text for text in texts)


async def test_half_floats_travel_raw(serve: Any, registry: Any, models: Any) -> None:
    """FP16 and BF16 come back bit by bit."""
    for name, element in (("id_fp16", "float16"), ("id_bf16", "bfloat16")):
        models.write_configured_model(registry, name, models.identity(name, element, "batch,n"), 8)

    def message(name: str, datatype: str) -> pb.ModelInferRequest:
        tensor = INPUT(name="X", datatype=datatype, shape=[1, 3])
        return pb.ModelInferRequest(model_name=name, inputs=[tensor], raw_input_contents=[b"\x01\x02\x7f\x47\xcc\xbd"])

    async with serve() as served:
        half = await served.ask("ModelInfer", message("id_fp16", "FP16"))
        brain = await served.ask("ModelInfer", message("id_bf16", "BF16"))

    assert half.raw_output_contents[0] == brain.raw_output_contents[0] == b"\x01\x02\x7f\x47\xcc\xbd"


async def test_large_tensors_pass(serve: Any, registry: Any, models: Any) -> None:
    """C86: 32 MiB in and out, although grpcio's own limit is 4 MiB."""
    models.write_configured_model(registry, "id_free", models.identity("id_free", "float", "m,n"), 0)
    data = np.random.default_rng(1).random((2048, 4096), np.float32).tobytes()
    tensor = INPUT(name="X", datatype="FP32", shape=[2048, 4096])

    async with serve(only=("id_free",)) as served:
        answer = await served.ask("ModelInfer", pb.ModelInferRequest(model_name="id_free", inputs=[tensor], raw_input_contents=[data]))

    assert len(data) == 32 * 1024 * 1024
    assert answer.raw_output_contents[0] == data


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
async def test_message_above_the_limit_is_refused(serve: Any, compression: grpc.Compression) -> None:
    """B40-B43: the limit holds for what arrives and for what it inflates to; smaller messages pass."""
    big = raw(parameters={"padding": pb.InferParameter(string_param="x" * 100_000)})

    async with serve(GrpcOptions(max_message_bytes=10_000)) as served:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await served.rpc("ModelInfer")(big, compression=compression, timeout=20)
        answer = await served.rpc("ModelInfer")(raw(), compression=compression, timeout=20)

    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(answer.raw_output_contents) == 2


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_compressed_request_is_read(served: Any, compression: grpc.Compression) -> None:
    """Clients may compress each call."""
    answer = await served.rpc("ModelInfer")(raw(), compression=compression, timeout=20)

    assert list(answer.raw_output_contents) == [DIFFERENCE, SUM]
