"""`penstock models publish`: what is tried, what is told, and what is refused."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import Result

from penstock.cli.models_publish import _bar
from penstock.domain.errors import LoadRefused
from penstock.lifecycle import trial
from penstock.lifecycle.options import ModelOptions
from penstock.registry.directory import DirectorySource
from penstock.registry.source import ModelListing, RegistryUnreachable

Publish = Callable[..., Result]


@pytest.fixture
def build(tmp_path: Path, models: ModuleType) -> Path:
    """Return a directory with a model that can be published."""
    models.write_with_weights_file(tmp_path / "build")
    return tmp_path / "build"


@pytest.fixture
def publish(penstock: Callable[..., Result], tmp_path: Path) -> Publish:
    """Return what publishes into the registry."""
    (tmp_path / "registry").mkdir()
    return lambda *arguments: penstock("models", "publish", *map(str, arguments), "--registry", "registry")


def versions() -> list[str]:
    """Return the names of the versions of `fraud`."""
    return sorted(path.name for path in Path("registry").glob("fraud/[0-9]*"))


def test_version_is_published_once_and_again_if_asked(build: Path, publish: Publish) -> None:
    """The very same files are one version, to which the alias moves."""
    (build / "model.toml").write_text("lanes = 1")
    first = publish(build, "--name", "fraud", "--alias", "champion", "--tag", "stage=test", "--lineage", "commit=a=b")
    again = json.loads(publish(build, "--name", "fraud", "--alias", "challenger", "--json").stdout)
    forced = json.loads(publish(build, "--name", "fraud", "--again", "--json").stdout)

    assert first.exit_code == 0, first.stderr
    assert first.stdout.startswith("fraud/1 is published\nchampion -> 1\none row ran in ")
    assert "rows of different requests may run together" in first.stdout
    assert first.stderr == ""  # no bar where nobody looks
    manifest = json.loads(Path("registry/fraud/1/manifest.json").read_text())
    assert (manifest["tags"], manifest["lineage"]) == ({"stage": "test"}, {"commit": "a=b"})
    assert manifest["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}]
    assert (again["version"], again["new"], again["alias"], again["batched"]) == (1, False, "challenger", True)
    assert (forced["version"], forced["new"]) == (2, True)
    assert json.loads(Path("registry/fraud/aliases.json").read_text()) == {"challenger": "1", "champion": "1"}


def test_files_that_were_altered_in_the_registry_are_published_anew(build: Path, publish: Publish, penstock: Callable[..., Result]) -> None:
    """The manifest alone does not tell what lies there."""
    publish(build, "--name", "fraud")
    file = Path("registry/fraud/1/model.onnx")
    file.write_bytes(file.read_bytes()[:-1] + b"?")

    published = json.loads(publish(build, "--name", "fraud", "--json").stdout)

    assert (published["version"], published["new"]) == (2, True)
    assert penstock("models", "verify", "fraud:2", "--registry", "registry").exit_code == 0


def test_model_that_does_not_load_is_refused(build: Path, publish: Publish, models: ModuleType) -> None:
    """With the engine's reason; nothing appears in the registry."""
    content = (build / "model.onnx").read_bytes()
    (build / "model.onnx").write_bytes(content.replace(b"Add", b"Adx"))

    result = publish(build, "--name", "fraud")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "Adx" in result.stderr
    assert str(build) not in result.stderr
    assert versions() == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("model.toml", "lanes =", "model.toml is not valid TOML"),
        ("model.toml", "lannes = 2", "unknown key 'lannes'; did you mean 'lanes'?"),
        ("model.toml", "[pad.X]\naxis = 7", "pad.X.axis is 7"),
        ("config.pbtxt", 'backend: "tensorflow"', "backend is not supported"),
        (
            "config.pbtxt",
            'input [{name: "Z" data_type: TYPE_FP32 dims: [4]}] output [{name: "Y" data_type: TYPE_FP32 dims: [4]}]',
            "the input 'Z'",
        ),
        ("weights.txt", "x", "files that the model does not name"),
    ],
)
def test_version_that_no_server_would_take_is_refused(build: Path, publish: Publish, name: str, text: str, words: str) -> None:
    """Settings are judged as a server judges them."""
    (build / name).write_text(text)

    result = publish(build, "--name", "fraud")

    assert (result.exit_code, result.stdout) == (1, "")
    assert words in result.stderr
    assert versions() == []


