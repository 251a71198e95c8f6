"""Keys on a real server: what each opens over each wire, and what happens as the file changes."""

import itertools
import json
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import grpc
import jwt
import pytest
from connection import Connection, head, length
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from keyring import KEYS, SECRETS, Keyed, bearer, keys_file, put
from serving import GOOD, Serving, until

from penstock.security.keys import Key, digest_of
from penstock.wire import inference as pb

PYTHON: Final = Path(__file__).parents[3] / ".venv-clients" / "bin" / "python"
INFER: Final = "/v2/models/id_fp32/infer"
PATHS: Final = (INFER, "/v2/models/id_fp32/versions/1/infer")
V1: Final = ("/v1/models/id_fp32:predict", "/v1/models/id_fp32/versions/1:predict", "/v1/models/id_fp32/labels/1:predict")
FRESH: Final = "psk_a_fresh_key_that_nobody_knows_of_yet_0123456789"


def message(model: str = "id_fp32") -> bytes:
    """Return a good question over gRPC."""
    asked = pb.ModelInferRequest(model_name=model)
    asked.inputs.add(name="X", datatype="FP32", shape=[1, 2]).contents.fp32_contents.extend([1.0, 2.0])
    return asked.SerializeToString()


def code_of(server: Serving, data: bytes, metadata: dict[str, str], method: str = "ModelInfer") -> grpc.StatusCode:
    """Return how a call ends."""
    call = server.channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
    try:
        return call.with_call(data, metadata=list(metadata.items()), timeout=20)[1].code()
    except grpc.RpcError as error:
        return error.code()


def test_prediction_is_answered_with_a_key_alone(server: Serving) -> None:
    """Every spelling of the route, and gRPC, unary and streamed."""
    for path in PATHS:
        assert server.client.post(path, json=GOOD).status_code == 401
        assert server.client.post(path, json=GOOD, headers=bearer("caller")).status_code == 200
        assert server.client.post(path, json=GOOD, headers=bearer("reader")).status_code == 403
    for path in V1:
        assert server.client.post(path, json={"instances": [[1.0, 2.0]]}).status_code == 401
        assert server.client.post(path, json={"instances": [[1.0, 2.0]]}, headers=bearer("caller")).status_code == 200
    assert code_of(server, message(), {}) is grpc.StatusCode.UNAUTHENTICATED
    assert code_of(server, message(), bearer("caller")) is grpc.StatusCode.OK
    assert code_of(server, message(), bearer("reader")) is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("value", ["bearer {}", "BEARER   {}"])
def test_scheme_is_read_in_any_case(server: Serving, value: str) -> None:
    """RFC 9110, section 11.1."""
    headers = {"authorization": value.format(SECRETS["caller"])}

    assert server.client.post(INFER, json=GOOD, headers=headers).status_code == 200


@pytest.mark.parametrize("value", ["{}", "Bearer", "Bearer ", "Bearer {}x", "Bearer  {} {}", "Token {}", "Bearer Bearer {}"])
def test_anything_else_is_no_key(server: Serving, value: str) -> None:
    """401, and the answer repeats nothing of what was sent."""
    refusal = server.client.post(INFER, json=GOOD, headers={"authorization": value.format(SECRETS["caller"], "x").strip()})

    assert refusal.status_code == 401
    assert SECRETS["caller"] not in refusal.text


def test_key_of_one_model_learns_nothing_of_others(server: Serving) -> None:
    """A model that is there and one that is not are refused in the same way, before anything is said of the body."""
    for model in ("addsub", "missing"):
        for body in (b"{", json.dumps(GOOD).encode()):
            assert server.client.post(f"/v2/models/{model}/infer", content=body, headers=bearer("one")).status_code == 403
        for data in (message(model), message(model)[:-1] + b"\xff", pb.ModelInferRequest(model_name=model).SerializeToString()):
            told = code_of(server, data, bearer("one"))
            assert told in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT}
        assert code_of(server, message(model), bearer("one")) is grpc.StatusCode.PERMISSION_DENIED
        read = pb.ModelMetadataRequest(name=model).SerializeToString()
        assert code_of(server, read, bearer("one"), "ModelMetadata") is grpc.StatusCode.PERMISSION_DENIED
        load = pb.RepositoryModelLoadRequest(model_name=model).SerializeToString()
        assert code_of(server, load, bearer("one"), "RepositoryModelLoad") is grpc.StatusCode.PERMISSION_DENIED
    assert server.client.post(INFER, json=GOOD, headers=bearer("one")).status_code == 200
    assert code_of(server, message(), bearer("one")) is grpc.StatusCode.OK
    assert code_of(server, b"", bearer("one"), "RepositoryIndex") is grpc.StatusCode.PERMISSION_DENIED


