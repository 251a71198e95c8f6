"""B20-B49, B78, B84, B85: bad methods, paths, encodings and JSON texts, which only HTTP can carry."""

import gzip
import http.client
import json
import socket
import zlib
from collections.abc import Iterator
from typing import Final

import pytest
from cases import addsub, one
from serving import Serve, Serving
from transports import HEADER_LENGTH, encoded, error_text, message_of

INFER: Final = "/v2/models/addsub/infer"
VECTOR: Final = "/v2/models/id_vec/infer"
PLAIN: Final = json.dumps(addsub()).encode()
GZIPPED: Final = gzip.compress(PLAIN)
MIXED, MIXED_JSON = encoded(one("FP32", [2], bytes(8)))
LIMIT: Final = 65_536


@pytest.fixture(autouse=True)
def well(server: Serving) -> Iterator[None]:
    """After each case the server lives, is ready and answers."""
    yield
    server.assert_serving()


def sent(serving: Serving, data: bytes) -> socket.socket:
    """Return a connection on which the bytes have been sent."""
    host, _, port = serving.addresses["http"].rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=10)
    connection.sendall(data)
    return connection


def request(path: str, body: bytes, *headers: str) -> bytes:
    """Return a POST as it stands on the wire."""
    head = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


def response_of(connection: socket.socket, method: str = "POST") -> http.client.HTTPResponse:
    """Return the next response of a connection; read its body before the next one."""
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return response


@pytest.mark.parametrize("method", [pytest.param(m, id=f"B20-{m}-http") for m in ("TRACE", "BREW", "CONNECT")])
def test_other_methods_are_not_allowed(server: Serving, method: str) -> None:
    """CONNECT names an authority; the others a path that exists."""
    target = "localhost:80" if method == "CONNECT" else INFER

    with sent(server, f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode()) as line:
        response = response_of(line)

    assert response.status in ({405} if method == "TRACE" else {400, 405})


@pytest.mark.parametrize("count", [pytest.param(100, id="B21-http")])
def test_pipelined_requests_are_answered_in_order(server: Serving, count: int) -> None:
    """All of them, or the first ones and then the end of the connection."""
    bodies = [json.dumps({**addsub(), "id": f"p{number}"}).encode() for number in range(count)]
    with sent(server, b"".join(request(INFER, body) for body in bodies)) as line, line.makefile("rb") as stream:
        told = []
        while len(told) < count and (status := stream.readline()):
            headers = http.client.parse_headers(stream)
            told.append((status.split()[1], json.loads(stream.read(int(headers["content-length"])))["id"]))

    assert told
    assert told == [(b"200", f"p{number}") for number in range(len(told))]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/v2/models/addsub/infer/deeper", 404, id="B22-http"),
        pytest.param("GET", "/V2/health/live", 404, id="B22-case-http"),
        pytest.param("GET", "/index.html", 404, id="B22-page-http"),
        pytest.param("POST", "/v2/repository/models/addsub/load", 404, id="B31-load-http"),
        pytest.param("POST", "/v2/repository/models/addsub/unload", 404, id="B31-unload-http"),
        pytest.param("GET", "/admin/models", 404, id="B31-admin-http"),
        pytest.param("GET", "/metrics", 404, id="B31-metrics-http"),
    ],
)
def test_what_is_not_there_is_not_found(server: Serving, method: str, path: str, status: int) -> None:
    """Management and metrics are not on the listener of predictions, with the token as little as without."""
    response = server.client.request(method, path, headers=server.authorized)

    assert response.status_code == status
    assert error_text(response)


@pytest.mark.parametrize("path", [pytest.param("/v2/logging", id="B31-logging-http")])
def test_log_settings_are_only_read_on_the_listener_of_predictions(server: Serving, path: str) -> None:
    """Changing them belongs to the admin listener."""
    response = server.client.post(path, json={"log_verbose_level": 1}, headers=server.authorized)

    assert response.status_code in {404, 405}
    assert error_text(response)


@pytest.mark.parametrize("path", [pytest.param(INFER, id="B23-http")])
def test_get_on_infer_names_the_method(server: Serving, path: str) -> None:
    """405 with Allow."""
    response = server.client.get(path)

    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert error_text(response)


TYPES: Final = {
    "B33-multipart": {"content-type": "multipart/form-data; boundary=x"},
    "B33-xml": {"content-type": "application/xml"},
    "B33-form": {"content-type": "application/x-www-form-urlencoded"},
    "B33-none": {},
    "B34-charset": {"content-type": "application/json; charset=iso-8859-1"},
}


