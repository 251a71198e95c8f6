"""The corpus: every question that the tests of this directory ask over HTTP, and more, each as bytes and with an id.

Both routes must give the same answer to each; what that answer is, other tests say. To extend it, add a line to a table.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import test_bad_input_http as bodies
import test_bad_input_requests as bad
import test_conformance_inference as inference
import test_conformance_tensors as tensors
import test_conformance_v1 as v1
from cases import A16, Case, addsub, one, tensor
from transports import HEADER_LENGTH, Document, base64_of, encoded, segment, texts

INFER: Final = "/v2/models/addsub/infer"
FLOATS: Final = "/v2/models/id_fp32/infer"
PLAIN: Final = json.dumps(addsub()).encode()
LARGE: Final = json.dumps(one("FP32", [1, 5000], [0.5] * 5000)).encode()
"""Its answer is large enough to be compressed."""


@dataclass(frozen=True)
class Question:
    """One request, whole; its length is added on the wire."""

    id: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "POST"
    lively: bool = False
    """Whether the answer's body tells of the server's own life, so that two servers may say different things."""


def _of_cases() -> Iterator[Question]:
    for case in [*inference.CASES, *tensors.CASES, *bad.CASES]:
        if "http" in case.over:
            yield _of_case(case)
    for datatype, model in tensors.NUMERIC.items():
        question = tensors.binary(one(datatype, [1, 2], tensors.extremes(datatype)))
        yield _of_case(Case(f"C55-{datatype}", model, question))


def _of_case(case: Case) -> Question:
    path = f"/v2/models/{segment(case.model)}" + (f"/versions/{segment(case.version)}" if case.version else "")
    return _asked(case.id, f"{path}/infer", case.question, case.headers)


def _asked(name: str, path: str, question: Document, headers: Mapping[str, str] | None = None) -> Question:
    body, length = encoded(question)
    extra = {} if length is None else {HEADER_LENGTH: str(length)}
    return Question(name, path, body, tuple({**extra, **(headers or {})}.items()))


def _of_texts() -> Iterator[Question]:
    for name, (path, body) in bodies.TEXTS.items():
        yield Question(f"{name}-text", path, body)
    for name, types in bodies.TYPES.items():
        yield Question(name, INFER, PLAIN, tuple(types.items()))
    for name, (coding, body, _) in bodies.CODINGS.items():
        yield Question(name, INFER, body, (("Content-Encoding", coding),))
    for name, length in bodies.LENGTHS.items():
        yield Question(name, bodies.VECTOR, bodies.MIXED, ((HEADER_LENGTH, length),))
    for name, (body, length) in bodies.SIZES.items():
        yield Question(name, bodies.VECTOR, body, ((HEADER_LENGTH, length),))
    for name, value in bodies.HEADERS.items():
        if name == "B88-escape":
            continue  # uvicorn's parser refuses it in plain text, before there is a route
        yield Question(f"{name}-header", INFER, PLAIN, (("X-Request-Id", value.decode("latin-1")),))
    for name, (model, datatype) in bodies.SPECIAL.items():
        body = bodies.values("NaN, Infinity, -Infinity, 0.1", datatype)
        yield Question(f"{name}-special", f"/v2/models/{model}/infer", body.replace(b"[1]", b"[1, 4]").replace(b"[1, 1]", b"[1, 4]"))
    yield Question("B48-allowed", INFER, bodies.nested(63))
    yield Question("B49", INFER, b'{"id": "a", "id": "b", ' + PLAIN[1:])
    yield Question("B27-empty", "/v2/models//infer", PLAIN)


def _of_v1() -> Iterator[Question]:
    for name, (path, document, _) in {**v1.ANSWERED, **v1.REFUSED}.items():
        yield _of_json(name, path, document)
    for name, (path, document) in V1.items():
        yield _of_json(f"v1-{name}", path, document)


def _of_json(name: str, path: str, document: Any) -> Question:
    return Question(name, path, json.dumps(document).encode())


V1: Final[dict[str, tuple[str, Any]]] = {
    "signature": (v1.FLOATS, {"signature_name": "serving_default", "instances": [[1, 2]]}),
    "signature-number": (v1.FLOATS, {"signature_name": 1, "instances": [[1, 2]]}),
    "named-rows": (v1.FLOATS, {"instances": [{"X": [1, 2]}]}),
    "named-column": (v1.FLOATS, {"inputs": {"X": [[1, 2]]}}),
    "columns": ("/v1/models/addsub:predict", {"inputs": {"INPUT0": [A16], "INPUT1": [A16]}}),
    "version": ("/v1/models/addsub/versions/1:predict", {"inputs": {"INPUT0": [A16], "INPUT1": [A16]}}),
    "version-word": ("/v1/models/addsub/versions/latest:predict", {"inputs": {"INPUT0": [A16], "INPUT1": [A16]}}),
    "label": ("/v1/models/aliased/labels/blue:predict", {"inputs": {"INPUT0": [A16], "INPUT1": [A16]}}),
    "label-unknown": ("/v1/models/aliased/labels/green:predict", {"inputs": {"INPUT0": [A16], "INPUT1": [A16]}}),
    "text": (v1.TEXTS, {"instances": [["a", "ü", ""]]}),
    "base64-wrong": (v1.TEXTS, {"instances": [[{"b64": "*"}]]}),
    "base64-not-text": (v1.TEXTS, {"instances": [[base64_of(b"\xff")]]}),
    "scalar": ("/v1/models/scalar:predict", {"inputs": 1.5}),
    "several": ("/v1/models/multi:predict", {"instances": [{"floats": [1, 2], "ints": [1, 2, 3], "texts": ["a"]}]}),
    "optional": ("/v1/models/optional_in:predict", {"instances": [[1, 2, 3, 4]]}),
    "surplus": ("/v1/models/addsub:predict", {"instances": [{"INPUT0": A16, "INPUT1": A16, "INPUT2": A16}]}),
    "uneven": ("/v1/models/addsub:predict", {"instances": [{"INPUT0": A16, "INPUT1": A16}, {"INPUT0": A16}]}),
    "empty": (v1.FLOATS, {"instances": []}),
    "half": ("/v1/models/id_fp16:predict", {"instances": [[1.0]]}),
    "failure": ("/v1/models/boom:predict", {"inputs": [99]}),
    "large": (v1.FLOATS, {"instances": [[0.5] * 5000]}),
}

ASKED: Final[dict[str, tuple[str, Document]]] = {
    "alias": ("/v2/models/aliased/versions/blue/infer", addsub()),
    "alias-champion": ("/v2/models/aliased/infer", addsub()),
    "alias-unknown": ("/v2/models/aliased/versions/green/infer", addsub()),
    "multi": (
        "/v2/models/multi/infer",
        {
            "id": "múlti",
            "inputs": [
                tensor("texts", "BYTES", [1, 1], ["日本"]),
                tensor("ints", "INT64", [1, 3], [1, 2, -(2**63)]),
                tensor("floats", "FP32", [1, 2], np.array([1, 2], "<f4").tobytes()),
            ],
        },
    ),
    "scalar": ("/v2/models/scalar/infer", one("FP32", [], [1.5])),
    "optional-absent": ("/v2/models/optional_in/infer", one("FP32", [2, 4], [1.0] * 8)),
    "optional-given": (
        "/v2/models/optional_in/infer",
        {"inputs": [tensor("X", "FP32", [1, 4], [1.0] * 4), tensor("bias", "FP32", [4], [1.0] * 4)]},
    ),
    "external": ("/v2/models/external/infer", one("FP32", [1, 4], [1.0] * 4)),
    "folder": ("/v2/models/folder/infer", one("FP32", [1, 4], [1.0] * 4)),
    "mixes-rows": ("/v2/models/mixes_rows/infer", one("FP32", [2, 4], [1.0, 2.0] * 4)),
    "mlp": ("/v2/models/mlp/infer", one("FP32", [3, 64], [round(0.01 * i, 2) for i in range(192)])),
    "failure": ("/v2/models/boom/infer", {"inputs": [tensor("I", "INT64", [1], [99])]}),
    "half-as-json": ("/v2/models/id_fp16/infer", one("FP16", [1, 1], b"\x00\x3c")),
    "half-as-bytes": ("/v2/models/id_fp16/infer", tensors.binary(one("FP16", [1, 1], b"\x00\x3c"))),
    "text-as-bytes": ("/v2/models/id_str/infer", tensors.binary(one("BYTES", [1, 2], texts(b"a", "ü".encode())))),
    "large-as-bytes": (FLOATS, tensors.binary(one("FP32", [1, 5000], bytes(20_000)))),
    "empty-as-bytes": ("/v2/models/zero_ok/infer", tensors.binary(one("FP32", [1, 0], b""))),
    "one-as-bytes": (INFER, {**addsub(), "outputs": [{"name": "OUTPUT1", "parameters": {"binary_data": True}}, {"name": "OUTPUT0"}]}),
    "flag-not-boolean": (INFER, {**addsub(), "outputs": [{"name": "OUTPUT1", "parameters": {"binary_data": 1}}]}),
    "listed-beats-default": (INFER, {**addsub(), "outputs": [{"name": "OUTPUT1"}], "parameters": {"binary_data_output": True}}),
    "classes": (
        "/v2/models/scores/infer",
        one("FP32", [2, 4], [1, 4, 3, 2, 9, 8, 7, 6], outputs=[{"name": "Y", "parameters": {"classification": 2}}]),
    ),
    "classes-as-bytes": (
        "/v2/models/scores/infer",
        one("FP32", [1, 4], [1, 4, 3, 2], outputs=[{"name": "Y", "parameters": {"classification": 9, "binary_data": True}}]),
    ),
    "classes-negative": (
        "/v2/models/scores/infer",
        one("FP32", [1, 4], [1, 4, 3, 2], outputs=[{"name": "Y", "parameters": {"classification": -1}}]),
    ),
    "classes-of-text": (
        "/v2/models/id_str/infer",
        one("BYTES", [1, 1], ["a"], outputs=[{"name": "Y", "parameters": {"classification": 1}}]),
    ),
    "sequence": (INFER, bad.with_parameters(sequence_id=7, sequence_start=True)),
    "priority": (INFER, bad.with_parameters(priority=1)),
    "timeout": (INFER, bad.with_parameters(timeout=20_000_000)),
    "final-response": (INFER, bad.with_parameters(triton_enable_empty_final_response=False)),
    "id-unicode": (INFER, {**addsub(), "id": "日本"}),
    "id-empty": (INFER, {**addsub(), "id": ""}),
    "subnormal": (FLOATS, one("FP32", [1, 3], [1e-45, -0.0, 3.4028235e38])),
    "long-integers": ("/v2/models/id_u64/infer", one("UINT64", [1, 2], [0, 2**64 - 1])),
}
"""Questions of which the wire form is the usual one."""

RAW: Final[dict[str, tuple[str, bytes]]] = {
    "vector": ("/v2/models/id_vec/infer", np.arange(7, dtype="<f4").tobytes()),
    "batch": ("/v2/models/scores/infer", np.arange(4, dtype="<f4").tobytes()),
    "two-inputs": (INFER, bytes(64)),
    "text": ("/v2/models/id_str/infer", texts(b"a")),
    "odd": ("/v2/models/id_vec/infer", bytes(7)),
    "empty": ("/v2/models/id_vec/infer", b""),
    "free": ("/v2/models/id_free/infer", bytes(16)),
}
"""Bodies that are the bytes of the only input, without JSON."""

HEADERS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "deadline": (("penstock-deadline-ms", "20000"),),
    "deadline-word": (("Penstock-Deadline-Ms", "soon"),),
    "deadline-exponent": (("penstock-deadline-ms", "1e3"),),
    "deadline-fraction": (("penstock-deadline-ms", "1.5"),),
    "deadline-digits": (("penstock-deadline-ms", "9" * 40),),
    "deadline-empty": (("penstock-deadline-ms", ""),),
    "critical": (("penstock-priority", "critical"),),
    "sheddable": (("penstock-priority", "sheddable"),),
    "priority-case": (("penstock-priority", "Critical"),),
    "priority-twice": (("penstock-priority", "critical"), ("penstock-priority", "none")),
    "route": (("penstock-route", "stable"),),
    "traceparent": (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),),
    "request-id": (("X-REQUEST-ID", "mine"),),
    "request-id-twice": (("x-request-id", "mine"), ("x-request-id", "yours")),
    "request-id-empty": (("x-request-id", ""),),
    "request-id-blanks": (("x-request-id", "  a b  "),),
    "request-id-longest": (("x-request-id", "i" * 128),),
    "expect": (("Expect", ""),),
    "host-empty": (("X-Forwarded-Host", "evil"),),
    "many": tuple((f"x-{number}", str(number)) for number in range(90)),
    "long": (("x-long", "v" * 8000),),
    "tabs": (("x-tab", "a\tb"),),
    "latin": (("x-latin", "caf\xe9"),),
    "accept-gzip": (("Accept-Encoding", "gzip"),),
    "accept-deflate": (("accept-encoding", "deflate, gzip"),),
    "accept-case": (("accept-encoding", "GZIP"),),
    "accept-quality": (("accept-encoding", "gzip;q=0.1, deflate; q=0.9, br"),),
    "accept-identity": (("accept-encoding", "identity;q=1, gzip;q=0.5"),),
    "accept-none": (("accept-encoding", "gzip;q=0"),),
    "accept-any": (("accept-encoding", "*"),),
    "accept-odd": (("accept-encoding", "gzip;q=much"),),
    "accept-twice": (("accept-encoding", "br"), ("accept-encoding", "gzip")),
    "accept-json": (("accept", "application/json"),),
    "identity": (("content-encoding", "identity"),),
    "encoding-twice": (("content-encoding", "identity"), ("content-encoding", "gzip")),
    "close": (("Connection", "close"),),
    "keep-alive": (("Connection", "Keep-Alive"),),
    "connection-odd": (("Connection", "x-nothing"),),
    "authorization": (("authorization", "Bearer wrong"),),
    "cookie": (("cookie", "a=b"),),
}
"""Headers beside a question that is answered: to a small answer, and to one that is worth compressing."""

PATHS: Final[dict[str, str]] = {
    "query": f"{INFER}?x=1&y",
    "query-empty": f"{INFER}?",
    "fragment": f"{INFER}#here",
    "absolute": f"http://localhost{INFER}",
    "slash": f"{INFER}/",
    "slashes": "//v2/models/addsub/infer",
    "slash-within": "/v2//models/addsub/infer",
    "encoded-letter": "/v2/models/%61ddsub/infer",
    "encoded-route": "/v2/models/addsub/%69nfer",
    "encoded-null": "/v2/models/add%00sub/infer",
    "encoded-bytes": "/v2/models/%ff%fe/infer",
    "encoded-badly": "/v2/models/%zz/infer",
    "encoded-cut": "/v2/models/addsub%/infer",
    "encoded-percent": "/v2/models/%2561ddsub/infer",
    "encoded-slash": "/v2/models/a%2Fb/infer",
    "encoded-question": "/v2/models/addsub%3Fx/infer",
    "slash-in-name": "/v2/models/a/b/infer",
    "versions-in-name": "/v2/models/versions/versions/1/infer",
    "version-empty": "/v2/models/addsub/versions//infer",
    "version-deep": "/v2/models/addsub/versions/1/2/infer",
    "version-encoded": "/v2/models/addsub/versions/%31/infer",
    "version-odd": "/v2/models/addsub/version/1/infer",
    "plus": "/v2/models/add+sub/infer",
    "case": "/v2/models/ADDSUB/infer",
    "case-route": "/V2/models/addsub/infer",
    "parameter": "/v2/models/addsub;v=1/infer",
    "dots": "/v2/models/../models/addsub/infer",
    "colon": "/v2/models/addsub:predict",
    "infer-in-v1": "/v1/models/addsub/infer",
    "verb": "/v1/models/addsub:explain",
    "predict-encoded": "/v1/models/addsub%3Apredict",
    "predict-slash": "/v1/models/addsub:predict/",
    "predict-twice": "/v1/models/addsub:predict:predict",
    "predict-nameless": "/v1/models/:predict",
    "generate": "/v2/models/addsub/generate",
    "missing": "/v2/models/infer",
    "root": "/",
}
"""Targets of a POST; most of them name nothing."""

READS: Final = (
    "/",
    "/v2",
    "/v2/",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/addsub",
    "/v2/models/addsub/versions/1",
    "/v2/models/addsub/versions/2",
    "/v2/models/addsub/ready",
    "/v2/models/nope/ready",
    "/v2/models/addsub/config",
    "/v2/models/addsub/versions/1/infer",
    "/v2/logging",
    "/v2/systemsharedmemory/status",
    "/v1/models/addsub",
    "/v1/models/addsub/metadata",
    "/openapi.json",
    "/docs",
    "/metrics",
    "/nope",
    INFER,
    v1.FLOATS,
)
LIVELY: Final = ("/v2/models", "/v1/models", "/v2/models/stats", "/v2/models/addsub/stats")
WRITES: Final = ("/v2/systemsharedmemory/unregister", "/v2/repository/models/addsub/load", "/v2", "/v2/logging")


def _of_tables() -> Iterator[Question]:
    for name, (path, question) in ASKED.items():
        yield _asked(f"asked-{name}", path, question)
    for name, (path, body) in RAW.items():
        yield Question(f"raw-{name}", path, body, ((HEADER_LENGTH, "0"),))
    for name, headers in HEADERS.items():
        yield Question(f"header-{name}", INFER, PLAIN, headers)
        yield Question(f"header-{name}-large", FLOATS, LARGE, headers)
        yield Question(f"header-{name}-v1", v1.FLOATS, b'{"instances": [[1, 2]]}', headers)
    for name, path in PATHS.items():
        yield Question(f"path-{name}", path, PLAIN)
        yield Question(f"path-{name}-get", path, method="GET")


def _of_codings() -> Iterator[Question]:
    mixed, length = encoded(tensors.MIXED)
    accepting = ("Accept-Encoding", "gzip")
    for coding, pack in {"gzip": gzip.compress, "deflate": zlib.compress, "GZip": gzip.compress}.items():
        encoding = ("Content-Encoding", coding)
        yield Question(f"C60-{coding}", INFER, pack(PLAIN), (encoding,))
        yield Question(f"C60-{coding}-mixed", INFER, pack(mixed), (encoding, (HEADER_LENGTH, str(length))))
        yield Question(f"C60-{coding}-both-ways", FLOATS, pack(LARGE), (encoding, accepting))
        yield Question(f"C60-{coding}-v1", v1.FLOATS, pack(b'{"instances": [[1, 2]]}'), (encoding,))
    question = tensors.binary(one("FP32", [1, 5000], [0.0] * 5000))
    yield Question("C61-binary", FLOATS, json.dumps(question).encode(), (accepting,))
    yield Question("C61-refused", FLOATS, b"[" + b"0," * 5000, (accepting,))


def _of_methods() -> Iterator[Question]:
    for path in READS:
        yield Question(f"get-{path}", path, method="GET")
    for path in LIVELY:
        yield Question(f"get-{path}", path, method="GET", lively=True)
    for path in WRITES:
        yield Question(f"post-{path}", path, b"{}")
    yield Question("post-index", "/v2/repository/index", b'{"ready": true}', lively=True)
    for path in (INFER, v1.FLOATS, "/v2/health/live", "/v2/models/addsub", "/nope"):
        for method in ("HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PURGE"):
            yield Question(f"{method.lower()}-{path}", path, method=method)


QUESTIONS: Final[tuple[Question, ...]] = (
    *_of_cases(),
    *_of_texts(),
    *_of_v1(),
    *_of_tables(),
    *_of_codings(),
    *_of_methods(),
)
