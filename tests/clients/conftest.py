"""Real servers, and scripts that run in the clients' own environment.

The clients' pins differ from ours (protobuf 6 for one), so they live in `.venv-clients`, which `make` sets up:
`requirements/clients.txt` and, for perf_analyzer, `requirements/perf.txt`. What is missing is skipped, with the reason.
"""

import ast
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SCRIPTS: Final = Path(__file__).parent / "scripts"
PYTHON: Final = ROOT / ".venv-clients" / "bin" / "python"
GRPCIO: Final = 'grpc.transport="grpcio"'
UNWARMED: Final = 'models.slow.warmup="off"'
"""Some seconds less at each start."""
PERF: Final = ROOT / ".venv-clients" / "perf"
SCRIPT_LIMIT_S: Final = 120

Verdicts = dict[str, str | None]
"""For each check of a script, None or the traceback of its failure."""


def checks_of(script: str) -> list[str]:
    """Return the names of the checks that a script makes, without running it."""
    tree = ast.parse((SCRIPTS / f"{script}.py").read_text())
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [node.name for node in functions if node.name.startswith("check_")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each check of each script that `@pytest.mark.scripts` names, in each of its variants."""
    marker = metafunc.definition.get_closest_marker("scripts")
    if marker is not None:
        runs = [(script, variant, check) for script, variant in marker.args for check in checks_of(script)]
        ids = [f"{variant or script}-{check.removeprefix('check_')}" for script, variant, check in runs]
        # grpcio is not the default: tests of its listener run always, clients where there is time.
        seldom = [variant.endswith("@grpcio") for _, variant, _ in runs]
        cases = [pytest.param(*run, marks=pytest.mark.slow if slow else ()) for run, slow in zip(runs, seldom, strict=True)]
        metafunc.parametrize(("script", "variant", "check"), cases, ids=ids)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of this directory."""
    config.addinivalue_line("markers", "scripts(*runs): the client scripts, each with a variant, that a test stands for")


@pytest.fixture(scope="session")
def examples(server_process: ModuleType) -> Iterator[Any]:
    """Return a server of the example models."""
    with (
        server_process.own_directory() as directory,
        server_process.running(ROOT / "examples" / "registry", directory) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def grpcio_examples(server_process: ModuleType) -> Iterator[Any]:
    """Return the same with grpcio as the transport of gRPC."""
    with (
        server_process.own_directory() as directory,
        server_process.running(ROOT / "examples" / "registry", directory, GRPCIO) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def grpcio_conformance(server_process: ModuleType, models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a server of the conformance cases' models with grpcio as the transport of gRPC."""
    registry = tmp_path_factory.mktemp("grpcio_conformance")
    models.build_registry(registry)
    with server_process.own_directory() as directory, server_process.running(registry, directory, GRPCIO, UNWARMED) as server:
        yield server


@pytest.fixture(scope="session")
def conformance(server_process: ModuleType, models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a server of the models that the conformance cases name."""
    registry = tmp_path_factory.mktemp("conformance")
    models.build_registry(registry)
    with server_process.own_directory() as directory, server_process.running(registry, directory, UNWARMED) as server:
        yield server


@pytest.fixture(scope="session")
def python() -> Path:
    """Return the interpreter that has the clients."""
    if not PYTHON.exists():
        pytest.skip("the clients are not installed: `make test` puts requirements/clients.txt into .venv-clients")
    return PYTHON


@pytest.fixture(scope="session")
def verdicts(python: Path, request: pytest.FixtureRequest) -> Callable[[str, str], Verdicts]:
    """Return a function that runs a script, once for each variant, and tells how its checks went.

    A variant that ends in `@grpcio` asks the servers of that transport.
    """
    done: dict[tuple[str, str], Verdicts] = {}

    def run(script: str, variant: str) -> Verdicts:
        if (script, variant) not in done:
            plain, _, transport = variant.partition("@")
            servers = {name: request.getfixturevalue(f"{transport}_{name}".lstrip("_")) for name in ("examples", "conformance")}
            told = {
                "variant": plain,
                **{name: server.addresses for name, server in servers.items()},
                "registry": str(ROOT / "examples" / "registry"),
                "source": str(ROOT / "src"),
            }
            ended = subprocess.run(
                [python, SCRIPTS / f"{script}.py", json.dumps(told)],
                capture_output=True,
                text=True,
                timeout=SCRIPT_LIMIT_S,
                check=False,
            )
            assert ended.returncode == 0, f"{script} ended with {ended.returncode}:\n{ended.stdout}\n{ended.stderr}"
            done[script, variant] = json.loads(ended.stdout.splitlines()[-1])
        return done[script, variant]

    return run


@pytest.fixture(scope="session")
def perf_analyzer() -> tuple[Path, dict[str, str]]:
    """Return the program and the environment that it needs."""
    program, libraries = PERF / "bin" / "perf_analyzer", PERF / "nvidia" / "cuda_runtime" / "lib"
    if not program.exists():
        pytest.skip("perf_analyzer is not installed: `make test` puts requirements/perf.txt into .venv-clients/perf")
    environment = {"LD_LIBRARY_PATH": str(libraries), "LC_ALL": "C"}
    tried = subprocess.run([program, "--version"], capture_output=True, text=True, env=environment, check=False)
    if "Perf Analyzer Version" not in tried.stdout + tried.stderr:
        pytest.skip(f"perf_analyzer does not start here (it needs Debian's libb64-0d): {tried.stderr.strip()[:300]}")
    return program, environment