@pytest.mark.parametrize("headers", TYPES.values(), ids=[f"{name}-http" for name in TYPES])
def test_content_type_is_never_checked(server: Serving, headers: dict[str, str]) -> None:
    """The body decides; the C++ client and curl send form data by name."""
    response = server.client.post(INFER, content=PLAIN, headers=headers)

    assert response.status_code == 200


CODINGS: Final = {
    "B35-br": ("br", PLAIN, 415),
    "B35-zstd": ("zstd", PLAIN, 415),
    "B35-unknown": ("rot13", PLAIN, 415),
    "B35-list": ("gzip, gzip", GZIPPED, 415),
    "B36": ("gzip", PLAIN, 400),
    "B37": ("gzip", GZIPPED[:-10], 400),
    "B37-trailing": ("gzip", GZIPPED + b"x", 400),
    "B37-deflate": ("deflate", zlib.compress(PLAIN)[:-6], 400),
    "B36-good": ("deflate", zlib.compress(PLAIN), 200),
}


@pytest.mark.parametrize(("coding", "body", "status"), CODINGS.values(), ids=[f"{name}-http" for name in CODINGS])
def test_content_encoding_must_be_known_and_true(server: Serving, coding: str, body: bytes, status: int) -> None:
    """Unknown is 415 and says what is known; a lie is 400."""
    response = server.client.post(INFER, content=body, headers={"content-encoding": coding})

    assert response.status_code == status
    if status != 200:
        assert error_text(response)
    assert response.headers.get("accept-encoding") == ("gzip, deflate" if status == 415 else None)


def nested(depth: int) -> bytes:
    """Return a document with that many lists around nothing, in a field that is ignored."""
    return PLAIN[:-1] + b', "ignored": ' + b"[" * depth + b"]" * depth + b"}"


def values(text: str, datatype: str = "FP32") -> bytes:
    """Return a document with one value, written as it is."""
    shape = "[1]" if datatype == "FP32" else "[1, 1]"
    return f'{{"inputs": [{{"name": "X", "datatype": "{datatype}", "shape": {shape}, "data": [{text}]}}]}}'.encode()


TEXTS: Final = {
    "B38": (INFER, b""),
    "B38-blanks": (INFER, b" \r\n\t "),
    "B44-truncated": (INFER, PLAIN[:-20]),
    "B44-comma": (INFER, PLAIN[:-1] + b",}"),
    "B44-two": (INFER, PLAIN + PLAIN),
    "B44-comment": (INFER, b"/* a */" + PLAIN),
    "B44-quotes": (INFER, PLAIN.replace(b'"', b"'")),
    "B45-mark": (INFER, b"\xef\xbb\xbf" + PLAIN),
    "B45-utf8": (INFER, PLAIN.replace(b"INPUT0", b"INPUT\xff")),
    "B45-utf16": (INFER, PLAIN.decode().encode("utf-16")),
    "B45-surrogate": ("/v2/models/id_str/infer", values(r'"\ud800"', "BYTES")),
    "B46-integer": ("/v2/models/id_i32/infer", values("NaN", "INT32")),
    "B46-infinite-integer": ("/v2/models/id_i32/infer", values("Infinity", "INT32")),
    "B46-boolean": ("/v2/models/id_bool/infer", values("NaN", "BOOL")),
    "B46-shape": (VECTOR, b'{"inputs": [{"name": "X", "datatype": "FP32", "shape": [NaN], "data": [1]}]}'),
    "B46-parameter": (INFER, PLAIN[:-1] + b', "parameters": {"a": NaN}}'),
    "B46-ignored": (INFER, PLAIN[:-1] + b', "ignored": NaN}'),
    "B46-word": (VECTOR, values("nan")),
    "B47-list": (INFER, b"[" + PLAIN + b"]"),
    "B47-string": (INFER, b'"inputs"'),
    "B47-number": (INFER, b"7"),
    "B47-null": (INFER, b"null"),
    "B47-true": (INFER, b"true"),
    "B48-65": (INFER, nested(65)),
    "B48-1000": (INFER, nested(1_000)),
    "B48-250000": (INFER, nested(250_000)),
    "B48-open": (INFER, b"[" * 250_000),
    "B77": (VECTOR, values("1e39")),
    "B77-negative": (VECTOR, values("-3.5e38")),
    "B77-beside-nan": (VECTOR, b'{"inputs": [{"name": "X", "datatype": "FP32", "shape": [2], "data": [NaN, 1e39]}]}'),
    "B78": ("/v2/models/id_fp64/infer", values("1e400", "FP64")),
    "B78-beside-nan": ("/v2/models/id_fp64/infer", values("NaN, 1e400", "FP64").replace(b"[1, 1]", b"[1, 2]")),
    "B78-integer": ("/v2/models/id_fp64/infer", values("1" + "0" * 400, "FP64")),
}


