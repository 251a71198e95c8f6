"""`penstock models reference`, and a version that is published with one."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import Result

from penstock.cli.sample_file import inputs_in
from penstock.domain.records import PayloadRecord
from penstock.domain.tensor import DATATYPES, Tensor, TensorSpec
from penstock.monitoring.reference import VersionReference
from penstock.payloads.duck import write_table
from penstock.payloads.json_rows import line_of
from penstock.registry.candidate import candidate_of
from penstock.registry.publish_directory import DirectoryPublisher
from penstock.registry.publisher import Labels, publish

FP32, TEXT = DATATYPES["FP32"], DATATYPES["BYTES"]
INPUTS = (TensorSpec("X", FP32, (-1, 2)), TensorSpec("land", TEXT, (-1, 1)))
OUTPUTS = (TensorSpec("Y", FP32, (-1, 1)),)
KEPT = Path("registry/m/1/reference.json")
Run = Callable[..., Result]


@pytest.fixture
def run(penstock: Callable[..., Result], models: ModuleType, tmp_path: Path) -> Run:
    """Publish a version, and return what runs a command on the registry."""
    (tmp_path / "registry").mkdir()
    models.write_watched(tmp_path / "build", "m", 1.0)
    build = tmp_path / "build" / "m" / "1"
    candidate = candidate_of(build, "model.onnx", lambda _total: nullcontext(lambda _bytes: None))
    publish(DirectoryPublisher(tmp_path / "registry"), "m", candidate, Labels(INPUTS, OUTPUTS), lambda _bytes: None)
    return lambda *arguments: penstock("models", *map(str, arguments), "--registry", "registry")


def table(rows: int = 300) -> list[dict[str, object]]:
    """Return a table: two numbers, one of them missing once, a country, and what was predicted."""
    source = np.random.default_rng(1)
    found: list[dict[str, object]] = [
        {"X.0": float(source.random()), "X.1": float(source.random()), "land": "de" if number % 3 else "fr", "prediction.Y": number % 2}
        for number in range(rows)
    ]
    found[0] |= {"X.1": None, "land": None}
    return found


def sample(form: str, rows: int = 300) -> Path:
    """Write the table, or what would be recorded of it, in a form; return the file."""
    path = Path(f"sample.{form}")
    if form != "jsonl":
        write_table(({"timestamp": "2026-01-01", **row} for row in table(rows)), path, form.upper())
        return path
    lines = []
    for row in table(rows):
        numbers = np.array([[row["X.0"], np.nan if row["X.1"] is None else row["X.1"]]], np.float32)
        inputs = [Tensor("X", FP32, numbers), Tensor("land", TEXT, np.array([[row["land"] or ""]], object))]
        outputs = [Tensor("Y", FP32, np.array([[row["prediction.Y"]]], np.float32))]
        lines.append(line_of(PayloadRecord("i", "", 0, "m", "1", "", "", "", "http", "OK", "", 0, 0, 0, 1, "", 1.0, inputs, outputs, {})))
    path.write_bytes(b"".join(lines))
    return path


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_reference_is_made_of_a_sample_in_any_form(run: Run, form: str) -> None:
    """Numbers, texts and outputs; what is missing is counted as such; the manifest does not change, and the version stays intact."""
    manifest = Path("registry/m/1/manifest.json").read_bytes()

    result = run("reference", "m:1", "--from", sample(form), "--json")

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"model": "m", "version": 1, "features": 4, "rows": 300, "notes": []}
    found = VersionReference.decode(KEPT.read_bytes())
    assert found.inputs is not None
    assert found.outputs is not None
    assert [(each.name, each.missing, each.categories) for each in found.inputs.features] == [
        ("X.0", 0, None),
        ("X.1", 1, None),
        ("land", 1, ["de", "fr"]),
    ]
    assert [each.edges for each in found.outputs.features] == [[0.0]]
    assert Path("registry/m/1/manifest.json").read_bytes() == manifest
    assert run("verify", "m").exit_code == 0


def test_recorded_sample_of_a_version_without_a_manifest_is_read(run: Run) -> None:
    """What its tensors are is told by the process that tries the model."""
    Path("registry/m/1/manifest.json").unlink()

    result = run("reference", "m:1", "--from", sample("jsonl"), "--json")

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["rows"] == 300


def test_columns_are_called_as_a_server_calls_them_by_the_lineage(run: Run, tmp_path: Path) -> None:
    """So that a rule for a column by that name holds for the reference too."""
    candidate = candidate_of(tmp_path / "build" / "m" / "1", "model.onnx", lambda _total: nullcontext(lambda _bytes: None))
    labels = Labels(INPUTS, OUTPUTS, lineage={"columns.X": "age,income"})
    publish(DirectoryPublisher(tmp_path / "registry"), "m", candidate, labels, lambda _bytes: None)
    Path("registry/m/model.toml").write_text('[payloads.redact]\nincome = "drop"\n')

    result = run("reference", "m:2", "--from", sample("csv"))

    assert result.exit_code == 0, result.output
    inputs = VersionReference.decode(Path("registry/m/2/reference.json").read_bytes()).inputs
    assert inputs is not None
    assert "X" not in {feature.name.partition(".")[0] for feature in inputs.features}
    assert "X is not watched" in result.stdout


def test_what_is_not_watched_is_told(run: Run) -> None:
    """Features that the sample lacks, and inputs that must not be looked at."""
    Path("registry/m/model.toml").write_text('[payloads.redact]\nland = "hash"\n')
    Path("sample.csv").write_text("X.0,other\n" + "\n".join(f"{number},1" for number in range(200)))

    result = run("reference", "m:1", "--from", "sample.csv")

    assert result.stdout.splitlines() == [
        "m/1 has a reference of 1 features, from 200 rows",
        "note: land is not watched: it is text that payloads.redact touches",
        "note: 'X.1': not in the sample, so not watched",
        "note: 'prediction.Y': not in the sample, so not watched",
    ]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.csv", "a,b\n1,2\n", "its columns are to be called 'X.0', 'X.1', 'land', 'prediction.Y'"),
        ("a.csv", "X.0\n" + "1\n" * 99, "99 rows; give at least 100"),
        ("a.csv", "X.0\n" + "x\n" * 200, "the column 'X.0' holds what is no number"),
        ("a.jsonl", "{}\n", "it is no file of recorded payloads"),
        ("a.parquet", "x", "the sample a.parquet cannot be used"),
        ("a.npy", "x", "unknown form"),
    ],
)
def test_sample_that_says_nothing_is_refused_with_the_reason(run: Run, name: str, text: str, why: str) -> None:
    """Nothing is written."""
    Path(name).write_text(text)

    result = run("reference", "m:1", "--from", name)

    assert result.exit_code == 1
    assert why in result.stderr
    assert not KEPT.exists()


def test_version_is_published_with_a_reference_that_its_manifest_vouches_for(run: Run, tmp_path: Path, models: ModuleType) -> None:
    """And that nobody changes afterwards."""
    models.write_watched(tmp_path / "other", "m", 2.0)
    rows = "\n".join(",".join([str(number)] * 64) for number in range(200))
    Path("many.csv").write_text(",".join(f"X.{place}" for place in range(64)) + "\n" + rows)

    published = run("publish", tmp_path / "other" / "m" / "1" / "model.onnx", "--name", "m", "--reference", "many.csv")

    assert published.exit_code == 0, published.output
    assert "note: what the outputs should look like is what the model itself answers to the sample" in published.stdout
    outputs = VersionReference.decode(Path("registry/m/2/reference.json").read_bytes()).outputs
    assert outputs is not None
    assert (outputs.features[0].high, outputs.features[0].rows) == (2.0 * 64 * 199, 200)
    assert "reference.json" in json.loads(Path("registry/m/2/manifest.json").read_text())["files"]
    assert run("verify", "m").exit_code == 0
    refused = run("reference", "m:2", "--from", "many.csv")
    assert (refused.exit_code, "its manifest vouches for" in refused.stderr) == (1, True)


def test_directory_whose_reference_is_none_is_not_published(run: Run, tmp_path: Path) -> None:
    """What no server could read is told while there is somebody to read it."""
    build = tmp_path / "build" / "m" / "1"
    (build / "reference.json").write_text("{}x")

    result = run("publish", build, "--name", "m")

    assert (result.exit_code, "reference.json cannot be published" in result.stderr) == (1, True)


def test_version_that_is_there_is_asked_for_its_outputs_too(run: Run) -> None:
    """Only where the table has all that it needs; rows that an input of whole numbers cannot hold are left out."""
    rows = "\n".join(",".join([str(number)] * 64) for number in range(200))
    Path("many.csv").write_text(",".join(f"X.{place}" for place in range(64)) + "\n" + rows)
    Path("registry/m/1/manifest.json").unlink()

    result = run("reference", "m:1", "--from", "many.csv", "--json")

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["features"] == 65
    inputs = (TensorSpec("N", DATATYPES["INT64"], (-1, 1)), TensorSpec("T", TEXT, (-1,)), TensorSpec("O", FP32, (-1,), optional=True))
    Path("two.csv").write_text("N,T,other\n" + "1,a,9\n,b,9\n3,,9\n")
    found = inputs_in(Path("two.csv"), inputs)
    assert (found["N"].tolist(), found["N"].dtype, found["T"].tolist()) == ([[1], [3]], np.int64, ["a", ""])
    assert inputs_in(Path("two.csv"), [*inputs, TensorSpec("more", FP32, (-1,))]) == {}
