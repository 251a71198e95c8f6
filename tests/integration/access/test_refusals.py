"""Who was turned away, counted by where and why; and who asked, in the log and in recorded rows. Never what was shown."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Final

import grpc
import orjson
import pytest
from keyring import SECRETS, Keyed, bearer
from serving import GOOD, Serving, until

from penstock.security.keys import digest_of
from penstock.wire import inference as pb

INFER: Final = "/v2/models/id_fp32/infer"
STRANGER: Final = "psk_of_a_stranger_that_must_not_be_told_anywhere"
Turned = tuple[str, str, str, str]


@pytest.fixture(scope="module", params=["fast", pytest.param("plain", marks=pytest.mark.slow), "grpcio"])
def told(request: pytest.FixtureRequest, keyed: Keyed) -> Iterator[Serving]:
    """A server that logs and records all."""
    settings = ("telemetry.access_log=all", "telemetry.log_format=json", "defaults.payloads.sample=1.0", "payloads.flush_s=0.05")
    with keyed(*settings, route=request.param) as serving:
        yield serving


def turned_away(server: Serving) -> Counter[Turned]:
    """Return how often callers were turned away, by listener, protocol, status and reason."""
    text = server.admin.get("/metrics").text
    lines = re.findall(r"^penstock_access_refused_total\{(.*)\} (\S+)$", text, re.MULTILINE)
    labels = [(dict(re.findall(r'(\w+)="(.*?)"', inner)), count) for inner, count in lines]
    return Counter({(told["listener"], told["protocol"], told["status"], told["reason"]): int(float(count)) for told, count in labels})


def ask(server: Serving, metadata: dict[str, str], model: str = "id_fp32", method: str = "ModelInfer") -> None:
    """Ask over gRPC, whatever comes of it."""
    asked = pb.ModelInferRequest(model_name=model)
    asked.inputs.add(name="X", datatype="FP32", shape=[1, 2]).contents.fp32_contents.extend([1.0, 2.0])
    data = asked.SerializeToString() if method == "ModelInfer" else b""
    with suppress(grpc.RpcError):
        server.channel.unary_unary(f"/inference.GRPCInferenceService/{method}")(data, metadata=list(metadata.items()), timeout=20)


def test_each_caller_that_is_turned_away_is_counted_once_by_where_and_why(told: Serving) -> None:
    """Predictions and everything else, on each listener."""
    before = turned_away(told)
    told.client.post(INFER, json=GOOD)
    told.client.post(INFER, json=GOOD, headers=bearer(STRANGER))
    told.client.post(INFER, json=GOOD, headers=bearer("reader"))
    told.client.post("/v2/models/addsub/infer", json=GOOD, headers=bearer("one"))
    told.client.get("/v2/models")
    told.client.get("/v2/models", headers=bearer("caller"))
    told.admin.get("/admin/models", headers=bearer(STRANGER))
    told.admin.get("/admin/models", headers=bearer("reader"))
    ask(told, {})
    ask(told, bearer(STRANGER))
    ask(told, bearer("reader"))
    ask(told, bearer("one"), model="addsub")
    ask(told, bearer("caller"), method="RepositoryIndex")
    told.client.post(INFER, json=GOOD, headers=bearer("caller"))
    ask(told, bearer("caller"))

    assert turned_away(told) - before == Counter(
        {
            ("http", "http", "UNAUTHENTICATED", "no_key"): 2,
            ("http", "http", "UNAUTHENTICATED", "unknown_key"): 1,
            ("http", "http", "PERMISSION_DENIED", "scope"): 2,
            ("http", "http", "PERMISSION_DENIED", "model"): 1,
            ("admin", "http", "UNAUTHENTICATED", "unknown_key"): 1,
            ("admin", "http", "PERMISSION_DENIED", "scope"): 1,
            ("grpc", "grpc", "UNAUTHENTICATED", "no_key"): 1,
            ("grpc", "grpc", "UNAUTHENTICATED", "unknown_key"): 1,
            ("grpc", "grpc", "PERMISSION_DENIED", "scope"): 2,
            ("grpc", "grpc", "PERMISSION_DENIED", "model"): 1,
        }
    )


def test_lines_and_rows_name_the_caller_and_hold_nothing_of_the_key(told: Serving) -> None:
    """Over both wires: the name and the id of the key."""
    for name in ("caller", "all"):
        headers = bearer(name) | {"x-request-id": f"http-{name}"}
        assert told.client.post(INFER, json=GOOD, headers=headers).status_code == 200
        ask(told, bearer(name) | {"x-request-id": f"grpc-{name}"})
    told.client.post(INFER, json=GOOD, headers=bearer(STRANGER))

    lines = logged(told, 4)
    for name in ("caller", "all"):
        for wire in ("http", "grpc"):
            line = lines[f"{wire}-{name}"]
            assert (line["caller"], line["key_id"]) == (name, digest_of(SECRETS[name])[:12])
    assert not any(secret in told.log for secret in (*SECRETS.values(), STRANGER))
    until(lambda: {"http-all", "grpc-all", "http-caller", "grpc-caller"} <= rows(told).keys())
    assert {row["request_id"]: row["caller"] for row in rows(told).values() if row["request_id"] in lines} == {
        "http-caller": "caller",
        "grpc-caller": "caller",
        "http-all": "all",
        "grpc-all": "all",
    }


def test_names_can_be_kept_out_of_lines_and_rows(keyed: Keyed) -> None:
    """For those to whom a name is a person's."""
    settings = ("telemetry.access_log=all", "telemetry.log_format=json", "telemetry.log_callers=false")
    with keyed(*settings, "defaults.payloads={sample=1.0, caller='off'}", "payloads.flush_s=0.05") as server:
        headers = bearer("caller") | {"x-request-id": "mine"}
        assert server.client.post(INFER, json=GOOD, headers=headers).status_code == 200

        line = logged(server, 1)["mine"]
        until(lambda: "mine" in rows(server))
        assert not {"caller", "key_id"} & line.keys()
        assert rows(server)["mine"]["caller"] == ""


def test_management_without_the_admin_token_is_counted_on_a_server_without_keys(registry: Path, tmp_path: Path, models: ModuleType) -> None:
    """Over both wires; rows and lines of such a server name nobody."""
    with Serving(registry, tmp_path).during("models.slow.warmup=off") as server:
        server.admin.get("/admin/models")
        ask(server, {}, method="RepositoryModelLoad")

        assert turned_away(server) == Counter(
            {
                ("admin", "http", "UNAUTHENTICATED", "admin_token"): 1,
                ("grpc", "grpc", "UNAUTHENTICATED", "admin_token"): 1,
            }
        )


def logged(server: Serving, count: int) -> dict[str, dict[str, object]]:
    """Return the lines of predictions by request id, once there are so many of those that a test has named."""

    def lines() -> dict[str, dict[str, object]]:
        found = [orjson.loads(line) for line in server.log.splitlines() if '"event":"prediction"' in line and line.endswith("}")]
        return {line["request_id"]: line for line in found if len(line["request_id"]) < 16}

    until(lambda: len(lines()) >= count, otherwise=lambda: server.log)
    return lines()


def rows(server: Serving) -> dict[str, dict[str, object]]:
    """Return what is recorded, by request id."""
    files = (server.state / "payloads").rglob("*.jsonl*")
    found = [orjson.loads(line) for path in files for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return {row["request_id"]: row for row in found}
