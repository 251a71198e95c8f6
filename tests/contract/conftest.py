"""One server for the suite and each route, the real command, and a ledger that must balance after every module.

The suite runs twice over HTTP: over the fast path, and over the plain ASGI route; a module that says `ROUTES = ("fast",)` does
not. What is asked over gRPC runs twice too: over the native transport, which serves beside the fast path, and over grpcio.
"""

import functools
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the modules beside this one, whatever pytest's import mode

from connection import STRICT_BYTES
from serving import Serve, Serving
from transports import GrpcTransport, HttpTransport, Transport

ROUTES = ("fast", "plain")
_OVER_GRPC: Final = re.compile(r"-grpc(?!io\])")
"""A case of gRPC, rather than one of another kind whose server has grpcio."""


@pytest.hookimpl(trylast=True)  # after the marks, so that an id begins with its case
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ask every test over each of its routes; over grpcio, which is not the default, only where there is time."""
    grpcio = pytest.param("grpcio", marks=pytest.mark.slow)
    metafunc.parametrize("server", (*getattr(metafunc.module, "ROUTES", ROUTES), grpcio), indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what would ask the same again: over gRPC beside the plain route, and over HTTP beside grpcio."""
    items[:] = [item for item in items if not item.name.endswith("-plain]" if _OVER_GRPC.search(item.name) else ("-grpcio]", "[grpcio]"))]


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A function that serves a registry with further settings; what it has started is stopped at the end."""
    started: list[Serving] = []

    def begin(registry: Path, *settings: str, route: str = "fast") -> Serving:
        serving = Serving(registry, tmp_path_factory.mktemp("server"), route)
        started.append(serving)
        serving.start(*settings)
        return serving

    try:
        yield begin
        for serving in started:
            serving.assert_balanced()
            serving.stop()
    finally:
        for serving in started:
            serving.kill()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, models: ModuleType) -> Path:
    """The models of the conformance cases, and copies of addsub and boom that single tests have to themselves."""
    root = tmp_path_factory.mktemp("registry")
    models.build_registry(root)
    for name in ("untouched", "changing"):
        models.write_configured_model(root, name, models.ADDSUB, 8, "version_policy: { all {} }")
        models.save(models.parse(models.ADDSUB_SWAPPED), root / name / "3")
    models.write_configured_model(root, "aliased", models.ADDSUB, 8, "version_policy: { all {} }")
    models.save(models.parse(models.ADDSUB_SWAPPED), root / "aliased" / "3")
    (root / "aliased" / "aliases.json").write_text('{"champion": "1", "blue": "3"}')
    models.write_configured_model(root, "counted", models.ADDSUB, 8)
    models.write_configured_model(root, "counted_boom", models.BOOM, 0)
    return root


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory, models: ModuleType) -> Path:
    """The few models that tests of connections ask, so that a server of their own starts quickly."""
    root = tmp_path_factory.mktemp("few")
    models.write_versioned_addsub(root)
    models.write_slow(root)
    models.write_configured_model(root, "id_fp32", models.identity("id_fp32", "float", "batch,n"), 8)
    models.write_configured_model(root, "id_vec", models.identity("id_vec", "float", "n"), 0)
    return root


@pytest.fixture(scope="session")
def hasty(serve: Serve, few: Path) -> Serving:
    """A server whose patience with slow clients ends in fractions of a second."""
    patience = ("head_timeout_s=0.6", "body_timeout_s=0.6", "min_body_bytes_per_s=2000", "write_timeout_s=0.6", "keep_alive_s=0.25")
    return serve(few, *(f"http.{setting}" for setting in patience), 'models.slow.warmup="off"')


@pytest.fixture(scope="session")
def strict(serve: Serve, few: Path) -> Serving:
    """A server that takes bodies up to `STRICT_BYTES`, knows two names, and logs every prediction."""
    limits = (f"http.max_body_bytes={STRICT_BYTES}", 'http.allowed_hosts=["localhost", "127.0.0.1"]', 'telemetry.access_log="all"')
    return serve(few, *limits, 'models.slow.warmup="off"')


@pytest.fixture
def well(server: Serving, request: pytest.FixtureRequest) -> Iterator[None]:
    """After a case the server of the suite, and another one that was asked, live, are ready and answer."""
    yield
    server.assert_serving()
    for name in {"hasty", "strict"} & set(request.fixturenames):
        request.getfixturevalue(name).assert_serving()


@pytest.fixture(scope="session")
def servers(serve: Serve, registry: Path) -> Callable[[str], Serving]:
    """A function that returns the server of a route, the same one whenever it is asked."""
    return functools.cache(lambda route: serve(registry, 'models.slow.warmup="off"', route=route))


@pytest.fixture(scope="session")
def server(servers: Callable[[str], Serving], request: pytest.FixtureRequest) -> Serving:
    """The server of the suite, by the route that a test runs over."""
    return servers(request.param)


@pytest.fixture(scope="session")
def http(server: Serving) -> HttpTransport:
    """HTTP to the server of the suite; `http.client` for what is not a prediction."""
    return server.http


@pytest.fixture(scope="session")
def rpc(server: Serving) -> GrpcTransport:
    """GRPC to the server of the suite."""
    return server.grpc


@pytest.fixture
def transport(server: Serving, request: pytest.FixtureRequest) -> Transport:
    """The transport of a case: parametrize this indirectly with "http" or "grpc"."""
    return server.transports[request.param]


@pytest.fixture(scope="session")
def ledger(server: Serving) -> Callable[[], None]:
    """A function that asserts that the ledger balances."""
    return server.assert_balanced


@pytest.fixture(scope="module", autouse=True)
def balanced(ledger: Callable[[], None]) -> Iterator[None]:
    """Every prediction of a module has had exactly one end."""
    yield
    ledger()
