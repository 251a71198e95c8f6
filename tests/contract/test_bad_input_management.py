"""B30-B32, B91-B97: management without its token, and versions that must not become ready."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import grpc
import pytest
from cases import one
from grpc_health.v1 import health_pb2
from serving import Serving, until
from transports import FAMILY_OF, Answer, error_text, refusal_of

from penstock.wire import inference as pb

ROUTES: Final = ("fast",)  # management is the application's on either
INVALID: Final = "INVALID_ARGUMENT"
REFUSED: Final = "FAILED_PRECONDITION"


@pytest.fixture(autouse=True)
def well(server: Serving) -> Iterator[None]:
    """After each case the server lives, is ready and answers."""
    yield
    server.assert_serving()


@pytest.fixture
def place(server: Serving) -> Iterator[Callable[[Path, str], Path]]:
    """A function that puts a model's directory into the running server's registry under a name; it goes at the end."""
    placed: list[Path] = []

    def put(source: Path, name: str) -> Path:
        target = server.registry / name
        placed.append(target)
        shutil.copytree(source, target)
        return target

    yield put
    for target in placed:
        shutil.rmtree(target, ignore_errors=True)


def load_over_http(server: Serving, model: str, body: bytes | None = None) -> Answer:
    """Load through the admin listener."""
    path = f"/v2/repository/models/{model}/load"
    response = server.admin.post(path, content=body, headers=server.authorized)
    if response.status_code == 200:
        return Answer("OK")
    assert response.status_code == 400, response.text
    code = response.json()["code"]
    return Answer(code if code == REFUSED else FAMILY_OF[response.status_code], error_text(response))


def load_over_grpc(server: Serving, model: str) -> Answer:
    """Load through RepositoryModelLoad."""
    request = pb.RepositoryModelLoadRequest(model_name=model)
    return server.grpc.refusal("RepositoryModelLoad", request, tuple(server.authorized.items()))


def states(server: Serving, model: str) -> dict[str, str]:
    """Return the states of a model's versions, as the index tells them."""
    entries = server.client.post("/v2/repository/index").json()
    return {entry.get("version", ""): entry["state"] for entry in entries if entry["name"] == model}


def assert_refused(server: Serving, model: str, family: str) -> None:
    """Assert that the model is refused alike over both transports, is not ready and answers nothing."""
    over_http, over_grpc = load_over_http(server, model), load_over_grpc(server, model)

    assert (over_http.family, over_grpc.family) == (family, family), (over_http.text, over_grpc.text)
    assert over_http.text == over_grpc.text
    assert str(server.registry) not in over_http.text
    assert "READY" not in states(server, model).values()
    assert server.client.get(f"/v2/models/{model}/ready").status_code in {404, 503}
    for transport in server.transports.values():
        assert transport.infer(model, one("FP32", [1, 4], [1.0] * 4)).family in {"NOT_FOUND", "UNAVAILABLE"}


BROKEN: Final = {
    "empty": ("B92", INVALID),
    "truncated": ("B92", INVALID),
    "text": ("B92", INVALID),
    "zip": ("B92", INVALID),
    "pickle": ("B92", INVALID),
    "missing_data": ("B93", INVALID),
    "short_data": ("B93", INVALID),
    "absolute_data": ("B93", INVALID),
    "parent_data": ("B93", INVALID),
    "new_opset": ("B94", REFUSED),
    "unknown_domain": ("B94", REFUSED),
    "complex_input": ("B94", REFUSED),
    "sequence_input": ("B94", REFUSED),
    "missing_model": ("B92", INVALID),
}


@pytest.fixture(scope="module")
def broken_models(tmp_path_factory: pytest.TempPathFactory, broken: ModuleType) -> Path:
    """The models that must not become ready, beside the server's registry."""
    root = tmp_path_factory.mktemp("broken")
    broken.broken_versions(root)
    return root


@pytest.mark.parametrize(("kind", "family"), [pytest.param(kind, family, id=f"{case}-{kind}") for kind, (case, family) in BROKEN.items()])
def test_broken_version_is_never_served(
    server: Serving, broken_models: Path, place: Callable[[Path, str], Path], kind: str, family: str
) -> None:
    """The load fails with a reason, over both transports with the same one."""
    place(broken_models / f"broken_{kind}", f"broken_{kind}")

    assert_refused(server, f"broken_{kind}", family)