def test_management_is_done_with_a_key_and_there_is_no_token(server: Serving) -> None:
    """A keys file replaces it."""
    assert not (server.state / "admin.token").exists()
    assert server.admin.get("/admin/models", headers=bearer("ops")).status_code == 200
    assert server.admin.post("/v2/repository/models/addsub/load", headers=bearer("ops")).status_code == 200
    assert server.admin.get("/admin/models", headers=bearer("caller")).status_code == 403


def test_connection_goes_on_after_a_refusal(server: Serving) -> None:
    """Requests with and without a key on one connection, pipelined: each is answered by its own head."""
    body = json.dumps(GOOD).encode()
    without = head(f"POST {INFER} HTTP/1.1", "Host: localhost", length(body)) + body
    having = head(f"POST {INFER} HTTP/1.1", "Host: localhost", length(body), f"Authorization: Bearer {SECRETS['caller']}") + body

    with Connection(server) as line:
        line.send((without + having) * 5)
        assert [line.reply().status for _ in range(10)] == [401, 200] * 5


@pytest.fixture(scope="module")
def kept(keyed: Keyed) -> Iterator[Serving]:
    """The server whose file of keys tests change."""
    with keyed("models.id_fp32.feedback.enabled=true") as serving:
        yield serving


@pytest.fixture
def changing(kept: Serving) -> Iterator[Serving]:
    """A server whose file of keys a test may change: the next one finds it as it was."""
    yield kept
    put(keys_file(kept), *KEYS)
    until(lambda: kept.client.post(INFER, json=GOOD, headers=bearer("caller")).status_code == 200)


def test_revoked_key_is_refused_everywhere_though_its_head_was_seen(changing: Serving) -> None:
    """Over the same connections, a stream that is open included."""
    requests: list[bytes] = [message()]
    stream = changing.channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
    told = stream(endless(requests), metadata=list(bearer("caller").items()))
    first = pb.ModelStreamInferResponse.FromString(next(told))
    assert not first.error_message
    assert changing.client.post(INFER, json=GOOD, headers=bearer("caller")).status_code == 200

    put(keys_file(changing), *KEYS[1:])

    until(lambda: changing.client.post(INFER, json=GOOD, headers=bearer("caller")).status_code == 401)
    assert code_of(changing, message(), bearer("caller")) is grpc.StatusCode.UNAUTHENTICATED
    requests.append(message())
    assert "no longer valid" in pb.ModelStreamInferResponse.FromString(next(told)).error_message
    told.cancel()


def endless(requests: list[bytes]) -> Iterator[bytes]:
    """Yield what is put into the list, for ever; the client's thread waits for it."""
    for position in itertools.count():
        until(partial(lambda count: len(requests) > count, position), within_s=60)
        yield requests[position]


