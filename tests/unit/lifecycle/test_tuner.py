"""Which version is tuned, on which layouts and sizes, with which inputs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from penstock.domain.errors import BadArtifact, InvalidInput, LoadRefused, NotFound
from penstock.domain.model import ModelArtifact, ModelVersion
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, TensorSpec
from penstock.execution.devices import Device
from penstock.execution.sweep import Cell, Layout
from penstock.lifecycle import layout, tuner
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.tuner import Subject, Tuner, choice_of
from penstock.registry.source import ModelListing, VersionListing

FP32 = DATATYPES["FP32"]
SCHEMA = ModelSchema((TensorSpec("X", FP32, (-1, -1, 8)),), (TensorSpec("Y", FP32, (-1, 2)),), batched=True)
MODEL = ModelListing("m", {number: VersionListing(number, Path(str(number))) for number in (1, 2, 3)}, {"blue": 1})
MakeSubject = Callable[..., Subject]


@pytest.fixture
def make_subject(monkeypatch: pytest.MonkeyPatch) -> MakeSubject:
    """Return a function that makes a subject on so many cores, with some options."""

    def made(cores: int = 4, schema: ModelSchema = SCHEMA, device: str = "cpu", **options: object) -> Subject:
        for module in (layout, tuner):
            monkeypatch.setattr(module, "usable_cores", lambda: cores)
        artifact = ModelArtifact(ModelVersion("m", "3", "d"), Path("m"))
        return Subject(MODEL, artifact, ModelOptions(**options), schema, Device(device))  # type: ignore[arg-type]

    return made


def find(
    tmp_path: Path, model: ModelListing, reference: str | None = None, options: ModelOptions | None = None, **shapes: object
) -> Subject:
    """Return what a tuner finds in a registry of one model."""

    def examine(listing: ModelListing, version: VersionListing) -> object:
        identity = ModelVersion(listing.name, str(version.number), "d")
        return ModelArtifact(identity, Path("m")), options or ModelOptions(), SCHEMA

    registry = SimpleNamespace(snapshot=lambda: SimpleNamespace(models={"m": model}))
    return Tuner(registry, SimpleNamespace(examine=examine), tmp_path).find("m", reference, shapes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("aliases", "reference", "version"),
    [({}, None, "3"), ({"champion": 2}, None, "2"), ({"champion": 2}, "3", "3"), ({"blue": 1}, "blue", "1")],
    ids=["highest", "champion", "number", "alias"],
)
def test_version_is_the_one_that_would_answer(tmp_path: Path, aliases: dict[str, int], reference: str | None, version: str) -> None:
    """By the rules of a request."""
    assert find(tmp_path, replace(MODEL, aliases=aliases), reference).version.version == version


@pytest.mark.parametrize("reference", ["4", "green"])
def test_version_that_is_not_there_is_told(tmp_path: Path, reference: str) -> None:
    """With the reference as it was given."""
    with pytest.raises(NotFound, match=f"no version '{reference}' of 'm'"):
        find(tmp_path, MODEL, reference)


def test_model_that_cannot_be_loaded_is_not_tuned(tmp_path: Path) -> None:
    """Broken settings, or more devices than one."""
    with pytest.raises(BadArtifact, match=r"model\.toml"):
        find(tmp_path, replace(MODEL, problem="model.toml is broken"))
    with pytest.raises(LoadRefused, match="only a version on one device"):
        find(tmp_path, MODEL, options=ModelOptions(devices=["cpu", "cuda:0"]))


def test_given_shape_fixes_free_dimensions(tmp_path: Path) -> None:
    """The batch stays free."""
    assert find(tmp_path, MODEL, X=(16, 8)).schema.inputs[0].shape == (-1, 16, 8)


@pytest.mark.parametrize("shapes", [{"X": (16,)}, {"X": (16, 9)}, {"Z": (1,)}])
def test_shape_that_does_not_fit_is_refused(tmp_path: Path, shapes: dict[str, object]) -> None:
    """Fixed dimensions stay as they are."""
    with pytest.raises(InvalidInput):
        find(tmp_path, MODEL, **shapes)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(2, 2), (1, 4), (4, 1)]),
        ({"lanes": 4}, [(4, 1)]),
        ({"threads": 4}, [(2, 4), (1, 4)]),
        ({"lanes": 3, "threads": 3}, [(3, 3)]),
    ],
)
def test_default_comes_first_and_settings_are_kept(
    make_subject: MakeSubject, options: dict[str, object], expected: list[tuple[int, int]]
) -> None:
    """On four cores."""
    assert make_subject(**options).layouts == expected


def test_gpu_is_tried_with_few_lanes(make_subject: MakeSubject) -> None:
    """Threads do nothing there."""
    assert make_subject(device="cuda").layouts == [(1, 1), (2, 1)]


def test_sizes_end_with_the_largest_run(make_subject: MakeSubject) -> None:
    """A model without a batch has one size."""
    assert make_subject(max_batch_rows=20).sizes == [1, 2, 4, 8, 16, 20]
    assert make_subject(schema=replace(SCHEMA, batched=False)).sizes == [1]


def test_automatic_target_follows_from_a_single_row(make_subject: MakeSubject) -> None:
    """Ten times a run of 30 ms: runs of 200 ms keep it on two lanes, runs of 250 ms do not."""
    default = Layout(2, 2)
    cells = [Cell(default, 1, 60, 30_000_000, 9), Cell(default, 8, 80, 200_000_000, 9), Cell(default, 16, 120, 250_000_000, 9)]

    assert choice_of(make_subject(), cells).plan.max_batch_rows == 8
    assert choice_of(make_subject(slo_ms=1000), cells).plan.max_batch_rows == 16
