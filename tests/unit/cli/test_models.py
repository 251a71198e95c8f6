"""`penstock models`: what it prints, and how it leaves, over a registry in a directory."""

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import Result
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from penstock.domain.tensor import DATATYPES, TensorSpec
from penstock.registry.candidate import candidate_of
from penstock.registry.directory import DirectorySource
from penstock.registry.manifest import MAX_MANIFEST_BYTES
from penstock.registry.publish_directory import DirectoryPublisher
from penstock.registry.publisher import Labels, publish
from penstock.registry.source import ModelListing, RegistryUnreachable, SourceFile, VersionListing

Models = Callable[..., Result]


@pytest.fixture
def build(tmp_path: Path, models: ModuleType) -> Path:
    """Return a directory with a model that can be published."""
    models.write_with_weights_file(tmp_path / "build")
    return tmp_path / "build"


@pytest.fixture
def run(penstock: Callable[..., Result], tmp_path: Path) -> Models:
    """Return what runs a command of the group on the registry."""
    (tmp_path / "registry").mkdir()
    return lambda *arguments: penstock("models", *map(str, arguments), "--registry", "registry")


@pytest.fixture
def fraud(build: Path, run: Models) -> Models:
    """Publish two versions of `fraud`, which differ in their settings, tags and inputs; return what runs a command."""
    for number, width in ((1, 4), (2, 8)):
        (build / "model.toml").write_text(f"lanes = {number}")
        candidate = candidate_of(build, "model.onnx", lambda _total: nullcontext(lambda _bytes: None))
        labels = Labels((TensorSpec("X", DATATYPES["FP32"], (-1, width)),), (), {"stage": f"s{number}"}, {"commit": "4f2a91c"})
        publish(DirectoryPublisher(Path("registry")), "fraud", candidate, labels, lambda _bytes: None)
    assert run("alias", "set", "fraud", "champion", 1).exit_code == 0
    return run


def test_empty_registry_lists_nothing(run: Models) -> None:
    """A header alone, and an empty list for machines."""
    assert run("list").stdout == "MODEL  VERSIONS  ALIASES  PROBLEM\n"
    assert json.loads(run("list", "--json").stdout) == {"models": [], "ignored": []}


def test_models_are_listed(fraud: Models) -> None:
    """With their versions, aliases and what is wrong with them; what is no version is told beside the table."""
    Path("registry/fraud/03").mkdir()
    Path("registry/odd").mkdir()
    Path("registry/odd/model.toml").write_text("=")

    result, machine = fraud("list"), json.loads(fraud("list", "--json").stdout)

    assert result.stdout.splitlines()[1].split() == ["fraud", "1,", "2", "champion", "->", "1"]
    assert "odd" in result.stdout.splitlines()[2]
    assert "model.toml is not valid TOML" in result.stdout
    assert result.stderr == "ignored: fraud/03: a version is a number without leading zeros\n"
    assert machine["models"][0] == {"model": "fraud", "versions": [1, 2], "aliases": {"champion": 1}, "problem": ""}


def test_versions_are_listed(fraud: Models) -> None:
    """Those without a manifest too, and those whose manifest cannot be read."""
    shutil.copytree("build", "registry/fraud/3")
    shutil.copytree("build", "registry/fraud/4")
    Path("registry/fraud/4/manifest.json").write_text("{")

    lines, machine = fraud("list", "fraud").stdout.splitlines(), json.loads(fraud("list", "fraud", "--json").stdout)

    assert lines[0].split() == ["VERSION", "CREATED", "SIZE", "ALIASES", "TAGS", "PROBLEM"]
    assert ("champion" in lines[1], "stage=s1" in lines[1], "stage=s2" in lines[2]) == (True, True, True)
    assert lines[3].split()[1] == "-"
    assert "manifest.json is not of the form" in lines[4]
    assert [version["version"] for version in machine["versions"]] == [1, 2, 3, 4]
    assert machine["versions"][0]["tags"] == {"stage": "s1"}