def manifest(version: Path, **changes: Any) -> None:
    """Write the manifest of a version's files, with changes to the entry of its model."""
    data = (version / "model.onnx").read_bytes()
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), **changes}
    (version / "manifest.json").write_text(json.dumps({"files": {"model.onnx": entry}}))


def wrong_digest(version: Path) -> None:
    """Declare the digest of something else."""
    manifest(version, sha256="0" * 64)


def short_digest(version: Path) -> None:
    """Declare a digest that is too short."""
    manifest(version, sha256="0" * 63)


def upper_digest(version: Path) -> None:
    """Declare the right digest in capitals."""
    manifest(version, sha256=hashlib.sha256((version / "model.onnx").read_bytes()).hexdigest().upper())


def extra_file(version: Path) -> None:
    """Add a file that the manifest does not know."""
    manifest(version)
    (version / "extra.bin").write_bytes(b"x")


def no_json(version: Path) -> None:
    """Write a manifest that cannot be read."""
    (version / "manifest.json").write_text("{")


MANIFESTS: Final = [wrong_digest, short_digest, upper_digest, extra_file, no_json]


@pytest.mark.parametrize("spoil", [pytest.param(spoil, id=f"B95-{spoil.__name__}") for spoil in MANIFESTS])
def test_version_that_differs_from_its_manifest_is_never_served(
    server: Serving, place: Callable[[Path, str], Path], spoil: Callable[[Path], None]
) -> None:
    """What was published is what is served, or nothing."""
    name = f"manifest_{spoil.__name__}"
    spoil(place(server.registry / "optional_in", name) / "1")

    assert_refused(server, name, REFUSED)


@pytest.mark.parametrize("change", [pytest.param({}, id="B95-good")])
def test_version_that_agrees_with_its_manifest_is_served(
    server: Serving, place: Callable[[Path, str], Path], change: dict[str, Any]
) -> None:
    """The same manifest without a mistake: so the cases above fail for their mistakes alone."""
    manifest(place(server.registry / "optional_in", "manifest_good") / "1", **change)

    answer = load_over_http(server, "manifest_good")

    assert answer.family == "OK", answer.text
    assert states(server, "manifest_good") == {"1": "READY"}
    server.unload("manifest_good")


@pytest.mark.parametrize("names", [pytest.param(("0", "01", "abc", ".tmp-3"), id="B96")])
def test_directories_that_are_no_versions_are_ignored_and_reported(
    server: Serving, place: Callable[[Path, str], Path], names: tuple[str, ...]
) -> None:
    """The good version beside them is served, no request finds the others, and the log tells of what looked like one."""
    model = place(server.registry / "optional_in", "odd_versions")
    for name in names:
        shutil.copytree(model / "1", model / name)

    answer = load_over_http(server, "odd_versions")

    assert answer.family == "OK", answer.text
    assert states(server, "odd_versions") == {"1": "READY"}
    for name in names:
        assert server.client.get(f"/v2/models/odd_versions/versions/{name}").status_code in {400, 404}
    for name in ("0", "01", "abc"):
        until(lambda name=name: f"odd_versions/{name}" in server.log, otherwise=lambda: server.log[-2000:])
    server.unload("odd_versions")


OVERRIDES: Final = {
    "B97-config": b'{"parameters": {"config": "{}"}}',
    "B97-file": b'{"parameters": {"config": "{}", "file:1/model.onnx": "AAAA"}}',
    "B97-long": b'{"parameters": {"file:1/' + b"x" * 300 + b'": "AAAA"}}',
    "B97-unknown": b'{"parameters": {"anything": 1}}',
}


@pytest.mark.parametrize("body", OVERRIDES.values(), ids=[f"{name}-http" for name in OVERRIDES])
def test_load_takes_no_overrides_over_http(server: Serving, body: bytes) -> None:
    """Models are loaded as the registry has them."""
    answer = load_over_http(server, "addsub", body)

    assert answer.family == INVALID


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("config", id="B97-config-grpc"),
        pytest.param("file:1/model.onnx", id="B97-file-grpc"),
        pytest.param("file:1/" + "x" * 300, id="B97-long-grpc"),
    ],
)
def test_load_takes_no_overrides_over_grpc(server: Serving, key: str) -> None:
    """The same over gRPC."""
    request = pb.RepositoryModelLoadRequest(model_name="addsub")
    request.parameters[key].string_param = "{}"

    answer = server.grpc.refusal("RepositoryModelLoad", request, tuple(server.authorized.items()))

    assert answer.family == INVALID


NAMES: Final = {"B28-dots": "..", "B28-slash": "a/b", "B28-backslash": "a\\b", "B28-long": "x" * 300, "B27": " "}