def test_keys_are_rotated_without_a_refused_request(changing: Serving) -> None:
    """The second key is handed out, then the first one is revoked: whoever changes over in between sees nothing but answers."""
    key = {"secret": SECRETS["caller"]}
    rotated = Key(name="caller", sha256=digest_of(FRESH), scopes=["predict"])
    statuses: list[int] = []
    over = False

    def load() -> None:
        while not over:
            headers = {"authorization": f"Bearer {key['secret']}"}
            statuses.append(changing.client.post(INFER, json=GOOD, headers=headers).status_code)

    with ThreadPoolExecutor(2) as pool:
        loads = [pool.submit(load) for _ in range(2)]
        put(keys_file(changing), *KEYS, rotated)
        until(lambda: changing.client.post(INFER, json=GOOD, headers=bearer(FRESH)).status_code == 200)
        key["secret"] = FRESH
        count = len(statuses)
        until(lambda: len(statuses) > count + 4)
        put(keys_file(changing), *KEYS[1:], rotated)
        until(lambda: changing.client.post(INFER, json=GOOD, headers=bearer("caller")).status_code == 401)
        count = len(statuses)
        until(lambda: len(statuses) > count + 4)
        over = True
        for done in loads:
            done.result()

    assert set(statuses) == {200}


@pytest.mark.parametrize("spoil", ["text", "twice", "open", "gone"])
def test_file_that_cannot_be_used_changes_nothing(changing: Serving, spoil: str) -> None:
    """The keys that were good stay good, and the log says why the new ones are not in force."""
    before = len(changing.log)
    if spoil == "text":
        keys_file(changing).write_text("{")
    elif spoil == "twice":
        put(keys_file(changing), *KEYS[1:], KEYS[1])
    elif spoil == "open":
        put(keys_file(changing), *KEYS[1:], mode=0o644)
    else:
        keys_file(changing).unlink()

    until(lambda: "the file of keys changed and cannot be used" in changing.log[before:])
    assert changing.client.post(INFER, json=GOOD, headers=bearer("caller")).status_code == 200
    put(keys_file(changing), *KEYS[1:])
    until(lambda: changing.client.post(INFER, json=GOOD, headers=bearer("caller")).status_code == 401)


def answered_for_a_while(serving: Serving) -> Key:
    """Return a key that has been answered and expires soon: the longer the machine takes to come to that, the later."""
    for lasts_s in (2, 8, 32):
        soon = Key(name="soon", sha256=digest_of(FRESH), scopes=["predict"], expires=datetime.now(UTC) + timedelta(seconds=lasts_s))
        put(keys_file(serving), *KEYS, soon)
        while datetime.now(UTC) < soon.expires:
            if serving.client.post(INFER, json=GOOD, headers=bearer(FRESH)).status_code == 200:
                return soon
            time.sleep(0.05)
    pytest.fail("the key was never answered")


def test_key_expires_while_its_head_is_known(changing: Serving) -> None:
    """Nobody has to touch the file for that."""
    soon = answered_for_a_while(changing)

    until(lambda: changing.client.post(INFER, json=GOOD, headers=bearer(FRESH)).status_code == 401, within_s=60)
    assert datetime.now(UTC) >= soon.expires


def test_pages_and_metrics_are_opened_and_closed_by_the_settings(keyed: Keyed) -> None:
    """`/metrics` is open unless it is left out; pages are closed unless they are named, and open nothing else."""
    with keyed('security.open=["pages"]') as serving:
        assert serving.admin.get("/metrics").status_code == 401
        assert serving.admin.get("/metrics", headers=bearer("reader")).status_code == 200
        assert serving.client.get("/docs").status_code == 200
        assert serving.client.get("/openapi.json").status_code == 200
        page = "/admin/models/id_fp32/batches"
        assert serving.admin.get(page, headers={"accept": "text/html"}).status_code == 200
        assert serving.admin.get(page).status_code == 401
        assert serving.client.get("/v2/models").status_code == 401
        serving.admin.headers.update(bearer("reader"))  # the ledger is read through it at the end


def test_own_commands_find_the_key_where_the_token_would_be(changing: Serving) -> None:
    """`penstock keys create ops --scope manage > <state_dir>/admin.token`."""
    command = [changing.command[0], "keys", "create", "cli", "--scope", "manage", "--keys-file", "keys.json"]
    made = subprocess.run(command, cwd=keys_file(changing).parent, capture_output=True, text=True, check=True)
    changing.state.mkdir(exist_ok=True)
    (changing.state / "admin.token").write_text(made.stdout)

    def shown() -> subprocess.CompletedProcess[str]:
        asked = [changing.command[0], "traffic", "show", "id_fp32", "--json", "--admin", changing.addresses["admin"]]
        return subprocess.run([*asked, "--set", f"server.state_dir={changing.state}"], capture_output=True, text=True, check=False)

    until(lambda: shown().returncode == 0)
    subprocess.run(
        [*command[:2], "revoke", "cli", "--keys-file", "keys.json"], cwd=keys_file(changing).parent, check=True, capture_output=True
    )
    until(lambda: shown().returncode == 1)


