"""What tritonclient can do over gRPC alone: streams, callbacks, typed messages, metadata."""

import queue

import grpc
import numpy as np
import tritonclient.grpc as kit
import tritonclient.grpc.aio as kit_aio
from checks import CONFORMANCE, EXAMPLES, raises, run
from example_models import MODELS, ROWS, Example, assert_same, expected
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

LIMIT_S = 30


def asked(model: Example, rows: np.ndarray) -> list[kit.InferInput]:
    """Return the input of an example model."""
    made = kit.InferInput(model.input, list(rows.shape), model.datatype)
    made.set_data_from_numpy(rows)
    return [made]


def assert_right(model: Example, rows: np.ndarray, answer: kit.InferResult, *, together: bool = False) -> None:
    """Check every output against ONNX Runtime."""
    for output, values in expected(model, rows).items():
        assert_same(model, output, answer.as_numpy(output), values, together=together)


def check_stream_answers_every_request() -> None:
    """One stream, all models; each answer carries the id of its request."""
    answers: queue.SimpleQueue = queue.SimpleQueue()
    requests = {f"{m.label} {n}": (m, m.rows(n)) for m in MODELS for n in ROWS}
    with kit.InferenceServerClient(EXAMPLES.grpc) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        for name, (model, rows) in requests.items():
            client.async_stream_infer(model.name, asked(model, rows), model_version=model.version, request_id=name)
        for _ in range(len(requests)):
            result, error = answers.get(timeout=LIMIT_S)
            assert error is None, error
            assert_right(*requests.pop(result.get_response().id), result, together=True)
        client.stop_stream()
    assert not requests


def check_stream_tells_errors_and_goes_on() -> None:
    """A refused request does not end the stream."""
    answers: queue.SimpleQueue = queue.SimpleQueue()
    model = MODELS[0]
    rows = model.rows(1)
    with kit.InferenceServerClient(EXAMPLES.grpc) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        client.async_stream_infer("nowhere", asked(model, rows), request_id="a")
        result, error = answers.get(timeout=LIMIT_S)
        assert isinstance(error, InferenceServerException), (result, error)
        assert "nowhere" in error.message(), error
        client.async_stream_infer(model.name, asked(model, rows), request_id="b")
        result, error = answers.get(timeout=LIMIT_S)
        assert error is None, error
        assert_right(model, rows, result)
        client.stop_stream()


async def check_stream_of_the_aio_client() -> None:
    """The asyncio client's stream_infer."""
    model = MODELS[0]
    batches = {f"r{n}": model.rows(n) for n in ROWS}

    async def requests():
        for name, rows in batches.items():
            yield {"model_name": model.name, "inputs": asked(model, rows), "request_id": name}

    seen = []
    async with kit_aio.InferenceServerClient(EXAMPLES.grpc) as client:
        async for result, error in client.stream_infer(requests()):
            assert error is None, error
            name = result.get_response().id
            seen.append(name)
            assert_right(model, batches[name], result, together=True)
    assert sorted(seen) == sorted(batches)


def check_empty_final_response_can_be_asked_for() -> None:
    """With enable_empty_final_response, the last response says that it is the last."""
    answers: queue.SimpleQueue = queue.SimpleQueue()
    model = MODELS[0]
    with kit.InferenceServerClient(EXAMPLES.grpc) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        client.async_stream_infer(model.name, asked(model, model.rows(1)), enable_empty_final_response=True)
        result, error = answers.get(timeout=LIMIT_S)
        assert error is None, error
        assert result.get_response().parameters["triton_final_response"].bool_param is True
        client.stop_stream()


def check_async_infer_calls_back() -> None:
    """async_infer with a callback."""
    answers: queue.SimpleQueue = queue.SimpleQueue()
    model = MODELS[3]
    rows = model.rows(4)
    with kit.InferenceServerClient(EXAMPLES.grpc) as client:
        for _ in range(20):
            client.async_infer(model.name, asked(model, rows), lambda result, error: answers.put((result, error)))
        for _ in range(20):
            result, error = answers.get(timeout=LIMIT_S)
            assert error is None, error
            assert_right(model, rows, result)


def check_typed_contents_are_answered_raw() -> None:
    """A message as generated stubs of other languages fill it: typed contents in, raw contents out."""
    request = service_pb2.ModelInferRequest(model_name="addsub", model_version="1", id="t")
    for name in ("INPUT0", "INPUT1"):
        one = request.inputs.add(name=name, datatype="INT32", shape=[1, 16])
        one.contents.int_contents.extend(range(16))
    with grpc.insecure_channel(CONFORMANCE.grpc) as channel:
        answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=LIMIT_S)
    assert (np.frombuffer(answer.raw_output_contents[0], np.int32) == 2 * np.arange(16)).all()
    assert (answer.id, answer.model_name, answer.model_version) == ("t", "addsub", "1")


def check_metadata_of_ours_is_there() -> None:
    """The version that answered and the times, as trailing metadata."""
    request = service_pb2.ModelInferRequest(model_name="iris")
    request.inputs.add(name="features", datatype="FP32", shape=[1, 4]).contents.fp32_contents.extend([1, 2, 3, 4])
    with grpc.insecure_channel(EXAMPLES.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        _, call = stub.ModelInfer.with_call(request, timeout=LIMIT_S, metadata=(("x-request-id", "abc-2"),))
    trailing = dict(call.trailing_metadata())
    assert trailing["penstock-model-version"] == "1"
    assert trailing["penstock-arm"] == "stable"
    assert trailing["x-request-id"] == "abc-2"
    assert "compute;dur=" in trailing["server-timing"]


def check_a_client_timeout_ends_the_call() -> None:
    """A deadline that passes while the model runs is a deadline exceeded, and the server goes on."""
    slow = kit.InferInput("X", [1, 1], "FP32")
    slow.set_data_from_numpy(np.ones((1, 1), np.float32))
    with kit.InferenceServerClient(CONFORMANCE.grpc) as client:
        with raises(InferenceServerException) as caught:
            client.infer("slow", [slow], client_timeout=0.05)
        assert caught.error.status() == "StatusCode.DEADLINE_EXCEEDED", caught.error
        assert client.is_server_ready() is True


if __name__ == "__main__":
    run(globals())
