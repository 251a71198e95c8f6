"""`penstock tune`: what it prints and how it leaves, over a tuner that only pretends."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import Result

from penstock.config.settings import Settings
from penstock.domain.errors import BadArtifact, ModelFailed, NotFound
from penstock.domain.model import ModelVersion
from penstock.domain.schema import ModelSchema
from penstock.execution.devices import Device
from penstock.execution.sweep import Cell, Layout
from penstock.lifecycle import layout
from penstock.lifecycle import tuner as lifecycle_tuner
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.plan import Choice
from penstock.lifecycle.tuner import Subject
from penstock.registry.source import ModelListing, RegistryUnreachable

Penstock = Callable[..., Result]
ONE, OTHER = Layout(2, 1), Layout(1, 2)


class FakeTuner:
    """Has measured already; raises `error` instead, if there is one."""

    def __init__(self) -> None:
        artifact = SimpleNamespace(version=ModelVersion("digits", "3", "d1"))
        schema = ModelSchema((), (), batched=True)
        self.subject = Subject(ModelListing("digits"), artifact, ModelOptions(), schema, Device("cpu"))  # type: ignore[arg-type]
        self.cells = [Cell(layout, rows, 1000.0 * rows / layout.threads, 1_000_000, 9) for layout in (ONE, OTHER) for rows in (1, 8)]
        self.found: list[tuple[str, str | None, object]] = []
        self.seconds: list[float] = []
        self.kept: list[Choice] = []
        self.error: Exception | None = None
        self.interrupted = False
        self.closed = False

    def find(self, name: str, reference: str | None = None, shapes: object = None) -> Subject:
        self.found.append((name, reference, shapes))
        if self.error is not None:
            raise self.error
        return self.subject

    def sweep(self, subject: Subject, seconds: float) -> Iterator[Cell]:
        self.seconds.append(seconds)
        try:
            yield from self.cells
            if self.interrupted:
                raise KeyboardInterrupt
        finally:
            self.closed = True

    def keep(self, subject: Subject, choice: Choice) -> Path:
        if isinstance(self.error, OSError):
            raise self.error
        self.kept.append(choice)
        return Path(".penstock/plans/digits/3.json")


@pytest.fixture(name="tuner")
def _tuner(server: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> FakeTuner:
    """Let the fake server hand out a fake tuner, on two cores."""
    for module in (layout, lifecycle_tuner):
        monkeypatch.setattr(module, "usable_cores", lambda: 2)
    server.answer = FakeTuner()
    server.tuner = server.serve
    return server.answer  # type: ignore[no-any-return]


def test_table_plan_and_file_are_printed(penstock: Penstock, tuner: FakeTuner) -> None:
    """A line for each size, two columns for each layout, and what follows from them."""
    result = penstock("tune", "digits")

    lines = [line.split() for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert ["ROWS", "1", "x", "2:", "ROWS/S", "P50", "MS", "2", "x", "1:", "ROWS/S", "P50", "MS"] in lines
    assert ["8", "4,000", "1.000", "8,000", "1.000"] in lines
    assert "plan     lanes = 2, threads = 1, batching = adaptive, max_batch_rows = 8" in result.stdout
    assert "promise  8,000 rows/s in runs of 8 rows that take 1.000 ms" in result.stdout
    assert "written  .penstock/plans/digits/3.json" in result.stdout
    assert len(tuner.kept) == 1


def test_size_that_was_not_measured_is_a_dash(penstock: Penstock, tuner: FakeTuner) -> None:
    """Larger sizes are left out where they lose."""
    del tuner.cells[-1]

    assert ["8", "-", "-", "8,000", "1.000"] in [line.split() for line in penstock("tune", "digits").stdout.splitlines()]


def test_json_is_one_object_on_stdout(penstock: Penstock, tuner: FakeTuner) -> None:
    """The bar is not in the way."""
    answer = json.loads(penstock("tune", "digits", "--json").stdout)

    assert answer["plan"] == {"lanes": 2, "threads": 1, "batching": "adaptive", "max_batch_rows": 8}
    assert answer["cells"][-1] == {"lanes": 2, "threads": 1, "rows": 8, "rows_per_s": 8000.0, "p50_us": 1000.0, "runs": 9}
    assert answer["default"] == {"lanes": 2, "threads": 1, "rows_per_s": 8000.0}
    assert (answer["model"], answer["version"], answer["written"]) == ("digits", "3", ".penstock/plans/digits/3.json")


def test_dry_run_writes_nothing(penstock: Penstock, tuner: FakeTuner) -> None:
    """It shows what would be written."""
    result = penstock("tune", "digits", "--dry-run")

    assert "written  nothing" in result.stdout
    assert tuner.kept == []


def test_options_reach_the_tuner(penstock: Penstock, server: SimpleNamespace, tuner: FakeTuner) -> None:
    """Model, version, time and settings."""
    penstock("tune", "digits@champion", "--seconds", "5", "--registry", "r", "--set", "server.state_dir=s", "--shape", "x=3,4")

    (settings,) = server.asked[0]
    assert isinstance(settings, Settings)
    assert (settings.registry.uri, settings.server.state_dir) == ("r", "s")
    assert (tuner.found, tuner.seconds) == ([("digits", "champion", {"x": (3, 4)})], [5.0])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("the registry has no model 'digits'"), 1),
        (BadArtifact("model.onnx is empty"), 1),
        (ModelFailed("the model failed on this input"), 1),
        (RegistryUnreachable("the registry directory /none cannot be read"), 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_failure_is_one_line_on_stderr(penstock: Penstock, tuner: FakeTuner, error: Exception, code: int) -> None:
    """1 for what is wrong with the model, 2 for what is wrong with the call."""
    tuner.error = error

    result = penstock("tune", "digits")

    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.strip() == str(error)


def test_state_directory_that_cannot_be_written_exits_2(penstock: Penstock, tuner: FakeTuner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the setting."""

    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device", "/state")

    monkeypatch.setattr(tuner, "keep", full)

    result = penstock("tune", "digits")

    assert result.exit_code == 2
    assert "No space left on device: /state; set server.state_dir" in result.stderr


def test_model_that_is_too_slow_is_told(penstock: Penstock, tuner: FakeTuner) -> None:
    """Nothing was measured in time."""
    tuner.cells = []

    result = penstock("tune", "digits", "--seconds", "1")

    assert result.exit_code == 1
    assert "digits/3 is too slow to be measured in 1 s; try a larger --seconds" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("digits@",),
        ("../digits",),
        ("digits", "--seconds", "0"),
        ("digits", "--seconds", "60"),
        ("digits", "--shape", "x"),
        ("digits", "--shape", "x=0"),
        ("digits", "--shape", "=4"),
    ],
)
def test_mistake_in_usage_exits_2(penstock: Penstock, tuner: FakeTuner, arguments: tuple[str, ...]) -> None:
    """Before anything is measured."""
    assert penstock("tune", *arguments).exit_code == 2
    assert tuner.found == []


def test_interrupt_ends_the_sweep_and_writes_nothing(penstock: Penstock, tuner: FakeTuner) -> None:
    """Half a measurement is no plan."""
    tuner.interrupted = True

    result = penstock("tune", "digits")

    assert result.exit_code == 1
    assert (tuner.closed, tuner.kept) == (True, [])
    assert "Aborted!" in result.stderr
