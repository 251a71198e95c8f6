"""Every route and every RPC that a server has, asked without a key: nothing is told but health and, by default, metrics."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import grpc
import httpx2
import pytest
from keyring import bearer
from serving import Serving
from starlette.routing import Route

from penstock.config.settings import Settings
from penstock.grpc.health import NAME as HEALTH
from penstock.grpc.reflection import NAMES as REFLECTION
from penstock.house import House
from penstock.registry.options import RegistryOptions
from penstock.security.token import KeyedManagement
from penstock.wire import inference as pb

OPEN_PATHS: Final = {("http", "/"), *((door, path) for door in ("http", "admin") for path in ("/v2/health/live", "/v2/health/ready"))}
OPEN_PATHS_MORE: Final = {("admin", "/metrics"), ("admin", "/admin/webhooks/mlflow")}
OPEN_RPCS: Final = {"ServerLive", "ServerReady"}
VALUES: Final = {"model": "id_fp32", "version": "1", "alias": "champion", "region": "r", "repository": "r"}
UNKNOWN: Final = (
    "/",
    "/nothing",
    "/admin",
    "/admin/",
    "/v2/health/live/",
    "/v2/modelsX",
    "//v2/health/live",
    "/v2/models/id_fp32/infer/",
    "/%76%32",
)


@pytest.fixture(scope="module")
def routes(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Route]]:
    """The routes of both applications, as the house puts them together."""
    house = House(Settings(registry=RegistryOptions(uri=str(registry))), (), keeps=False)
    prediction, admin = house.applications(KeyedManagement())
    return {"http": list(prediction.routes), "admin": list(admin.routes)}  # type: ignore[arg-type]


def paths(routes: dict[str, list[Route]]) -> Iterator[tuple[str, str, str, str]]:
    """Yield each listener, method and path, and the template that it is made of."""
    for door, served in routes.items():
        for route in served:
            path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: VALUES[found[1]], route.path)
            for method in sorted(route.methods or ()):
                yield door, method, path, route.path


def client(server: Serving, door: str) -> httpx2.Client:
    """Return a client of the listener."""
    return server.client if door == "http" else server.admin


@pytest.mark.parametrize("headers", [{}, bearer("psk_of_nobody"), {"authorization": "Basic b3BzOg=="}, {"x-api-key": "psk_of_nobody"}])
def test_every_route_needs_a_key_but_health(server: Serving, routes: dict[str, list[Route]], headers: dict[str, str]) -> None:
    """401 with a reason and the scheme, whatever the spelling of the route; the health of the server is told to everybody."""
    told: dict[tuple[str, str, str], int] = {}

    for door, method, path, _ in paths(routes):
        told[door, method, path] = client(server, door).request(method, path, headers=headers, content=b"{}").status_code

    assert len(told) > 80
    opened = {(door, path) for (door, _, path), status in told.items() if status != 401}
    assert opened == OPEN_PATHS | OPEN_PATHS_MORE


def test_paths_that_are_no_routes_need_a_key_too(server: Serving) -> None:
    """Whether a path exists is told to those who have a key."""
    for door in ("http", "admin"):
        for path in UNKNOWN[1:]:
            for method in ("GET", "POST", "DELETE", "OPTIONS"):
                refusal = client(server, door).request(method, path)
                assert refusal.status_code == 401, (door, method, path)
                assert refusal.headers["www-authenticate"] == "Bearer"
                assert refusal.json()["code"] == "UNAUTHENTICATED"
            if "%" not in path:  # that one is a route in disguise
                assert client(server, door).request("GET", path, headers=bearer("all")).status_code == 404


@pytest.mark.parametrize("name", ["caller", "reader", "ops"])
def test_no_route_takes_a_key_of_another_scope(server: Serving, routes: dict[str, list[Route]], name: str) -> None:
    """403: each route belongs to one scope, and management to no other."""
    allowed = {"caller": "predict", "reader": "read", "ops": "manage"}[name]

    for door, method, path, template in paths(routes):
        if (door, path) in OPEN_PATHS | OPEN_PATHS_MORE or template.endswith(("/load", "/unload")):
            continue
        status = client(server, door).request(method, path, headers=bearer(name), content=b"{}").status_code
        assert (status != 403) == (scope_of(method, template) == allowed), (door, method, path, status)


def scope_of(method: str, template: str) -> str:
    """Return the scope of a route, said in another way than the server does."""
    if template.startswith(("/admin", "/v2/repository/models")) or (method, template) == ("POST", "/v2/logging"):
        return "manage"
    return "predict" if template.endswith(("infer", ":predict", "feedback")) else "read"


def test_key_of_one_model_opens_no_other(server: Serving, routes: dict[str, list[Route]]) -> None:
    """Nor what tells of all of them; a model that does not exist is refused in the same words as one that does."""
    for door, method, path, template in paths(routes):
        if "{model" not in template or template.endswith(("/load", "/unload")):
            continue
        for other in ("addsub", "missing"):
            refusal = client(server, door).request(method, path.replace("id_fp32", other), headers=bearer("one"), content=b"{}")
            assert refusal.status_code == 403, (door, method, path)
        assert client(server, door).request(method, path, headers=bearer("one"), content=b"{}").status_code != 403, path
    for door, method, path in (("http", "GET", "/v2/models"), ("http", "POST", "/v2/repository/index"), ("admin", "GET", "/admin/models")):
        assert client(server, door).request(method, path, headers=bearer("one")).status_code == 403
    assert server.client.get("/v2", headers=bearer("one")).status_code == 200


def rpcs() -> Iterator[tuple[str, str]]:
    """Yield every method that the server has."""
    yield from (("inference.GRPCInferenceService", name) for name in pb.SERVICE.methods_by_name)
    yield from ((name, "ServerReflectionInfo") for name in REFLECTION)
    yield from ((HEALTH, name) for name in ("Check", "List", "Watch"))
    yield from (("inference.GRPCInferenceService", "ModelRun"), ("other.Service", "Method"))


def code_of(server: Serving, service: str, method: str, metadata: dict[str, str]) -> grpc.StatusCode:
    """Return the status of a call with an empty message; the first message of a stream is as good as its end."""
    streams = method in {"ModelStreamInfer", "ServerReflectionInfo"}
    if streams or method == "Watch":
        stream = server.channel.stream_stream(f"/{service}/{method}")
        calls = stream(iter([b""]), metadata=list(metadata.items()), timeout=20)
        try:
            next(calls, None)
        except grpc.RpcError:
            pass
        else:
            calls.cancel()
            return grpc.StatusCode.OK
        return calls.code()
    answered = server.channel.unary_unary(f"/{service}/{method}").with_call
    try:
        return answered(b"", metadata=list(metadata.items()), timeout=20)[1].code()
    except grpc.RpcError as error:
        return error.code()


@pytest.mark.parametrize("metadata", [{}, bearer("psk_of_nobody"), {"authorization": "Basic b3BzOg=="}])
def test_every_rpc_needs_a_key_but_health(server: Serving, metadata: dict[str, str]) -> None:
    """UNAUTHENTICATED, for streams, reflection and methods that nobody has as well."""
    told = {(service, method): code_of(server, service, method, metadata) for service, method in rpcs()}

    opened = {method for (_, method), code in told.items() if code is not grpc.StatusCode.UNAUTHENTICATED}
    assert opened == OPEN_RPCS | {"Check", "List", "Watch"}


@pytest.mark.parametrize("name", ["caller", "reader", "ops"])
def test_no_rpc_takes_a_key_of_another_scope(server: Serving, name: str) -> None:
    """PERMISSION_DENIED, as over HTTP."""
    allowed = {"caller": "predict", "reader": "read", "ops": "manage"}[name]

    for service, method in rpcs():
        if service == HEALTH or method in OPEN_RPCS or method in {"ModelRun", "Method"}:
            continue
        scope = "manage" if method.startswith("RepositoryModel") else "predict" if method.endswith("Infer") else "read"
        code = code_of(server, service, method, bearer(name))
        assert (code is not grpc.StatusCode.PERMISSION_DENIED) == (scope == allowed), (method, code)


def test_method_that_nobody_has_is_told_to_those_with_a_key(server: Serving) -> None:
    """UNIMPLEMENTED, as on a server without keys."""
    assert code_of(server, "other.Service", "Method", bearer("caller")) is grpc.StatusCode.UNIMPLEMENTED