@pytest.mark.parametrize(("reference", "number"), [("fraud", 1), ("fraud@champion", 1), ("fraud:2", 2), ("fraud@2", 2)])
def test_version_is_shown(fraud: Models, reference: str, number: int) -> None:
    """By number, by alias, or the one that would answer."""
    lines, machine = fraud("show", reference).stdout, json.loads(fraud("show", reference, "--json").stdout)

    assert (machine["model"], machine["version"], machine["published"]) == ("fraud", number, True)
    assert (machine["opsets"], machine["settings"], machine["tags"]) == ({"ai.onnx": 17}, {"lanes": number}, {"stage": f"s{number}"})
    assert machine["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 4 * number], "optional": False}]
    assert sorted(machine["files"]) == ["model.onnx", "model.toml", "weights.bin"]
    assert len(machine["digest"]) == 64
    for words in (f"fraud/{number}\n", "opset ai.onnx", f"FP32[-1, {4 * number}]", "lineage commit", machine["digest"]):
        assert words in lines


def test_version_without_a_manifest_is_shown(run: Models, build: Path) -> None:
    """It is read and loaded instead; the digest is the one that servers report."""
    shutil.copytree(build, "registry/plain/1")

    machine = json.loads(run("show", "plain", "--json").stdout)

    assert (machine["published"], machine["created"], machine["opsets"]) == (False, None, {"ai.onnx": 17})
    assert machine["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 4], "optional": False}]
    assert sorted(machine["files"]) == ["model.onnx", "weights.bin"]


def test_difference_is_shown(fraud: Models) -> None:
    """Only what differs; by number or alias."""
    lines, machine = fraud("diff", "fraud", "champion", 2).stdout, json.loads(fraud("diff", "fraud", 1, 2, "--json").stdout)

    assert lines.splitlines()[0].split() == ["FACT", "1", "2"]
    changes = {change["fact"]: (change["a"], change["b"]) for change in machine["changes"]}
    assert changes["input X"] == ("FP32[-1, 4]", "FP32[-1, 8]")
    assert (changes["setting lanes"], changes["tag stage"]) == (("1", "2"), ("s1", "s2"))
    assert not {"opset ai.onnx", "file model.onnx", "lineage commit"} & changes.keys()
    assert fraud("diff", "fraud", 1, 1).stdout == "they do not differ\n"


def test_aliases_are_moved_and_removed(fraud: Models) -> None:
    """Each time it is told what was before."""
    assert fraud("alias", "set", "fraud", "champion", 2).stdout == "fraud: champion -> 2 (before: 1)\n"
    assert json.loads(Path("registry/fraud/aliases.json").read_text()) == {"champion": "2"}
    assert json.loads(fraud("alias", "remove", "fraud", "champion", "--json").stdout) == {
        "model": "fraud",
        "alias": "champion",
        "before": 2,
        "after": None,
    }
    assert fraud("alias", "remove", "fraud", "champion").exit_code == 0


def test_version_is_deleted_unless_an_alias_names_it(fraud: Models) -> None:
    """Which alias that is, stands in the refusal."""
    refused, done = fraud("delete", "fraud", 1), fraud("delete", "fraud", 2, "--json")

    assert (refused.exit_code, refused.stderr) == (1, "version 1 of 'fraud' is named by the alias champion; move or remove it first\n")
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"model": "fraud", "deleted": 2})
    assert json.loads(fraud("list", "--json").stdout)["models"][0]["versions"] == [1]


def test_altered_version_is_found(fraud: Models) -> None:
    """The others are intact all the same."""
    path = Path("registry/fraud/2/weights.bin")
    path.write_bytes(bytes(path.stat().st_size))

    result, machine = fraud("verify", "fraud"), json.loads(fraud("verify", "fraud", "--json").stdout)

    assert result.exit_code == 1
    assert [line.split()[:2] for line in result.stdout.splitlines()[1:]] == [["1", "intact"], ["2", "REFUSED"]]
    assert [version["intact"] for version in machine["versions"]] == [True, False]
    assert "weights.bin" in machine["versions"][1]["problem"]
    assert fraud("verify", "fraud:1").exit_code == 0
    assert fraud("verify", "fraud@2").exit_code == 1


def test_signed_version_is_verified(fraud: Models, build: Path) -> None:
    """By the public half of the key that signed it, and by no other; also where it is signed while it is published."""
    keys, others = key_pair("release"), key_pair("other")
    done = fraud("sign", "fraud:2", "--key", keys[0])
    published = json.loads(fraud("publish", build, "--name", "fraud", "--again", "--key", keys[0], "--json").stdout)

    assert (done.exit_code, done.stdout) == (0, "fraud/2 is signed\n")
    for number in (2, published["version"]):
        right, wrong = (
            fraud("verify", f"fraud:{number}", "--key", keys[1], "--json"),
            fraud("verify", f"fraud:{number}", "--key", others[1]),
        )
        assert (right.exit_code, wrong.exit_code) == (0, 1), right.stdout
        assert json.loads(right.stdout)["versions"][0]["signer"].startswith("sha256:")
        assert "REFUSED" in wrong.stdout
    unsigned = fraud("verify", "fraud:1", "--key", keys[1])
    assert (unsigned.exit_code, "model.sig" in unsigned.stdout) == (1, True)
    assert fraud("verify", "fraud", "--key", "build/model.toml").exit_code == 2