def test_directory_is_read_under_its_own_config(build: Path, publish: Publish, penstock: Callable[..., Result]) -> None:
    """It may give the graph another name, as a server will look for it; every byte is then found."""
    (build / "config.pbtxt").write_text('default_model_filename: "net.onnx"')
    without = publish(build, "--name", "fraud")
    (build / "model.onnx").rename(build / "net.onnx")
    published = publish(build, "--name", "fraud")

    assert (without.exit_code, "holds no file net.onnx" in without.stderr) == (1, True)
    assert (published.exit_code, versions()) == (0, ["1"])
    assert penstock("models", "verify", "fraud", "--registry", "registry").exit_code == 0


def test_config_of_its_own_breaks_no_sibling(build: Path, publish: Publish, penstock: Callable[..., Result]) -> None:
    """Versions that have none would all run, and be looked for, by it; not even the very same files slip through."""
    publish(build, "--name", "fraud")
    (build / "config.pbtxt").write_text('default_model_filename: "net.onnx"')
    (build / "model.onnx").rename(build / "net.onnx")
    refused = publish(build, "--name", "fraud")

    assert (refused.exit_code, versions()) == (1, ["1"])
    assert "the model 'fraud' has versions without a config.pbtxt" in refused.stderr
    assert penstock("models", "verify", "fraud", "--registry", "registry").exit_code == 0


def test_settings_for_a_gpu_do_not_need_one_here(build: Path, publish: Publish) -> None:
    """Who publishes need not have what serves; the trial runs on the CPU."""
    (build / "model.toml").write_text('devices = ["cuda:0"]\nrequire_placement = {cuda = 0.9}')

    assert publish(build, "--name", "fraud").exit_code == 0
    assert versions() == ["1"]


def test_model_that_cannot_be_served_takes_no_versions(build: Path, publish: Publish) -> None:
    """A version more would not answer either."""
    Path("registry/fraud").mkdir()
    Path("registry/fraud/model.toml").write_text("=")

    result = publish(build, "--name", "fraud")

    assert result.exit_code == 1
    assert "the model 'fraud' cannot be served as it is: model.toml is not valid TOML" in result.stderr


def test_alias_that_cannot_be_moved_is_told_beside_the_version(build: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version is there all the same."""

    def refuse(*_: object) -> None:
        raise RegistryUnreachable("another writer has held the aliases")

    monkeypatch.setattr(DirectorySource, "set_alias", refuse)

    result = publish(build, "--name", "fraud", "--alias", "champion")

    assert (result.exit_code, result.stdout, versions()) == (2, "", ["1"])
    assert result.stderr.splitlines() == [
        "fraud/1 is in the registry, but the alias champion was not moved:",
        "another writer has held the aliases",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("build/none.onnx", "--name", "fraud"), 2, "does not exist"),
        (("build", "--name", "a/b"), 2, "cannot name a model"),
        (("build", "--name", "fraud", "--alias", "v2"), 2, "'v2' cannot be an alias"),
        (("build", "--name", "fraud", "--tag", "stage"), 2, "'stage' is no pair; write KEY=VALUE"),
        (("build", "--name", "fraud", "--lineage", "=x"), 2, "is no pair"),
        (("build/weights.bin", "--name", "fraud"), 1, "is not a readable ONNX model"),
        (("build",), 2, "Missing option '--name'"),
    ],
)
@pytest.mark.usefixtures("build")
def test_mistakes_are_told(publish: Publish, arguments: tuple[str, ...], code: int, words: str) -> None:
    """Before anything is tried."""
    result = publish(*arguments)

    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr


def test_registry_of_others_is_not_written(build: Path, penstock: Callable[..., Result]) -> None:
    """It says with what it is written, before the model is tried."""
    result = penstock("models", "publish", str(build), "--name", "fraud", "--registry", "mlflow+http://127.0.0.1:9")

    assert result.exit_code == 1
    assert "with that registry's own tools" in result.stderr


def test_model_that_kills_its_process_is_refused(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash of the engine ends the trial, not the publisher; so does a time limit."""
    monkeypatch.setattr(trial, "_child", _dies)
    with pytest.raises(LoadRefused, match="the process that tried the model died"):
        trial.try_out(build / "model.onnx", ModelListing("m"), ModelOptions(), 60)
    monkeypatch.setattr(trial, "_child", _hangs)
    with pytest.raises(LoadRefused, match=r"not loaded and run within 0\.3 s; allow more with --timeout"):
        trial.try_out(build / "model.onnx", ModelListing("m"), ModelOptions(), 0.3)


def _dies(_sender: object, _subject: object) -> None:
    import os

    os.abort()


def _hangs(_sender: object, _subject: object) -> None:
    import time

    time.sleep(60)


def test_bar_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nowhere else."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)

    with _bar("publishing")(10) as progress:
        progress(4)
        progress(6)

    assert "publishing" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


class Terminal(io.StringIO):
    """What says of itself that somebody is looking."""

    def isatty(self) -> bool:
        return True