@pytest.mark.parametrize("name", NAMES.values(), ids=[f"{name}-load-grpc" for name in NAMES])
def test_name_that_cannot_be_is_not_loaded(server: Serving, name: str) -> None:
    """Nor does it lead anywhere else in the file system."""
    assert load_over_grpc(server, name).family == INVALID


MANAGEMENT: Final = {
    "load": ("POST", "/v2/repository/models/addsub/load"),
    "unload": ("POST", "/v2/repository/models/addsub/unload"),
    "logging": ("POST", "/v2/logging"),
}
WRONG: Final = {
    "none": {},
    "wrong": {"authorization": "Bearer wrong"},
    "basic": {"authorization": "Basic d3Jvbmc6d3Jvbmc="},
    "empty": {"authorization": "Bearer"},
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=[f"B32-{name}-http" for name in WRONG])
@pytest.mark.parametrize(("method", "path"), MANAGEMENT.values(), ids=MANAGEMENT)
def test_management_needs_its_token_over_http(server: Serving, method: str, path: str, headers: dict[str, str]) -> None:
    """401, and how to authenticate."""
    response = server.admin.request(method, path, headers=headers, json={"log_verbose_level": 1} if "log" in path else None)

    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert error_text(response)


def log_change() -> pb.LogSettingsRequest:
    """Return a change of log settings."""
    request = pb.LogSettingsRequest()
    request.settings["log_verbose_level"].uint32_param = 1
    return request


CALLS: Final = {
    "RepositoryModelLoad": pb.RepositoryModelLoadRequest(model_name="addsub"),
    "RepositoryModelUnload": pb.RepositoryModelUnloadRequest(model_name="addsub"),
    "LogSettings": log_change(),
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=[f"B31-{name}-grpc" for name in WRONG])
@pytest.mark.parametrize(("name", "message"), CALLS.items(), ids=CALLS)
def test_management_needs_its_token_over_grpc(server: Serving, name: str, message: Any, headers: dict[str, str]) -> None:
    """UNAUTHENTICATED, on the port that serves predictions too."""
    assert server.grpc.refusal(name, message, tuple(headers.items())).family == "UNAUTHENTICATED"


@pytest.mark.parametrize("path", [pytest.param("/metrics", id="B31-open-metrics"), pytest.param("/v2/logging", id="B31-open-logging")])
def test_reading_needs_no_token(server: Serving, path: str) -> None:
    """Metrics and the log's settings."""
    assert server.admin.get(path).status_code == 200


@pytest.mark.parametrize("service", [pytest.param("nope", id="B91-grpc")])
def test_health_of_an_unknown_service_is_not_found(server: Serving, service: str) -> None:
    """The standard health service."""
    check = server.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )

    with pytest.raises(grpc.RpcError) as raised:
        check(health_pb2.HealthCheckRequest(service=service), timeout=20)

    assert refusal_of(raised.value).family == "NOT_FOUND"


@pytest.mark.parametrize("service", [pytest.param("nope.Service", id="B22-grpc")])
def test_unknown_service_is_unimplemented(server: Serving, service: str) -> None:
    """A path that no service has."""
    with pytest.raises(grpc.RpcError) as raised:
        server.channel.unary_unary(f"/{service}/Method")(b"", timeout=20)

    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("model", [pytest.param("loading", id="B30")])
def test_model_that_is_loading_is_unavailable(
    server: Serving, place: Callable[[Path, str], Path], models: ModuleType, tmp_path: Path, model: str
) -> None:
    """Known and not ready: come back, and when. Its runs of 300 ms make the warm-up long enough to be seen."""
    models.write_slow(tmp_path)
    config = tmp_path / "slow" / "config.pbtxt"
    config.write_text(config.read_text().replace('"slow"', f'"{model}"'))
    place(tmp_path / "slow", model)
    question = one("FP32", [1, 1], [1.0])

    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(server.load, model)
        over_http = until(lambda: _unless_missing(server.http.infer(model, question)))
        over_grpc = server.grpc.infer(model, question)
        assert loading.result().status_code == 200

    assert (over_http.family, over_grpc.family) == ("UNAVAILABLE", "UNAVAILABLE")
    assert int(over_http.headers["retry-after"]) >= 1
    assert server.http.infer(model, question).family == "OK"
    server.unload(model)


def _unless_missing(answer: Answer) -> Answer | None:
    return None if answer.family == "NOT_FOUND" else answer