def test_files_that_are_there_already_are_signed(fraud: Models) -> None:
    """As new ones are; it is said of both."""
    private, public = key_pair("release")

    published = fraud("publish", "build", "--name", "fraud", "--again", "--key", private)
    again = fraud("publish", "build", "--name", "fraud", "--key", private)
    earlier = fraud("publish", "build", "--name", "plain")
    signed = fraud("publish", "build", "--name", "plain", "--key", private)

    assert (published.exit_code, again.exit_code, earlier.exit_code, signed.exit_code) == (0, 0, 0, 0)
    assert "fraud/3 is published\nfraud/3 is signed\n" in published.stdout
    assert "fraud/3 holds these very files already; no new version was made\nfraud/3 is signed\n" in again.stdout
    assert "plain/1 is signed" in signed.stdout
    assert fraud("verify", "plain:1", "--key", public).exit_code == 0


def key_pair(name: str) -> tuple[Path, Path]:
    """Write a private key and its public half, and return where."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = Path(f"{name}.pem"), Path(f"{name}.pub.pem")
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def test_no_text_of_a_registry_steers_the_terminal(fraud: Models) -> None:
    """Whoever wrote the manifest; a machine gets what it says."""
    path = Path("registry/fraud/1/manifest.json")
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"tags": {"note": "\x1b]0;owned\x07 é"}}))

    results = [fraud("list", "fraud"), fraud("show", "fraud:1"), fraud("diff", "fraud", "1", "2")]

    for result in results:
        assert "\\x1b]0;owned\\x07 é" in result.stdout
        assert all(line.isprintable() for line in result.stdout.splitlines())
    assert json.loads(fraud("show", "fraud:1", "--json").stdout)["tags"] == {"note": "\x1b]0;owned\x07 é"}


def test_version_without_a_manifest_cannot_be_verified(run: Models, build: Path) -> None:
    """There is nothing to hold it against."""
    shutil.copytree(build, "registry/plain/1")

    result = run("verify", "plain")

    assert result.exit_code == 1
    assert "no manifest.json" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("show", "gone"), 1, "the registry has no model 'gone'"),
        (("show", "fraud:7"), 1, "the registry has no version 7 of 'fraud'; it has: 1, 2"),
        (("show", "fraud@blue"), 1, "model 'fraud' has no alias 'blue'; it has: champion"),
        (("diff", "fraud", "1", "9"), 1, "no version 9"),
        (("verify", "fraud:9"), 1, "no version 9"),
        (("alias", "set", "fraud", "champion", "9"), 1, "has no version 9"),
        (("alias", "set", "gone", "champion", "1"), 1, "the registry has no model 'gone'"),
        (("delete", "fraud", "9"), 1, "no version 9"),
        (("show", "fraud:x"), 2, "has no version number after the colon; write MODEL:3"),
        (("show", "../etc"), 2, "names no model"),
        (("alias", "set", "fraud", "latest", "1"), 2, "'latest' cannot be an alias"),
        (("alias", "set", "fraud", "champion", "01"), 2, "'01' is not the number of a version"),
        (("diff", "fraud", "1", "1.0"), 2, "'1.0' is neither a version number nor an alias"),
        (("list", "a/b"), 2, "cannot name a model"),
        (("sign", "fraud", "--key", "build/model.toml"), 2, "which version of fraud?"),
    ],
)
def test_mistakes_are_told(fraud: Models, arguments: tuple[str, ...], code: int, words: str) -> None:
    """In a line that says what to do, with the exit code of the commands."""
    result = fraud(*arguments)

    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("uri", ["nowhere", "ftp://host/models", "s3://"])
def test_registry_that_cannot_be_used_exits_2(penstock: Callable[..., Result], uri: str) -> None:
    """As for the other commands."""
    result = penstock("models", "list", "--registry", uri)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "registry" in result.stderr


def test_size_that_is_not_known_is_none(fraud: Models) -> None:
    """It is not told as nothing."""
    Path("registry/fraud/3").mkdir()

    assert fraud("list", "fraud").stdout.splitlines()[-1].split() == ["3", "-", "-", "-", "-"]
    assert json.loads(fraud("list", "fraud", "--json").stdout)["versions"][-1]["size_bytes"] is None


def test_version_that_cannot_be_read_is_told_beside_the_others(fraud: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that lets nobody in, for one version, and a manifest that never ends, for the other."""
    real = DirectorySource.files
    Path("registry/fraud/2/manifest.json").write_bytes(b" " * (MAX_MANIFEST_BYTES + 1))

    def files(source: DirectorySource, model: ModelListing, version: VersionListing) -> Sequence[SourceFile]:
        if version.number == 1:
            raise RegistryUnreachable("the registry answers 403 Forbidden")
        return real(source, model, version)

    monkeypatch.setattr(DirectorySource, "files", files)
    listed = fraud("list", "fraud", "--json")
    problems = {version["version"]: version["problem"] for version in json.loads(listed.stdout)["versions"]}

    assert listed.exit_code == 0
    assert problems[1] == "the registry answers 403 Forbidden"
    assert f"has more than {MAX_MANIFEST_BYTES} bytes" in problems[2]
