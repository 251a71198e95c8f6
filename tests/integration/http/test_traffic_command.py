"""`penstock traffic` against a real server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result
from serving import Serving

from penstock.cli.main import commands

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def serving(models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with two versions of `tagged`."""
    root = tmp_path_factory.mktemp("registry")
    for number in (1, 2):
        models.write_tagged(root, number)
    (root / "tagged" / "aliases.json").write_text('{"champion": "1", "challenger": "2"}')
    with Serving(root, tmp_path_factory.mktemp("commands")).during() as serving:
        yield serving


@pytest.fixture
def run(serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs a command of the group on the server, which has no route."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "penstock.toml").write_text(
        f'[server]\nstate_dir = "{serving.state}"\nadmin_port = {serving.addresses["admin"].split(":")[1]}\n'
    )

    def run(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(commands, ["traffic", *arguments], input=stdin, prog_name="penstock")

    assert run("set", "tagged", "--remove").exit_code == 0
    return run


def shown(run: Run) -> dict[str, Any]:
    """Return the route of the model."""
    result = run("show", "tagged", "--json")
    assert result.exit_code == 0
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_options_change_what_they_name_and_leave_the_rest(run: Run) -> None:
    """So that a weight can be changed without knowing the whole route."""
    first = run("set", "tagged", "--canary", "b=challenger:5", "--sticky-header", "x-user-id", "--override")
    assert (first.exit_code, "b       2 (challenger)  5 %" in first.stdout) == (0, True), first.output
    assert run("shadow", "tagged", "2", "--sample", "0.25").exit_code == 0
    assert run("set", "tagged", "--canary", "challenger:12.5", "--no-override").exit_code == 0

    assert shown(run)["route"] == {
        "stable": "champion",
        "canaries": [{"name": "challenger", "version": "challenger", "weight": 12.5}],
        "shadows": [{"version": "2", "sample": 0.25}],
        "sticky": {"header": "x-user-id"},
        "override": False,
    }
    assert run("shadow", "tagged", "2", "--remove").exit_code == 0
    assert run("set", "tagged", "--no-canaries", "--no-sticky", "--stable", "2").exit_code == 0
    assert shown(run)["route"] == {"stable": "2", "canaries": [], "shadows": [], "sticky": None, "override": False}


def test_shadow_that_is_not_there_is_not_removed(run: Run) -> None:
    """And makes no route where there is none, which would go on without anybody having asked for it."""
    told = run("shadow", "tagged", "2", "--remove", "--json")
    assert (told.exit_code, json.loads(told.stdout)) == (0, None), told.output
    assert told.stderr == "'2' is no shadow of tagged: nothing is to be removed\n"
    assert run("shadow", "tagged", "2").exit_code == 0
    before = shown(run)
    assert run("shadow", "tagged", "challenger", "--remove").exit_code == 0
    assert shown(run)["revision"] == before["revision"]


def test_file_sets_the_whole_route(run: Run) -> None:
    """Also from standard input."""
    assert run("set", "tagged", "--sticky-header", "x-user-id").exit_code == 0
    assert run("set", "tagged", "--file", "-", stdin='{"stable": "2"}').exit_code == 0
    assert shown(run)["route"] == {"stable": "2", "canaries": [], "shadows": [], "sticky": None, "override": False}


def test_canary_is_promoted_and_taken_back(run: Run) -> None:
    """Each says who is the stable version now."""
    assert run("set", "tagged", "--canary", "b=challenger:5").exit_code == 0
    promoted, back = run("promote", "tagged"), run("rollback", "tagged", "--json")
    assert (promoted.exit_code, promoted.stdout.splitlines()[0]) == (0, "tagged: version 2 is the stable one")
    assert (back.exit_code, json.loads(back.stdout)["stable_version"]) == (0, "1")


def test_watch_tells_of_each_interval(run: Run, serving: Serving) -> None:
    """As tables, or a line of JSON for each."""
    assert run("set", "tagged", "--canary", "b=challenger:100").exit_code == 0
    table = run("show", "tagged", "--watch", "--count", "2", "--every", "0.1")
    lines = run("show", "tagged", "--watch", "--count", "2", "--every", "0.1", "--json").stdout.splitlines()
    assert table.stdout.count("b       2 (challenger)  100 %   0.0/s") == 2
    assert [json.loads(line)["arms"][1]["name"] for line in lines] == ["b", "b"]
    serving.assert_balanced()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["set", "tagged"], 2, "nothing is to change"),
        (["set", "tagged", "--canary", "b"], 2, "'b' is no canary; write NAME=VERSION:PERCENT"),
        (["set", "tagged", "--canary", "b=2:much"], 2, "is no canary"),
        (["set", "tagged", "--canary", "b=9:5"], 1, "version 9 is not ready, ready are: 1, 2"),
        (["set", "tagged", "--canary", "b=2:60", "--canary", "c=2:60"], 1, "add up to 120 %"),
        (["set", "tagged", "--file", "absent.json"], 2, "No such file"),
        (["show", "nobody"], 1, "unknown model 'nobody'"),
        (["promote", "tagged"], 1, "has no route"),
        (["show", "tagged", "--admin", "127.0.0.1:1"], 1, "no admin listener answers at 127.0.0.1:1"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(run: Run, arguments: list[str], code: int, said: str) -> None:
    """With exit code 2 for a mistake in usage, and 1 for what the server refuses."""
    result = run(*arguments)
    assert (result.exit_code, said in result.stderr) == (code, True), result.output
