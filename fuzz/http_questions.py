"""Requests over HTTP/1.1 that are well formed, or nearly."""

import gzip
import json
import zlib
from random import Random
from typing import Final

_TARGETS: Final = (
    "/v2/models/id_fp32/infer", "/v2/models/id_fp32/infer", "/v2/models/id_str/infer", "/v2/models/addsub/infer", "/v2/models/addsub/versions/3/infer",
    "/v2/models/id_vec/infer", "/v2/models/id_u64/infer", "/v2/models/id_fp16/infer", "/v2/models/nope/infer",
    "/v1/models/id_fp32:predict", "/v1/models/id_str:predict", "/v1/models/addsub/versions/1:predict", "/v2/models/addsub/versions/x/infer",
    "/v2", "/v2/health/ready", "/v2/models/addsub", "/v2/models/addsub/config", "/nope", "/v2/models/%61ddsub/infer", "/v2/models/id_fp32/feedback",
    "/v2/models/../x/infer", "/v2/systemsharedmemory/unregister", "/v2/repository/index", "/v2/models/id_fp32/infer?x=1", "http://h/v2", "*",
)  # fmt: skip
_FIELDS: Final = (
    "x-request-id: mine", "x-request-id: \x01", "penstock-deadline-ms: 20000", "penstock-deadline-ms: 0", "penstock-deadline-ms: x", "penstock-priority: critical",
    "penstock-priority: ?", "penstock-route: stable", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Accept-Encoding: gzip",
    "accept-encoding: deflate;q=0.5, gzip;q=0", "Connection: close", "Connection: keep-alive", "Expect: 100-continue", "Expect: x", "Content-Type: application/json",
    "X-Long: " + "v" * 900, "cookie: a=b", "authorization: Bearer x", "Inference-Header-Content-Length: 0", "Inference-Header-Content-Length: 9999",
    "Content-Encoding: gzip", "Content-Encoding: br", "Upgrade: h2c", "Transfer-Encoding: gzip", "content-length: 3", "x-latin: \xe9", "x-empty:",
)  # fmt: skip
WORDS: Final = (
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"POST ", b"GET ", b"HEAD ", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"Host: h\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n", b"ffffffffffff\r\n", b";x=1",
    b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"CONNECT h:1 HTTP/1.1\r\n", b"Content-Length: 99999\r\n",
    *(target.encode() for target in _TARGETS[:6]), *(f"{field}\r\n".encode("latin-1") for field in _FIELDS),
)  # fmt: skip
_FORMS: Final = ("json", "json", "json", "binary", "raw", "v1", "noise", "none", "large")


def questions(rng: Random) -> bytes:
    """Return one request, or several in a row."""
    return b"".join(question(rng) for _ in range(rng.choice((1, 1, 1, 2, 3, 8))))


def question(rng: Random) -> bytes:
    """Return one request."""
    body, fields = _body(rng, rng.choice(_FORMS))
    fields += [rng.choice(_FIELDS) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
    if rng.random() < 0.1 and body:
        body, coding = rng.choice(((gzip.compress(body, 1), "gzip"), (zlib.compress(body, 1), "deflate")))
        fields.append(f"Content-Encoding: {coding}")
    framing, sent = _framed(body, rng)
    method = rng.choice(("POST",) * 12 + ("GET", "GET", "HEAD", "PUT", "OPTIONS", "get", "PURGE"))
    version = rng.choice(("HTTP/1.1",) * 15 + ("HTTP/1.0", "HTTP/2.0"))
    lines = [
        f"{method} {rng.choice(_TARGETS)} {version}",
        *rng.choice((["Host: h"],) * 12 + ([], ["Host: h", "Host: h"])),
        *framing,
        *fields,
    ]
    if rng.random() < 0.1:
        lines[1:] = rng.sample(lines[1:], len(lines) - 1)
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n" + sent


def _framed(body: bytes, rng: Random) -> tuple[list[str], bytes]:
    match rng.randrange(10):
        case 0 | 1:
            return ["Transfer-Encoding: chunked"], _chunked(body, rng)
        case 2 if not body:
            return [], b""
        case 3 if rng.random() < 0.3:
            return [f"Content-Length: {len(body) + rng.choice((-1, 1, 100_000))}"], body
    return [f"Content-Length: {len(body)}"], body


def _chunked(body: bytes, rng: Random) -> bytes:
    pieces, at = [], 0
    while at < len(body):
        size = rng.randrange(1, max(2, len(body)))
        piece = body[at : at + size]
        pieces.append(b"%x%b\r\n%b\r\n" % (len(piece), rng.choice((b"", b"", b";a=b", b" ")), piece))
        at += size
    return b"".join(pieces) + b"0\r\n" + rng.choice((b"", b"", b"x: y\r\n")) + b"\r\n"


def _body(rng: Random, form: str) -> tuple[bytes, list[str]]:
    values = [rng.choice((0, 1, 2.5, -1)) for _ in range(rng.choice((1, 2, 4, 40)))]
    tensor = {"name": "X", "datatype": rng.choice(("FP32", "FP32", "BYTES", "UINT64", "BOOL")), "shape": [1, len(values)]}
    match form:
        case "json":
            pair = [{"name": f"INPUT{number}", "datatype": "INT32", "shape": [1, 16], "data": [1] * 16} for number in (0, 1)]
            inputs = rng.choice((pair, [{**tensor, "data": values}], [{**tensor, "shape": [len(values)], "data": values}]))
            return json.dumps(
                {"inputs": inputs} | rng.choice(({}, {}, {"id": "i"}, {"parameters": {"binary_data_output": True}}))
            ).encode(), []
        case "binary":
            raw = rng.randbytes(4 * len(values))
            text = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": len(raw)}}]}).encode()
            return text + raw, [f"Inference-Header-Content-Length: {len(text) + (rng.random() < 0.05)}"]
        case "raw":
            return rng.randbytes(4 * rng.randrange(9)), ["Inference-Header-Content-Length: 0"]
        case "v1":
            return json.dumps({rng.choice(("instances", "inputs")): [values]}).encode(), []
        case "large":
            return b"[" * rng.choice((64, 1_000, 41_000)), []
    return (rng.randbytes(rng.randrange(60)) if form == "noise" else b""), []
