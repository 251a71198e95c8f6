"""C15-C41, C54, C56-C59, C65, C85: predictions in plain form, the same over HTTP and gRPC."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest
from cases import A16, DIFFERENCE, ONES, SUM, Case, addsub, on_each, one, tensor
from serving import Serving
from transports import Document, Transport

V1: Final = {"OUTPUT0": SUM, "OUTPUT1": DIFFERENCE}
V3: Final = {"OUTPUT0": DIFFERENCE, "OUTPUT1": SUM}
HTTP: Final = ("http",)
INVALID: Final = "INVALID_ARGUMENT"
PLAIN: Final = addsub()
REVERSED: Final = {"inputs": PLAIN["inputs"][::-1]}
THIRD: Final = tensor("INPUT2", "INT32", [1, 16], A16)
UNEQUAL: Final = {"inputs": [PLAIN["inputs"][0], tensor("INPUT1", "INT32", [2, 16], ONES * 2)]}
WITHOUT_DATA: Final = {"inputs": [{"name": "INPUT0", "datatype": "INT32", "shape": [1, 16]}, PLAIN["inputs"][1]]}
MANY: Final = [*addsub(shape=[9, 16], data=A16 * 9)["inputs"][:1], tensor("INPUT1", "INT32", [9, 16], ONES * 9)]
PARAMETERS: Final = {"foo": "bar", "n": 1, "b": True}

CASES: Final = [
    Case("C15", "addsub", addsub(data=[A16]), outputs=V1, shape=(1, 16), version="1", over=HTTP),
    Case("C16", "addsub", PLAIN, outputs=V1, shape=(1, 16), version="1"),
    Case("C17-first", "addsub", PLAIN, outputs=V1, version="1", told={"version": "1", "model": "addsub"}),
    Case("C17-third", "addsub", PLAIN, outputs=V3, version="3", told={"version": "3"}),
    Case("C18", "addsub", PLAIN, outputs=V3, told={"version": "3"}),
    Case("C19", "addsub", {**PLAIN, "id": "abc"}, outputs=V3, told={"id": "abc"}),
    Case("C19-absent", "addsub", PLAIN, told={"id": ""}),
    Case("C20", "addsub", REVERSED, outputs=V1, shape=(1, 16), version="1"),
    Case("C21", "addsub", {**PLAIN, "outputs": [{"name": "OUTPUT1"}]}, outputs={"OUTPUT1": DIFFERENCE}, version="1"),
    Case("C22", "addsub", {**PLAIN, "outputs": []}, outputs=V1, version="1"),
    Case("C23", "addsub", {**PLAIN, "outputs": [{"name": "NOPE"}]}, INVALID, ("NOPE",)),
    Case("C24", "addsub", {"inputs": PLAIN["inputs"][:1]}, INVALID, ("INPUT1",)),
    Case("C25", "addsub", {"inputs": [*PLAIN["inputs"], THIRD]}, INVALID, ("INPUT2",)),
    Case("C26", "addsub", addsub(datatype="FP32"), INVALID, ("FP32", "INT32")),
    Case("C27", "addsub", addsub(datatype="INT33", contents="int_contents"), INVALID, ("INT33",)),
    Case("C28", "addsub", addsub(shape=[1, 15], data=A16[:15]), INVALID, ("15", "16", "INPUT0")),
    Case("C29", "addsub", addsub(data=A16[:15]), INVALID, ("15", "16", "INPUT0")),
    Case("C30", "addsub", addsub(data=[*A16, 16]), INVALID, ("17", "16", "INPUT0")),
    Case("C31", "addsub", addsub(shape=[1, -16]), INVALID, ("-16", "INPUT0")),
    Case("C32", "addsub", {"inputs": MANY}, INVALID, ("8",)),
    Case("C33", "addsub", UNEQUAL, INVALID, ("1", "2", "INPUT1")),
    Case("C34", "addsub", addsub(data=["a"] * 16, contents="bytes_contents"), INVALID, ("INPUT0",)),
    Case("C35", "addsub", WITHOUT_DATA, INVALID, ("INPUT0",)),
    Case("C40", "nope", PLAIN, "NOT_FOUND", ("nope",)),
    Case("C51", "id_str", one("BYTES", [1, 2], ["x", "y"]), outputs={"Y": [b"x", b"y"]}, shape=(1, 2)),
    Case("C54", "id_bool", one("BOOL", [1, 2], [True, False]), outputs={"Y": [True, False]}),
    Case("C56", "id_fp64", one("FP64", [1, 1], [0.1]), outputs={"Y": [0.1]}),
    Case("C57", "addsub", {**addsub(later=[1]), "newer": {"a": 1}}, outputs=V1, version="1", over=HTTP),
    Case("C58", "addsub", {**PLAIN, "parameters": PARAMETERS}, outputs=V1, version="1"),
    Case("C59", "addsub", {**PLAIN, "parameters": {"triton_x": 1}}, INVALID, ("triton_x",)),
]

SAME_TEXT: Final[dict[str, Document]] = {
    "shape": addsub(shape=[1, 15], data=A16[:15]),
    "rank": addsub(shape=[16]),
    "datatype": addsub(datatype="INT64"),
    "missing": {"inputs": PLAIN["inputs"][:1]},
    "surplus": {"inputs": [*PLAIN["inputs"], THIRD]},
    "batch": {"inputs": MANY},
    "output": {**PLAIN, "outputs": [{"name": "NOPE"}]},
}


@pytest.mark.parametrize(("case", "transport"), on_each(CASES), indirect=["transport"])
def test_prediction_is_answered_as_the_protocol_says(case: Case, transport: Transport) -> None:
    """Each row of the table, over each transport that can ask it."""
    case.check(transport)


@pytest.mark.parametrize("question", SAME_TEXT.values(), ids=[f"C85-{name}" for name in SAME_TEXT])
def test_both_transports_refuse_in_the_same_words(server: Serving, question: Document) -> None:
    """What is wrong with a request does not depend on how it came."""
    over_http, over_grpc = (transport.infer("addsub", question) for transport in server.transports.values())

    assert (over_http.family, over_grpc.family) == (INVALID, INVALID)
    assert over_http.text == over_grpc.text


@pytest.mark.parametrize("transport", [pytest.param("http", id="C15-flat-http")], indirect=True)
def test_json_outputs_are_flat(transport: Transport, server: Serving) -> None:
    """Whatever the nesting of the inputs, `data` is one flat list of numbers."""
    response = server.client.post("/v2/models/addsub/versions/1/infer", json=addsub(data=[A16]))

    document = response.json()
    assert [output["data"] for output in document["outputs"]] == [SUM, DIFFERENCE]
    assert all("parameters" not in output for output in document["outputs"])
    assert document["model_version"] == "1"
    assert "id" not in document
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "body",
    [pytest.param(b'{"inputs":', id="C36-http"), pytest.param(b"", id="C37-http"), pytest.param(b"[]", id="C38-http")],
)
def test_body_that_is_no_request_is_refused(server: Serving, body: bytes) -> None:
    """Half a document, nothing, and a list."""
    response = server.client.post("/v2/models/addsub/infer", content=body)

    assert response.status_code == 400
    assert response.json()["error"]


@pytest.mark.parametrize("path", [pytest.param("/v2/models/addsub/infer", id="C39-http")])
def test_inference_is_asked_by_post_only(server: Serving, path: str) -> None:
    """GET is the wrong method, and the answer says which is right."""
    response = server.client.get(path)

    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert response.json()["error"]


@pytest.mark.parametrize("transport", [pytest.param("http", id="C41-http"), pytest.param("grpc", id="C41-grpc")], indirect=True)
def test_failure_in_the_model_is_told_and_passes(transport: Transport) -> None:
    """An index out of the table fails one request, and not the next."""
    inside, outside = ({"inputs": [tensor("I", "INT64", [1], [index])]} for index in (2, 99))

    failed = transport.infer("boom", outside)
    answered = transport.infer("boom", inside)

    assert failed.family == "INTERNAL"
    assert failed.text
    assert answered.outputs["Y"].values == [2.0]


@pytest.mark.parametrize("transport", [pytest.param("http", id="C65-http"), pytest.param("grpc", id="C65-grpc")], indirect=True)
def test_parallel_requests_get_their_own_answers(transport: Transport) -> None:
    """Twenty requests at once, each with an id and data of its own."""

    def ask(number: int) -> tuple[str, list[int]]:
        answer = transport.infer("addsub", {**addsub(data=[number] * 16), "id": f"r{number}"}, "1")
        return answer.id, answer.outputs["OUTPUT0"].values

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, range(20)))

    assert answers == [(f"r{number}", [number + 1] * 16) for number in range(20)]
