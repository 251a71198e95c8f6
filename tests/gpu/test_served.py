"""A server whose models run on a GPU: the same answers over both protocols, batches that grow, another device where one is not enough."""

import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import numpy as np
import pytest

from penstock.domain.tensor import Array
from penstock.wire.inference import ModelInferRequest, ModelInferResponse

pytestmark = pytest.mark.gpu
WIDTH = 256
Server = Any  # tests/clients/server_process.py is loaded by its path


@pytest.fixture(scope="module")
def server(registry: Path, server_process: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve `deep` on the GPU, on the GPU with the CPU behind it, and in a worker process."""
    settings = (
        "registry.poll_s=0",
        'models.deep.devices=["cuda:0"]',
        "models.deep.require_placement={cuda=1.0}",
        'models.mlp.devices=["cuda:0", "cpu"]',
        'models.greedy.devices=["cuda:0"]',
        'models.greedy.isolation="process"',
        "models.greedy.max_batch_rows=8",
    )
    with server_process.running(registry, tmp_path_factory.mktemp("server"), *settings) as running:
        yield running


def ask(server: Server, model: str, name: str, array: Array) -> tuple[int, Any]:
    """Return status and body of a prediction over HTTP."""
    tensor = {"name": name, "datatype": "FP32", "shape": array.shape, "data": array.ravel().tolist()}
    request = urllib.request.Request(f"http://{server.http}/v2/models/{model}/infer", json.dumps({"inputs": [tensor]}).encode())
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def output(body: Any) -> Array:
    """Return the only output."""
    (tensor,) = body["outputs"]
    return np.array(tensor["data"], np.float32).reshape(tensor["shape"])


def ask_grpc(server: Server, model: str, name: str, *arrays: Array) -> list[Array]:
    """Return the only output of each prediction over gRPC; all are asked at once."""
    with grpc.insecure_channel(server.grpc) as channel:
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer", ModelInferRequest.SerializeToString, ModelInferResponse.FromString
        )
        calls = [infer.future(_request(model, name, array), timeout=60) for array in arrays]
        return [_answer(call.result()) for call in calls]


def _request(model: str, name: str, array: Array) -> ModelInferRequest:
    request = ModelInferRequest(model_name=model)
    request.inputs.add(name=name, datatype="FP32", shape=array.shape)
    request.raw_input_contents.append(array.tobytes())
    return request


def _answer(response: ModelInferResponse) -> Array:
    return np.frombuffer(response.raw_output_contents[0], np.float32).reshape(tuple(response.outputs[0].shape))


def rows(count: int, seed: int = 0) -> Array:
    """Return seeded rows of `deep`."""
    return np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32)


def report(server: Server, path: str) -> Any:
    """Return a report of the admin listener."""
    request = urllib.request.Request(f"http://{server.admin}{path}", headers={"Authorization": f"Bearer {server.token}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def test_both_protocols_answer_alike(server: Server) -> None:
    """Bit by bit, since both rows run on the same device in runs of one size."""
    status, body = ask(server, "deep", "h0", rows(1))

    assert status == 200
    np.testing.assert_array_equal(output(body), ask_grpc(server, "deep", "h0", rows(1))[0])


def test_many_callers_share_runs_and_get_their_own_rows(server: Server) -> None:
    """Calls that come together meet in batches, though a GPU rounds otherwise in them, and nobody gets another's answer."""
    expected = [output(ask(server, "deep", "h0", rows(1, seed))[1]) for seed in range(16)]

    calls = [rows(1, number % 16) for number in range(96)]
    answers = [answer for _ in range(5) for answer in ask_grpc(server, "deep", "h0", *calls)]

    for number, answer in enumerate(answers):
        np.testing.assert_allclose(answer, expected[number % 16], rtol=0.02, atol=0.02)
    (version,) = report(server, "/admin/models/deep/batches")["versions"]
    assert max(batch["rows"] for batch in version["batches"]) > 8
    assert not report(server, "/admin/models/deep")["versions"][0]["notes"]


def test_model_on_two_devices_answers(server: Server) -> None:
    """The GPU comes first; whatever the CPU takes over is answered alike."""
    row = np.random.default_rng(1).normal(size=(1, 64)).astype(np.float32)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: ask(server, "mlp", "X", row), range(200)))

    assert {status for status, _ in answers} == {200}
    for _, body in answers:
        np.testing.assert_allclose(output(body), output(answers[0][1]), rtol=1e-3, atol=1e-4)


def test_worker_process_has_the_gpu_too(server: Server) -> None:
    """A model of a process of its own answers from the same device."""
    status, body = ask(server, "greedy", "X", np.ones((2, 50), np.float32))

    assert status == 200, body
    np.testing.assert_allclose(output(body), np.ones((2, 1, 1)))


def test_report_names_the_device(server: Server) -> None:
    """An operator sees where a version runs."""
    assert "cuda" in json.dumps(report(server, "/admin/models/deep"))
