"""Requests of different lengths through a real server: each is answered as if it had been alone, in its own length."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, Final

import numpy as np
import pytest
from serving import Serve, Serving, until
from transports import Answer, Document

from penstock.execution.devices import Device
from penstock.execution.session import OrtSession, SessionSettings

ROUTES: Final = ("fast",)
WIDTH: Final = 192
"""Wide enough for a long request to keep the only lane busy while others arrive."""
LENGTHS: Final = [3 + 7 * number % 60 for number in range(48)]
TRANSPORTS: Final = ("http", "grpc")


@pytest.fixture(scope="module")
def lengths(serve: Serve, models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Serving:
    """A server of an encoder that is padded, and of one model whose answers padding would change."""
    root = tmp_path_factory.mktemp("lengths")
    models.write_encoder(root, width=WIDTH)
    models.write_graph(models.PLAIN_MEAN, root / "plain_mean" / "1" / "model.onnx")
    (root / "plain_mean" / "model.toml").write_text("[pad.X]\naxis = 1\n")
    return serve(root, "defaults.lanes=1", "defaults.slo_ms=5000")


@pytest.fixture(scope="module")
def alone(lengths: Serving) -> OrtSession:
    """The encoder without a server."""
    return OrtSession(lengths.registry / "encoder" / "1" / "model.onnx", SessionSettings(Device("cpu"), 1))


def words(length: int, rows: int = 1) -> np.ndarray[Any, Any]:
    """Return rows of that length, always the same."""
    return np.random.default_rng(length).integers(1, 50, (rows, length))


def question(inputs: Mapping[str, np.ndarray[Any, Any]]) -> Document:
    """Return a request of whole numbers."""
    tensors = [
        {"name": name, "datatype": "INT64", "shape": list(array.shape), "data": array.ravel().tolist()} for name, array in inputs.items()
    ]
    return {"inputs": tensors}


def assert_alike(answer: Answer, alone: OrtSession, tokens: np.ndarray[Any, Any], mask: np.ndarray[Any, Any] | None = None) -> None:
    """Assert that an answer is that of the run alone, in shape and, within rounding, in value."""
    assert answer.family == "OK", answer.text
    wanted = alone.run({"tokens": tokens, "mask": np.ones_like(tokens) if mask is None else mask}, ["hidden", "pooled"])
    for name, array in zip(("hidden", "pooled"), wanted, strict=True):
        assert answer.outputs[name].shape == list(array.shape)
        np.testing.assert_allclose(answer.outputs[name].values, array.ravel(), rtol=1e-3, atol=1e-4)


def counts(server: Serving, model: str) -> tuple[int, int]:
    """Return how many rows a model has answered, and in how many runs."""
    (statistics,) = server.client.get(f"/v2/models/{model}/stats").json()["model_stats"]
    return int(statistics["inference_count"]), int(statistics["execution_count"])


@pytest.mark.parametrize("name", TRANSPORTS)
def test_rows_of_different_lengths_share_runs_and_get_their_own_answers(lengths: Serving, alone: OrtSession, name: str) -> None:
    """No two of one length at a time, without a mask: fewer runs than requests, each answered as if alone."""
    transport, (rows, runs) = lengths.transports[name], counts(lengths, "encoder")
    long = {**question({"tokens": words(250, 64)}), "outputs": [{"name": "pooled"}]}

    with ThreadPoolExecutor(17) as pool:
        blocking = pool.submit(transport.infer, "encoder", long)
        until(lambda: lengths.in_flight("encoder") or blocking.done())
        answers = list(pool.map(lambda length: transport.infer("encoder", question({"tokens": words(length)})), LENGTHS))

    for length, answer in zip(LENGTHS, answers, strict=True):
        assert_alike(answer, alone, words(length))
    after = counts(lengths, "encoder")
    assert after[0] - rows == len(LENGTHS) + 64
    assert after[1] - runs < len(LENGTHS), "nobody has met anybody"


@pytest.mark.parametrize("name", TRANSPORTS)
def test_mask_of_the_caller_is_kept(lengths: Serving, alone: OrtSession, name: str) -> None:
    """What a caller hides stays hidden, alone and beside others."""
    transport, tokens = lengths.transports[name], words(9)
    mask = np.array([[1] * 6 + [0] * 3])

    with ThreadPoolExecutor(8) as pool:
        others = [pool.submit(transport.infer, "encoder", question({"tokens": words(length)})) for length in (5, 40, 12, 33, 8, 21)]
        answer = transport.infer("encoder", question({"tokens": tokens, "mask": mask}))
        assert all(other.result().family == "OK" for other in others)

    assert_alike(answer, alone, tokens, mask)


@pytest.mark.parametrize("name", TRANSPORTS)
def test_request_longer_than_a_batch_is_joined_again(lengths: Serving, alone: OrtSession, name: str) -> None:
    """150 rows are run in parts, whose rows have one length."""
    answer = lengths.transports[name].infer("encoder", question({"tokens": words(11, 150)}))

    assert_alike(answer, alone, words(11, 150))


def test_declaration_that_changes_answers_is_refused_and_the_model_served(lengths: Serving) -> None:
    """The log says why; only equal shapes meet, so the mean of each is its own."""
    numbers = [[1.0], [1.0, 2.0, 6.0], [4.0, 6.0]]
    asked = [{"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, len(row)], "data": row}]} for row in numbers]

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda one: lengths.http.infer("plain_mean", one), asked * 8))

    assert [answer.outputs["Y"].values for answer in answers] == [[1.0], [3.0], [5.0]] * 8
    assert "pad is refused, only requests of equal shapes run together: output 'Y' of a row of length 5 changes" in lengths.log
