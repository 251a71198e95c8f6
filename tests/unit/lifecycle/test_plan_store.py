"""Plans on disk, and which settings they decide."""

import logging
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.domain.model import ModelVersion
from penstock.execution.devices import parse_device
from penstock.lifecycle.conditions import Conditions, conditions
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.plan import Plan
from penstock.lifecycle.plan_store import PlanStore, tuned

Under = Callable[..., Conditions]
VERSION = ModelVersion("digits", "3", "d1")
PLAN = Plan(lanes=4, threads=3, batching="off", max_batch_rows=16)
WHOLE = {"lanes": 4, "threads": 3, "batching": "off", "max_batch_rows": 16}


def test_plan_that_was_kept_is_found(tmp_path: Path, under: Under) -> None:
    """In a file whose name tells whose it is, mode 0600."""
    path = PlanStore(tmp_path).keep(VERSION, under(), PLAN)

    assert path == tmp_path / "plans" / "digits" / "3.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PlanStore(tmp_path).find(VERSION, under()) == PLAN


def test_plan_of_another_version_is_not_found(tmp_path: Path, under: Under) -> None:
    """Each version has its own."""
    PlanStore(tmp_path).keep(VERSION, under(), PLAN)

    assert PlanStore(tmp_path).find(ModelVersion("digits", "4"), under()) is None


def test_plan_of_another_machine_is_ignored_and_the_log_says_why(tmp_path: Path, under: Under, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody has made it, so somebody wants to know."""
    PlanStore(tmp_path).keep(VERSION, under(), PLAN)

    with caplog.at_level(logging.INFO):
        assert PlanStore(tmp_path).find(VERSION, under(cores=8, digest="d2" * 32)) is None

    assert "digits/3 is ignored, run penstock tune again: it was made for digest: d1, now d2d2d2d2d2d2...; cores: 2, now 8" in caplog.text


@pytest.mark.parametrize("content", [b"", b"{", b'{"plan": {"lanes": 0}}', b"\xff"], ids=["empty", "half", "wrong", "not UTF-8"])
def test_broken_plan_is_ignored(tmp_path: Path, under: Under, content: bytes) -> None:
    """The version is served without it."""
    path = PlanStore(tmp_path).keep(VERSION, under(), PLAN)
    path.write_bytes(content)

    assert PlanStore(tmp_path).find(VERSION, under()) is None


@pytest.mark.parametrize("lanes", [0, -1, 1 << 30, "many"])
def test_plan_with_impossible_figures_is_ignored(tmp_path: Path, under: Under, lanes: object) -> None:
    """It would bring the server down, or the machine."""
    path = PlanStore(tmp_path).keep(VERSION, under(), PLAN)
    path.write_text(path.read_text().replace('"lanes": 4', f'"lanes": {lanes!r}'.replace("'", '"')))

    assert PlanStore(tmp_path).find(VERSION, under()) is None


def test_plan_decides_what_is_left_at_its_default() -> None:
    """A user who says nothing gets all of it."""
    assert tuned(ModelOptions(), PLAN, ()) == WHOLE


@pytest.mark.parametrize(
    ("options", "said", "left_out"),
    [
        ({"max_batch_rows": 8}, (), {"max_batch_rows"}),
        ({"batching": "fixed"}, (), {"batching"}),
        ({}, ("max_batch_rows",), {"max_batch_rows"}),
        ({"lanes": 4}, (), {"lanes"}),
        ({"lanes": 1}, (), {"lanes", "threads"}),
        ({"threads": 1}, (), {"lanes", "threads"}),
        ({}, ("slo_ms",), set()),
    ],
    ids=["defaults", "kind", "said though equal", "same lanes", "other lanes", "other threads", "another key"],
)
def test_explicit_setting_wins(options: dict[str, object], said: tuple[str, ...], left_out: set[str]) -> None:
    """And lanes go with the threads that they were measured with, or not at all."""
    settings = tuned(ModelOptions(**options), PLAN, said)  # type: ignore[arg-type]

    assert settings == {key: value for key, value in WHOLE.items() if key not in left_out}


@pytest.mark.parametrize(
    ("layer", "expected"),
    [({}, WHOLE), ({"lanes": "auto"}, WHOLE), ({"max_batch_rows": 64}, {key: WHOLE[key] for key in ("lanes", "threads", "batching")})],
    ids=["nothing", "auto", "default by hand"],
)
def test_word_of_the_models_own_files_wins(tmp_path: Path, layer: dict[str, object], expected: dict[str, object]) -> None:
    """Even where it repeats the default; "auto" asks for whatever is best."""
    options = ModelOptions()
    PlanStore(tmp_path).keep(VERSION, conditions(VERSION, options, parse_device("cpu")), PLAN)

    assert PlanStore(tmp_path).settings(VERSION, options, [layer]) == expected


def test_version_on_several_devices_has_no_plan(tmp_path: Path) -> None:
    """Lanes of one device say nothing of another's."""
    options = ModelOptions(devices=["cpu", "cpu"])
    PlanStore(tmp_path).keep(VERSION, conditions(VERSION, options, parse_device("cpu")), PLAN)

    assert PlanStore(tmp_path).settings(VERSION, options, []) == {}


def test_options_of_the_engine_are_part_of_the_conditions() -> None:
    """A graph that is optimised otherwise runs otherwise."""
    plain, other = ModelOptions(), ModelOptions(session_options={"enable_mem_pattern": False})
    cpu = parse_device("cpu")

    assert conditions(VERSION, plain, cpu) == conditions(VERSION, ModelOptions(slo_ms=5), cpu)
    assert conditions(VERSION, plain, cpu) != conditions(VERSION, other, cpu)
