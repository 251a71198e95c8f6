"""What tritonclient can do over HTTP alone: JSON tensors, compressed answers, async_infer, bodies made by hand."""

import numpy as np
import tritonclient.http as kit
import tritonclient.http.aio as kit_aio
from checks import CONFORMANCE, EXAMPLES, run
from example_models import MODELS, ROWS, Example, assert_same, expected

FORMS = [(sent, answered) for sent in (True, False) for answered in (True, False)]
"""Binary or JSON, for the inputs and for the outputs."""


def asked(model: Example, rows: np.ndarray, *, binary: bool = True) -> list[kit.InferInput]:
    """Return the input of an example model."""
    made = kit.InferInput(model.input, list(rows.shape), model.datatype)
    made.set_data_from_numpy(rows, binary_data=binary)
    return [made]


def wanted(model: Example, *, binary: bool = True) -> list[kit.InferRequestedOutput]:
    """Return the outputs of an example model."""
    return [kit.InferRequestedOutput(output, binary_data=binary) for output in model.outputs]


def assert_right(model: Example, rows: np.ndarray, answer: kit.InferResult) -> None:
    """Check every output against ONNX Runtime."""
    for output, values in expected(model, rows).items():
        assert_same(model, output, answer.as_numpy(output), values)


def check_json_and_binary_tensors_agree() -> None:
    """Every mixture of JSON and binary, one row and batches, bit by bit."""
    with kit.InferenceServerClient(EXAMPLES.http) as client:
        for model in MODELS:
            for count in ROWS:
                rows = model.rows(count)
                for sent, answered in FORMS:
                    answer = client.infer(
                        model.name,
                        asked(model, rows, binary=sent),
                        model_version=model.version,
                        outputs=wanted(model, binary=answered),
                    )
                    assert_right(model, rows, answer)


async def check_json_and_binary_tensors_agree_in_aio() -> None:
    """The same with the asyncio client."""
    async with kit_aio.InferenceServerClient(EXAMPLES.http) as client:
        for model in MODELS:
            rows = model.rows(2)
            for sent, answered in FORMS:
                answer = await client.infer(
                    model.name,
                    asked(model, rows, binary=sent),
                    model_version=model.version,
                    outputs=wanted(model, binary=answered),
                )
                assert_right(model, rows, answer)


def check_compression_both_ways() -> None:
    """Gzip and deflate, in both directions at once; the answer is told to be compressed when it is long."""
    values = np.zeros((8, 4096), np.float32)
    sent = kit.InferInput("X", list(values.shape), "FP32")
    sent.set_data_from_numpy(values)
    with kit.InferenceServerClient(CONFORMANCE.http) as client:
        for request in (None, "gzip", "deflate"):
            for response in (None, "gzip", "deflate"):
                answer = client.infer(
                    "id_fp32",
                    [sent],
                    request_compression_algorithm=request,
                    response_compression_algorithm=response,
                )
                assert answer.as_numpy("Y").tobytes() == values.tobytes(), (request, response)


async def check_compression_both_ways_in_aio() -> None:
    """The same with the asyncio client."""
    values = np.zeros((8, 4096), np.float32)
    sent = kit.InferInput("X", list(values.shape), "FP32")
    sent.set_data_from_numpy(values)
    async with kit_aio.InferenceServerClient(CONFORMANCE.http) as client:
        for request in (None, "gzip", "deflate"):
            for response in (None, "gzip", "deflate"):
                answer = await client.infer(
                    "id_fp32",
                    [sent],
                    request_compression_algorithm=request,
                    response_compression_algorithm=response,
                )
                assert answer.as_numpy("Y").tobytes() == values.tobytes(), (request, response)


def check_async_infer_of_the_gevent_client() -> None:
    """Many requests on few connections."""
    model = MODELS[2]
    batches = [model.rows(1 + number % 4) for number in range(24)]
    with kit.InferenceServerClient(EXAMPLES.http, concurrency=6) as client:
        pending = [client.async_infer(model.name, asked(model, rows), model_version="2") for rows in batches]
        for rows, each in zip(batches, pending, strict=True):
            assert_right(model, rows, each.get_result())


def check_bodies_made_by_the_client() -> None:
    """generate_request_body and parse_response_body, with which people put the client behind another transport."""
    model = MODELS[0]
    rows = model.rows(3)
    body, length = kit.InferenceServerClient.generate_request_body(asked(model, rows))
    with kit.InferenceServerClient(EXAMPLES.http) as client:
        answer = client._post("v2/models/iris/infer", body, {"Inference-Header-Content-Length": str(length)}, None)
        assert answer.status_code == 200, answer
        header = answer.get("Inference-Header-Content-Length")
        result = kit.InferenceServerClient.parse_response_body(answer.read(), header_length=None if header is None else int(header))
    assert_right(model, rows, result)


def check_headers_of_ours_are_there() -> None:
    """The version that answered and the times, as response headers."""
    model = MODELS[1]
    body, length = kit.InferenceServerClient.generate_request_body(asked(model, model.rows(1)))
    with kit.InferenceServerClient(EXAMPLES.http) as client:
        headers = {"Inference-Header-Content-Length": str(length), "x-request-id": "abc-1"}
        answer = client._post("v2/models/digits/infer", body, headers, None)
    assert answer.get("penstock-model-version") == "1", "the champion"
    assert answer.get("penstock-arm") == "stable"
    assert answer.get("x-request-id") == "abc-1"
    assert "compute;dur=" in answer.get("server-timing")


if __name__ == "__main__":
    run(globals())