def test_feedback_is_imported_with_the_key_that_is_there(changing: Serving, tmp_path: Path) -> None:
    """The same file as for the others; without it the server says what it wants."""
    (tmp_path / "truth.csv").write_text("id,reward\na,1\n")
    (tmp_path / "admin.token").write_text(SECRETS["all"])

    def imported(state: Path) -> subprocess.CompletedProcess[str]:
        asked = [changing.command[0], "payloads", "feedback", "import", tmp_path / "truth.csv", "--model", "id_fp32", "--json"]
        place = ["--http", changing.addresses["http"], "--set", f"server.state_dir={state}"]
        return subprocess.run([*asked, *place], capture_output=True, text=True, check=False)

    told, nobody = imported(tmp_path), imported(tmp_path / "nothing")

    assert (told.returncode, json.loads(told.stdout)["unknown"]) == (0, 1), told.stderr
    assert (nobody.returncode, "authorization: Bearer" in nobody.stderr) == (1, True), nobody.stderr


TRITON: Final = """
import sys
import numpy as np
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from tritonclient.utils import InferenceServerException

http, grpc, key = sys.argv[1:]
for module, address in ((over_http, http), (over_grpc, grpc)):
    client = module.InferenceServerClient(address)
    value = module.InferInput("X", [1, 2], "FP32")
    value.set_data_from_numpy(np.array([[1, 2]], np.float32))
    assert client.is_server_live() and client.is_server_ready()
    try:
        client.infer("id_fp32", [value])
    except InferenceServerException as error:
        assert "authorization: Bearer" in error.message(), error
    else:
        raise AssertionError("answered without a key")
    headers = {"authorization": f"Bearer {key}"}
    assert client.infer("id_fp32", [value], headers=headers).as_numpy("Y").tolist() == [[1, 2]]
    assert client.is_model_ready("id_fp32", headers=headers)
"""


@pytest.mark.skipif(not PYTHON.exists(), reason="there is no .venv-clients; `make test` makes it")
def test_triton_clients_bring_their_key(server: Serving) -> None:
    """Both clients, unmodified."""
    arguments = [server.addresses["http"], server.addresses["grpc"], SECRETS["all"]]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    ran = subprocess.run([PYTHON, "-c", TRITON, *arguments], capture_output=True, text=True, check=False, env=environment)

    assert ran.returncode == 0, ran.stderr


def test_tokens_of_an_issuer_open_a_server_that_has_no_keys(registry: Path, tmp_path: Path) -> None:
    """Over both wires; the settings say whose they must be."""
    private = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [json.loads(ECAlgorithm.to_jwk(private.public_key()))]}))
    claims = {"iss": "issuer", "aud": "penstock", "sub": "shop", "exp": datetime.now(UTC) + timedelta(hours=1), "scope": "predict"}
    headers = bearer(jwt.encode(claims, private, "ES256"))
    serving = Serving(registry, tmp_path)
    try:
        issued = (f"security.jwt.{key}" for key in ("jwks_file=jwks.json", "issuer=issuer", "audience=penstock"))
        serving.start('models.slow.warmup="off"', *issued)
        assert serving.client.post(INFER, json=GOOD, headers=headers).status_code == 200
        assert serving.client.get("/v2", headers=headers).status_code == 403
        assert code_of(serving, message(), headers) is grpc.StatusCode.OK
        assert serving.client.post(INFER, json=GOOD, headers=bearer(jwt.encode(claims, "x" * 32, "HS256"))).status_code == 401
        serving.stop()
    finally:
        serving.kill()
