"""Quotas on a real server: over both wires, by key and by tenant, and nothing is left of them once predictions have ended."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
import pytest
from connection import Connection, head, length
from keyring import Keyed, bearer
from serving import GOOD, Serving, until

from penstock.security.keys import Key, digest_of
from penstock.wire import inference as pb

INFER: Final = "/v2/models/id_fp32/infer"
SLOW: Final = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 1], "data": [2.0]}]}


def key(secret: str, name: str, **limits: Any) -> Key:
    """Return a key that predicts."""
    return Key(name=name, sha256=digest_of(secret), scopes=["predict"], **limits)


KEYS: Final = (
    key("paced", "paced", rate=0.001, burst=3),
    key("few", "few", max_in_flight=1),
    key("few-too", "few", max_in_flight=1),
    key("free", "free"),
)


@pytest.fixture(scope="module")
def quotas(keyed: Keyed) -> Iterator[Serving]:
    """A server with the keys above."""
    with keyed("defaults.batching=off", keys=KEYS) as serving:
        yield serving


def over_grpc(server: Serving, secret: str) -> grpc.RpcError | None:
    """Ask a good question; return how it was refused."""
    asked = pb.ModelInferRequest(model_name="id_fp32")
    asked.inputs.add(name="X", datatype="FP32", shape=[1, 2]).contents.fp32_contents.extend([1.0, 2.0])
    call = server.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    try:
        call(asked.SerializeToString(), metadata=list(bearer(secret).items()), timeout=20)
    except grpc.RpcError as error:
        return error
    return None


def test_rate_is_one_over_both_wires(quotas: Serving) -> None:
    """429 with a code of its own and the time to come back; RESOURCE_EXHAUSTED with the same."""
    assert quotas.client.post(INFER, json=GOOD, headers=bearer("paced")).status_code == 200
    assert over_grpc(quotas, "paced") is None
    assert quotas.client.post(INFER, json=GOOD, headers=bearer("paced")).status_code == 200

    refusal = quotas.client.post(INFER, json=GOOD, headers=bearer("paced"))
    refused = over_grpc(quotas, "paced")

    assert (refusal.status_code, refusal.json()["code"]) == (429, "QUOTA_EXCEEDED")
    assert 900 <= int(refusal.headers["retry-after"]) <= 1000
    assert refused is not None
    assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.details() == refusal.json()["error"]
    assert 900_000 <= int(dict(refused.trailing_metadata())["grpc-retry-pushback-ms"]) <= 1_000_000
    assert quotas.client.post(INFER, json=GOOD, headers=bearer("free")).status_code == 200
    assert 'penstock_rejected_total{model="id_fp32",reason="quota"} 2.0' in quotas.admin.get("/metrics").text


def test_keys_of_one_name_share_what_may_be_under_way(quotas: Serving) -> None:
    """Whoever leaves, or is answered, makes room again."""
    body = json.dumps(SLOW).encode()
    asked = head("POST /v2/models/slow/infer HTTP/1.1", "Host: localhost", length(body), "Authorization: Bearer few") + body

    with Connection(quotas) as line:
        line.send(asked)
        until(lambda: quotas.in_flight("slow") == 1)
        assert quotas.client.post(INFER, json=GOOD, headers=bearer("few-too")).json()["code"] == "QUOTA_EXCEEDED"
        assert quotas.client.post(INFER, json=GOOD, headers=bearer("free")).status_code == 200
        line.break_off()
    until(lambda: quotas.in_flight("slow") == 0)
    assert quotas.client.post(INFER, json=GOOD, headers=bearer("few-too")).status_code == 200


def test_refusals_of_all_kinds_leave_nothing_under_way(quotas: Serving) -> None:
    """Unknown models and malformed bodies count while they are received, and no longer."""
    for _ in range(3):
        assert quotas.client.post("/v2/models/missing/infer", json=GOOD, headers=bearer("few")).status_code == 404
        assert quotas.client.post(INFER, content=b"{", headers=bearer("few")).status_code == 400
    with ThreadPoolExecutor(4) as pool:
        statuses = set(pool.map(lambda _: quotas.client.post(INFER, json=GOOD, headers=bearer("few")).status_code, range(40)))
    assert statuses <= {200, 429}

    assert quotas.client.post(INFER, json=GOOD, headers=bearer("few")).status_code == 200
