"""One server for the suite, the real command, and a ledger that must balance after every module."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the modules beside this one, whatever pytest's import mode

from serving import Serve, Serving
from transports import GrpcTransport, HttpTransport, Transport

MODELS = Path(__file__).parents[1] / "models"


def fixture_module(name: str) -> ModuleType:
    """Return a script of tests/models as a module."""
    spec = importlib.util.spec_from_file_location(f"fixture_models_{name}", MODELS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def models() -> ModuleType:
    """The builder of the fixture models."""
    return fixture_module("build")


@pytest.fixture(scope="session")
def broken() -> ModuleType:
    """The builder of the models that must not become ready."""
    return fixture_module("broken")


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A function that serves a registry with further settings; what it has started is stopped at the end."""
    started: list[Serving] = []

    def begin(registry: Path, *settings: str) -> Serving:
        serving = Serving(registry, tmp_path_factory.mktemp("server"))
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
    models.write_configured_model(root, "counted", models.ADDSUB, 8)
    models.write_configured_model(root, "counted_boom", models.BOOM, 0)
    return root


@pytest.fixture(scope="session")
def server(serve: Serve, registry: Path) -> Serving:
    """The server of the suite."""
    return serve(registry)


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