@pytest.mark.parametrize(("path", "body"), TEXTS.values(), ids=[f"{name}-http" for name in TEXTS])
def test_text_that_is_no_request_is_refused(server: Serving, path: str, body: bytes) -> None:
    """400 with a reason."""
    response = server.client.post(path, content=body)

    assert response.status_code == 400, response.text
    assert error_text(response)


SPECIAL: Final = {
    "B46-fp32": ("id_fp32", "FP32"),
    "B46-fp64": ("id_fp64", "FP64"),
}


@pytest.mark.parametrize(("model", "datatype"), SPECIAL.values(), ids=[f"{name}-http" for name in SPECIAL])
def test_bare_tokens_are_values_of_floats(server: Serving, model: str, datatype: str) -> None:
    """NaN and the infinities go in and come out as Triton writes them, never as null."""
    body = values("NaN, Infinity, -Infinity, 0.1", datatype).replace(b'"shape": [1]', b'"shape": [1, 1]')

    response = server.client.post(f"/v2/models/{model}/infer", content=body.replace(b"[1, 1]", b"[1, 4]"))

    assert response.status_code == 200, response.text
    assert response.text.replace(" ", "").endswith('"data":[NaN,Infinity,-Infinity,0.1]}]}')


@pytest.mark.parametrize("depth", [pytest.param(63, id="B48-allowed-http")])
def test_nesting_up_to_the_limit_is_read(server: Serving, depth: int) -> None:
    """64 levels with the document itself."""
    assert server.client.post(INFER, content=nested(depth)).status_code == 200


@pytest.mark.parametrize("body", [pytest.param(b'{"id": "a", "id": "b", ' + PLAIN[1:], id="B49-http")])
def test_same_key_twice_is_refused_or_the_last_counts(server: Serving, body: bytes) -> None:
    """Never the first one."""
    response = server.client.post(INFER, content=body)

    assert response.status_code == 400 or response.json()["id"] == "b"


LENGTHS: Final = {
    "B85-negative": "-1",
    "B85-above": str(len(MIXED) + 1),
    "B85-digits": "12345678901",
    "B85-vast": "9" * 40,
    "B85-sign": "+5",
    "B85-hexadecimal": "0x10",
    "B85-fraction": "1.0",
    "B85-empty": "",
    "B85-json": str(MIXED_JSON - 1),
    "B85-within": str(MIXED_JSON + 1),
}


@pytest.mark.parametrize("length", LENGTHS.values(), ids=[f"{name}-http" for name in LENGTHS])
def test_length_of_the_json_must_be_true(server: Serving, length: str) -> None:
    """Eleven digits once crashed Triton (its issue 8925)."""
    response = server.client.post(VECTOR, content=MIXED, headers={HEADER_LENGTH: length})

    assert response.status_code == 400, response.text
    assert error_text(response)


def sized(parameters: dict[str, object], **more: object) -> tuple[bytes, str]:
    """Return a body of one input with these parameters and eight bytes behind the JSON, and the JSON's length."""
    entry = {"name": "X", "datatype": "FP32", "shape": [2], "parameters": parameters, **more}
    text = json.dumps({"inputs": [entry]}).encode()
    return text + bytes(8), str(len(text))


SIZES: Final = {
    "B84-both": sized({"binary_data_size": 8}, data=[1.0, 2.0]),
    "B84-neither": sized({}),
    "B84-small": sized({"binary_data_size": 4}),
    "B84-large": sized({"binary_data_size": 16}),
    "B84-negative": sized({"binary_data_size": -8}),
    "B84-text": sized({"binary_data_size": "8"}),
    "B84-float": sized({"binary_data_size": 8.0}),
    "B84-boolean": sized({"binary_data_size": True}),
    "B84-null": sized({"binary_data_size": None}),
    "B84-vast": sized({"binary_data_size": 2**63}),
}


@pytest.mark.parametrize(("body", "length"), SIZES.values(), ids=[f"{name}-http" for name in SIZES])
def test_sizes_of_binary_inputs_must_add_up(server: Serving, body: bytes, length: str) -> None:
    """One source of data for each input, exactly as long as its shape says, and no bytes left over."""
    response = server.client.post(VECTOR, content=body, headers={HEADER_LENGTH: length})

    assert response.status_code == 400, response.text
    assert error_text(response)


HEADERS: Final = {
    "B88-quotes": b"a\"%s{}'b",
    "B88-escape": b"a\x1b[31mb",
    "B88-long": b"i" * 129,
    "B88-latin": b"caf\xe9",
}


