"""The image's recipe fits the repository: nothing here builds it, so what can drift is compared."""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from penstock.config.settings import ServerOptions

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker" / "Dockerfile").read_text("utf-8")


def instructions(name: str) -> list[str]:
    """Return what follows each instruction of that name, continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE))
    return re.findall(rf"^\s*{name} (.+)$", joined, re.MULTILINE)


def copied() -> list[str]:
    """Return the paths that are copied from the repository."""
    copies = [copy.split() for copy in instructions("COPY") if not copy.startswith("--from")]
    return [source for *sources, _target in copies for source in sources]


def admitted(path: str) -> bool:
    """Tell whether .dockerignore sends a path to the builder; the last rule that fits counts."""
    verdict = True
    for rule in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = rule.removeprefix("!")
        if rule and not rule.startswith("#") and (fnmatch(path, pattern) or path.startswith(f"{pattern}/")):
            verdict = rule.startswith("!")
    return verdict


@pytest.mark.parametrize("path", copied())
def test_copied_paths_exist_and_reach_the_builder(path: str) -> None:
    """A COPY of a file that was moved, or that .dockerignore holds back, would fail the build."""
    assert (ROOT / path).exists()
    assert admitted(path)


def test_nothing_else_reaches_the_builder() -> None:
    """Environments, repositories and tests stay out of the build's context."""
    assert not any(map(admitted, (".git", ".venv", "tests", "examples", "requirements/dev.txt", "src/penstock/__pycache__")))


def test_python_is_one_that_the_package_supports() -> None:
    """Both stages use one image, and it is not below the package's floor."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    floor = tuple(map(int, re.findall(r"\d+", project["requires-python"])))

    images = {image.split()[0] for image in instructions("FROM")}

    assert len(images) == 1
    found = re.fullmatch(r"python:(\d+)\.(\d+)-slim", images.pop())
    assert found is not None
    assert tuple(map(int, found.groups())) >= floor


def test_user_is_a_number_and_not_root() -> None:
    """Kubernetes' runAsNonRoot takes numbers only."""
    (user,) = instructions("USER")

    assert all(int(number) > 0 for number in user.split(":"))


def test_exposed_ports_are_the_defaults() -> None:
    """The image sets no ports, so those of the settings are the ones to publish, and to ask for readiness."""
    server = ServerOptions()

    (exposed,) = instructions("EXPOSE")
    (health,) = instructions("HEALTHCHECK")

    assert [int(port) for port in exposed.split()] == [server.http_port, server.grpc_port, server.admin_port]
    assert f"127.0.0.1:{server.http_port}/v2/health/ready" in health


def test_dependencies_come_from_the_lock_file_alone() -> None:
    """Nothing is fetched without a hash."""
    installs = [step for run in instructions("RUN") for step in run.split("&&") if re.search(r"pip (install|wheel)", step)]

    assert installs
    assert all(
        "--require-hashes" in step or ("--no-deps" in step and re.search("--no-index|--no-build-isolation", step)) for step in installs
    )
