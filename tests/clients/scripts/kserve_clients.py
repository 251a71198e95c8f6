"""KServe's own clients: REST with the protocols V2 and V1, and gRPC (C95)."""

import httpx
import numpy as np
from checks import CONFORMANCE, EXAMPLES, raises, run
from example_models import MODELS, assert_same, expected
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

BASE = f"http://{EXAMPLES.http}"
NUMERIC = [model for model in MODELS if model.datatype != "BYTES" and (model.name, model.version) != ("digits", "2")]
"""What these clients can ask for: they name no version, so the champion of digits answers."""


def request(model, rows: np.ndarray, *, binary: bool) -> InferRequest:
    """Return a request for an example model."""
    tensor = InferInput(model.input, list(rows.shape), model.datatype)
    tensor.set_data_from_numpy(rows, binary_data=binary)
    return InferRequest(model_name=model.name, infer_inputs=[tensor])


def assert_right(model, rows: np.ndarray, answer) -> None:
    """Check every output against ONNX Runtime."""
    outputs = {output.name: output for output in answer.outputs}
    for name, wanted in expected(model, rows).items():
        assert_same(model, name, outputs[name].as_numpy(), wanted)


async def check_c95_health_over_rest_v2() -> None:
    """C95: live, ready, model ready."""
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_server_live(BASE) is True
        assert await client.is_server_ready(BASE) is True
        for model in MODELS:
            assert await client.is_model_ready(BASE, model.name) is True


async def check_c95_infer_over_rest_v2_in_json() -> None:
    """C95: the numbers of ONNX Runtime."""
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        for model in NUMERIC:
            for count in (1, 3):
                rows = model.rows(count)
                headers: dict[str, str] = {}
                asked = request(model, rows, binary=False)
                answer = await client.infer(BASE, asked, model.name, response_headers=headers)
                assert answer.model_name == model.name
                assert headers["penstock-model-version"] == model.version, headers
                assert_right(model, rows, answer)


async def check_infer_over_rest_v2_in_binary() -> None:
    """The same with binary tensors."""
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        for model in NUMERIC:
            rows = model.rows(3)
            answer = await client.infer(BASE, request(model, rows, binary=True), model.name)
            assert_right(model, rows, answer)


async def check_infer_over_rest_v2_with_texts() -> None:
    """BYTES tensors as JSON strings."""
    body = {"inputs": [{"name": "text", "shape": [2], "datatype": "BYTES", "data": ["Guten Morgen", "¿Dónde está la biblioteca?"]}]}
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        answer = await client.infer(BASE, body, "language")
    (label,) = [output for output in answer.outputs if output.name == "label"]
    assert label.data == ["de", "es"], label


async def check_errors_over_rest_v2_carry_their_text() -> None:
    """An unknown model is a 404 whose text the client shows."""
    model = NUMERIC[0]
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        with raises(httpx.HTTPStatusError) as caught:
            await client.infer(BASE, request(model, model.rows(1), binary=False), "nowhere")
    assert caught.error.response.status_code == 404
    assert "nowhere" in str(caught.error).partition("for url")[0], caught.error


async def check_health_over_rest_v1() -> None:
    """V1: live and model ready."""
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        assert await client.is_server_live(BASE) is True
        assert await client.is_model_ready(BASE, "iris") is True


async def check_predict_over_rest_v1() -> None:
    """V1: one output gives rows, several give objects; the numbers are those of ONNX Runtime."""
    diabetes, iris = MODELS[3], MODELS[0]
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        rows = diabetes.rows(2)
        answer = await client.infer(BASE, {"instances": rows.tolist()}, "diabetes")
        got = np.array(answer["predictions"], np.float32)
        assert_same(diabetes, "progression", got, expected(diabetes, rows)["progression"])
        rows = iris.rows(3)
        answer = await client.infer(BASE, {"instances": rows.tolist()}, "iris")
        wanted = expected(iris, rows)
        labels = np.array([row["label"] for row in answer["predictions"]], np.int64)
        shares = np.array([row["probabilities"] for row in answer["predictions"]], np.float32)
        assert_same(iris, "label", labels, wanted["label"])
        assert_same(iris, "probabilities", shares, wanted["probabilities"])


async def check_c95_grpc_client() -> None:
    """C95 over gRPC: live, ready, model ready, and numbers."""
    async with InferenceGRPCClient(EXAMPLES.grpc) as client:
        assert await client.is_server_live() is True
        assert await client.is_server_ready() is True
        for model in NUMERIC:
            assert await client.is_model_ready(model.name) is True
            for binary in (True, False):
                rows = model.rows(3)
                assert_right(model, rows, await client.infer(request(model, rows, binary=binary)))


async def check_grpc_client_with_half_precision() -> None:
    """FP16 has no typed contents: this client sends it raw."""
    values = np.array([[1.5, -2.25]], np.float16)
    tensor = InferInput("X", [1, 2], "FP16")
    tensor.set_data_from_numpy(values)
    async with InferenceGRPCClient(CONFORMANCE.grpc) as client:
        answer = await client.infer(InferRequest(model_name="id_fp16", infer_inputs=[tensor]))
    assert answer.outputs[0].as_numpy().tobytes() == values.tobytes()


if __name__ == "__main__":
    run(globals())
