"""`penstock check`."""

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from click.testing import Result

from penstock.config.settings import Settings, WantedModel

Penstock = Callable[..., Result]


def _version(model: str, version: str, state: str, reason: str, load_s: float) -> SimpleNamespace:
    return SimpleNamespace(model=model, version=version, state=state, reason=reason, load_s=load_s, tuned={})


GOOD = SimpleNamespace(problems=(), warnings=(), versions=(_version("digits", "3", "READY", "", 0.25),))
BAD = SimpleNamespace(
    problems=("digits 4: model.onnx is not an ONNX file", "iris: has no version"),
    warnings=("digits/3: payloads names what the version does not have: 'emial'",),
    versions=(_version("digits", "3", "READY", "", 0.25), _version("digits", "4", "FAILED", "not an ONNX file", 0.0)),
)


def test_settings_and_versions_are_printed(penstock: Penstock, server: SimpleNamespace) -> None:
    """The report has each setting with its origin, then each version."""
    server.answer = GOOD

    result = penstock("check", "--http-port", "9", env={"PENSTOCK_SERVER__GRPC_PORT": "8"})

    lines = [line.split() for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert ["server.http_port", "9", "flag", "--http-port"] in lines
    assert ["server.grpc_port", "8", "environment", "PENSTOCK_SERVER__GRPC_PORT"] in lines
    assert ["server.host", '"127.0.0.1"', "default"] in lines
    assert ["digits", "3", "READY", "0.25", "s"] in lines


def test_columns_are_aligned(penstock: Penstock, server: SimpleNamespace) -> None:
    """Every origin starts in the same column."""
    server.answer = GOOD

    lines = penstock("check").stdout.split("\n\n")[0].splitlines()

    column = lines[0].index("ORIGIN")
    assert {line[column:] for line in lines} == {"ORIGIN", "default"}


def test_any_problem_exits_1_with_all_of_them_listed(penstock: Penstock, server: SimpleNamespace) -> None:
    """One problem or many: all are told, and the exit code says no."""
    server.answer = BAD

    result = penstock("check")

    assert result.exit_code == 1
    assert result.stdout.splitlines()[-2:] == [f"problem: {problem}" for problem in BAD.problems]
    assert result.stdout.splitlines()[-3] == f"warning: {BAD.warnings[0]}"


@pytest.mark.parametrize(("report", "code"), [(GOOD, 0), (BAD, 1)], ids=["good", "bad"])
def test_json_holds_the_whole_report(penstock: Penstock, server: SimpleNamespace, report: SimpleNamespace, code: int) -> None:
    """A machine reads settings, versions and problems from one object."""
    server.answer = report

    result = penstock("check", "--json", "--set", "models.m.lanes=2")

    answer = json.loads(result.stdout)
    assert result.exit_code == code
    assert {"key": "models.m.lanes", "value": 2, "origin": "flag --set models.m.lanes"} in answer["settings"]
    assert answer["versions"] == [vars(version) for version in report.versions]
    assert answer["problems"] == list(report.problems)
    assert answer["warnings"] == list(report.warnings)


def test_settings_of_a_plan_are_shown_with_their_origin(penstock: Penstock, server: SimpleNamespace) -> None:
    """What `penstock tune` decided is no secret."""
    version = _version("digits", "3", "READY", "", 0.25)
    version.tuned = {"lanes": 2, "batching": "off"}
    server.answer = SimpleNamespace(problems=(), warnings=(), versions=(version,))

    lines = [line.split() for line in penstock("check").stdout.splitlines()]
    answer = json.loads(penstock("check", "--json").stdout)

    assert ["digits/3", "lanes", "2", "tuned"] in lines
    assert ["digits/3", "batching", '"off"', "tuned"] in lines
    assert answer["versions"][0]["tuned"] == {"lanes": 2, "batching": "off"}


def test_same_options_as_serve_are_taken(penstock: Penstock, server: SimpleNamespace) -> None:
    """What is checked is what would be served."""
    server.answer = GOOD

    penstock("check", "--model", "digits@champion")

    assert server.asked == [(Settings(), (WantedModel("digits", "champion"),))]


def test_directory_that_cannot_be_used_exits_2(penstock: Penstock, server: SimpleNamespace) -> None:
    """What keeps the check itself from starting is told in one line."""
    server.error = server.StartError("the registry /none does not exist")

    result = penstock("check")

    assert result.exit_code == 2
    assert "the registry /none does not exist" in result.stderr
