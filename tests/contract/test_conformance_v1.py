"""C96-C108: the V1 protocol of KServe and TensorFlow Serving."""

from typing import Any, Final

import pytest
from cases import A16, DIFFERENCE, ONES, SUM
from serving import Serving
from transports import base64_of, error_text

FLOATS: Final = "/v1/models/id_fp32:predict"
TEXTS: Final = "/v1/models/id_str:predict"
ROWS: Final = [{"INPUT0": A16, "INPUT1": ONES}, {"INPUT0": ONES, "INPUT1": ONES}]
ANSWERS: Final = [{"OUTPUT0": DIFFERENCE, "OUTPUT1": SUM}, {"OUTPUT0": [0] * 16, "OUTPUT1": [2] * 16}]

ANSWERED: Final = {
    "C96": (FLOATS, {"instances": [[1, 2], [3, 4]]}, {"predictions": [[1.0, 2.0], [3.0, 4.0]]}),
    "C97": (FLOATS, {"inputs": [[1, 2]]}, {"outputs": [[1.0, 2.0]]}),
    "C98": ("/v1/models/addsub:predict", {"instances": ROWS}, {"predictions": ANSWERS}),
    "C103": (TEXTS, {"instances": [[base64_of(b"\x00\x01")]]}, {"predictions": [["\x00\x01"]]}),
}

REFUSED: Final = {
    "C99": (FLOATS, {"instances": [[1]], "inputs": [[1]]}, 400),
    "C100": (FLOATS, {}, 400),
    "C101": (FLOATS, {"instances": {}}, 400),
    "C102": (FLOATS, {"instances": [[1], [1, 2]]}, 400),
    "base64-beyond-ascii": (TEXTS, {"instances": [[{"b64": "YQ=é"}]]}, 400),
    "C104": ("/v1/models/nope:predict", {"instances": [[1]]}, 404),
    "C105": ("/v1/models/addsub/versions/2:predict", {"instances": ROWS}, 404),
}


@pytest.mark.parametrize(("path", "body", "expected"), ANSWERED.values(), ids=[f"{name}-http" for name in ANSWERED])
def test_v1_prediction_is_answered(server: Serving, path: str, body: Any, expected: Any) -> None:
    """Row and column form; one and several inputs."""
    response = server.client.post(path, json=body)

    assert (response.status_code, response.json()) == (200, expected)


@pytest.mark.parametrize(("path", "body", "status"), REFUSED.values(), ids=[f"{name}-http" for name in REFUSED])
def test_v1_prediction_is_refused(server: Serving, path: str, body: Any, status: int) -> None:
    """With the error body that V2 has."""
    response = server.client.post(path, json=body)

    assert response.status_code == status
    assert error_text(response)


@pytest.mark.parametrize("path", [pytest.param("/v1/models/addsub", id="C106-http")])
def test_v1_status_serves_both_kinds_of_client(server: Serving, path: str) -> None:
    """KServe reads `ready`, TensorFlow Serving the states of the versions, newest first."""
    document = server.client.get(path).json()

    assert document["name"] == "addsub"
    assert document["ready"] is True
    states = [(entry["version"], entry["state"]) for entry in document["model_version_status"]]
    assert states == [("3", "AVAILABLE"), ("1", "AVAILABLE")]


@pytest.mark.parametrize("target", ["addsub", "addsub/versions/3", "addsub/labels/champion", "nope"])
def test_v1_predict_names_the_method_that_it_takes(server: Serving, target: str) -> None:
    """405 with Allow; the verb is no part of a name."""
    response = server.client.get(f"/v1/models/{target}:predict")

    assert (response.status_code, response.headers.get("allow")) == (405, "POST")
    assert error_text(response)


@pytest.mark.parametrize("verb", ["classify", "regress", "explain"])
def test_v1_verbs_that_are_not_offered_are_not_there(server: Serving, verb: str) -> None:
    """404, by whatever method: no path of another method."""
    for method in ("GET", "POST"):
        response = server.client.request(method, f"/v1/models/addsub:{verb}")

        assert response.status_code == 404
        assert error_text(response)


@pytest.mark.parametrize("path", [pytest.param("/v1/models", id="C107-http")])
def test_v1_lists_models(server: Serving, path: str) -> None:
    """By name."""
    document = server.client.get(path).json()

    assert set(document) == {"models"}
    assert {"addsub", "id_fp32"} <= set(document["models"])


@pytest.mark.parametrize("path", [pytest.param("/", id="C108-http")])
def test_root_says_alive(server: Serving, path: str) -> None:
    """What KServe's V1 client asks for liveness."""
    response = server.client.get(path)

    assert (response.status_code, response.json()) == (200, {"status": "alive"})