@pytest.mark.parametrize("value", HEADERS.values(), ids=[f"{name}-http" for name in HEADERS])
def test_request_id_is_repeated_as_it_is_or_refused(server: Serving, value: bytes) -> None:
    """No header of a caller breaks an answer's head."""
    with sent(server, request(INFER, PLAIN, "X-Request-Id: " + value.decode("latin-1")).replace("é".encode(), b"\xe9")) as line:
        response = response_of(line)
        body = response.read()

    assert response.status in {200, 400}
    if response.status == 200:
        assert response.headers["x-request-id"].encode("latin-1") == value
    else:
        assert value not in body


def test_refused_request_id_is_replaced_by_one_of_ours(server: Serving) -> None:
    """An answer always carries an id by which it can be found in the log, even when the caller's own is refused."""
    response = server.client.post(INFER, content=PLAIN, headers={"x-request-id": "i" * 129})

    assert response.status_code == 400
    assert len(response.headers["x-request-id"]) == 32


@pytest.fixture(scope="module")
def limited(server: Serving, serve: Serve) -> Serving:
    """A server of the same registry that takes no more than 64 KiB."""
    limits = (f"http.max_body_bytes={LIMIT}", f"grpc.max_message_bytes={LIMIT}")
    return serve(server.registry, *limits, 'models.slow.warmup="off"', route=server.route)


@pytest.fixture(autouse=True)
def limited_well(request: pytest.FixtureRequest) -> Iterator[None]:
    """The same of the other server, where a test has asked for it."""
    yield
    if "limited" in request.fixturenames:
        request.getfixturevalue("limited").assert_serving()


@pytest.mark.parametrize("blanks", [pytest.param(LIMIT, id="B39-http")])
def test_body_of_blanks_is_refused(limited: Serving, blanks: int) -> None:
    """At the limit of size."""
    response = limited.client.post(INFER, content=b" " * blanks)

    assert response.status_code == 400
    assert error_text(response)


TOO_LARGE: Final = {
    "B40": (gzip.compress(PLAIN + b" " * LIMIT), {"content-encoding": "gzip"}),
    "B40-bomb": (gzip.compress(bytes(50 << 20)), {"content-encoding": "gzip"}),
    "B41": (PLAIN + b" " * LIMIT, {}),
    "B43-above": (PLAIN + b" " * (LIMIT + 1 - len(PLAIN)), {}),
}


@pytest.mark.parametrize(("body", "headers"), TOO_LARGE.values(), ids=[f"{name}-http" for name in TOO_LARGE])
def test_body_above_the_limit_is_refused(limited: Serving, body: bytes, headers: dict[str, str]) -> None:
    """As sent and after decompression."""
    response = limited.client.post(INFER, content=body, headers=headers)

    assert response.status_code == 413
    assert error_text(response)


@pytest.mark.parametrize("length", [pytest.param(10 * LIMIT, id="B41-undelivered-http")])
def test_declared_length_above_the_limit_is_refused_before_the_body(limited: Serving, length: int) -> None:
    """The answer does not wait for a single byte."""
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"

    with sent(limited, head.encode()) as line:
        response = response_of(line)

    assert response.status == 413


@pytest.mark.parametrize("path", [pytest.param(INFER, id="B42-http")])
def test_undeclared_length_is_refused_at_the_crossing(limited: Serving, path: str) -> None:
    """A chunked body that never ends is answered, and the connection closed."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"

    with sent(limited, head + chunk * (LIMIT // 0x1000 + 1)) as line:
        response = response_of(line)
        response.read()
        closed = response.headers.get("connection", "").lower() == "close" or line.recv(1) == b""

    assert response.status == 413
    assert closed


@pytest.mark.parametrize("padding", [pytest.param(LIMIT - len(PLAIN), id="B43-http")])
def test_body_at_the_limit_is_read(limited: Serving, padding: int) -> None:
    """Exactly as many bytes as are allowed."""
    assert limited.client.post(INFER, content=PLAIN + b" " * padding).status_code == 200


@pytest.mark.parametrize(
    ("more", "family"),
    [
        pytest.param(0, "OK", id="B43-grpc"),
        pytest.param(1, "RESOURCE_EXHAUSTED", id="B43-above-grpc"),
        pytest.param(LIMIT, "RESOURCE_EXHAUSTED", id="B41-grpc"),
    ],
)
def test_message_above_the_limit_is_refused(limited: Serving, more: int, family: str) -> None:
    """The same limit over gRPC: a message of exactly so many bytes, and more."""
    message = message_of("addsub", addsub())
    message.parameters["padding"].string_param = ""
    base = len(message.SerializeToString())
    message.parameters["padding"].string_param = "x" * (LIMIT - base - 8)
    while len(message.SerializeToString()) < LIMIT + more:
        message.parameters["padding"].string_param += "x" * (LIMIT + more - len(message.SerializeToString()))
    assert len(message.SerializeToString()) == LIMIT + more

    assert limited.grpc.ask(message).family == family
