"""What is kept back column by column, and what is deleted, appears nowhere; what shadows disagree about is kept."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from serving import Serving, until

from penstock.payloads.reading import open_files, rows_of, sealed_files

CANARY = "CANARY-0815"
NUMBER = 38217.75
PEOPLE = """
columns = {X = ["name", "zip", "city"], Y = ["name", "zip", "city"]}
[payloads]
redact = {name = "hash", "X.zip" = "truncate:2", city = "drop", "Y" = "drop", "Y.name" = "drop"}
subject = {input = "X.name"}
"""
NUMBERS = """
columns = {X = ["age", "income", "score"]}
[payloads]
redact = {"*" = "drop", age = "bucket:10"}
subject = {header = "x-user-id"}
"""
TABLED = f'{NUMBERS}sink = "parquet"\n'
SHADOWED = """
versions = "all"
[route]
stable = "1"
shadows = [{version = "2"}]
[payloads]
"""
SETTINGS = ("defaults.payloads.sample=1.0", "payloads.flush_s=0.02", "payloads.rotate_s=0.2", "shadows.show_values=true")
BUSY = ("shadows.device_share=1.0", "shadows.max_loop_load=1.0", 'telemetry.access_log="all"')
numbers = count()


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory, models: ModuleType) -> Iterator[Serving]:
    """A server whose models keep something back, or have shadows that disagree."""
    root = tmp_path_factory.mktemp("registry")
    for name, element, settings in (("people", "string", PEOPLE), ("numbers", "float", NUMBERS), ("tabled", "float", TABLED)):
        models.write_configured_model(root, name, models.identity(name, element, "batch,3"), 8)
        (root / name / "model.toml").write_text(settings)
    for name, kind, payloads in (
        ("hidden", "rare", 'redact = {X = "hash", Y = "drop"}'),
        ("failed", "failing", 'redact = {"*" = "drop"}'),
        ("disputed", "rare", "sample = 0.0\nkeep_disagreements = true"),
    ):
        models.write_shadowed(root, name, ["plain", kind])
        (root / name / "model.toml").write_text(f"{SHADOWED}{payloads}\n")
    with Serving(root, tmp_path_factory.mktemp("private")).during(*SETTINGS, *BUSY) as serving:
        yield serving


def ask(serving: Serving, protocol: str, model: str, wire: str, rows: list[list[Any]], **headers: str) -> str:
    """Ask, and return the request's id."""
    request_id = f"private-{next(numbers)}"
    asked = {"inputs": [{"name": "X", "datatype": wire, "shape": [len(rows), len(rows[0])], "data": rows}]}
    serving.transports[protocol].infer(model, asked, headers={"x-request-id": request_id, **headers})
    return request_id


def rows_there(serving: Serving, model: str) -> dict[str, dict[str, Any]]:
    """Return what is recorded of a model by request id, in files that are being written too."""
    root, found = serving.state / "payloads", {}
    for find in (open_files, sealed_files):  # a file that is sealed meanwhile is found as such
        for path in find(root, model):
            try:
                found |= {row["request_id"]: row for row in rows_of(path)}
            except FileNotFoundError:
                continue
    return found


def row_of(serving: Serving, model: str, request_id: str) -> dict[str, Any]:
    """Return the row of a request, once it is written."""
    return until(lambda: rows_there(serving, model).get(request_id), otherwise=lambda: f"{request_id} is in no file")


def values(row: dict[str, Any]) -> dict[str, Any]:
    """Return what is recorded of inputs by name."""
    return {cell["name"]: cell["data"] for cell in row["inputs"]}


def command(serving: Serving, *arguments: str, given: str = "") -> dict[str, Any]:
    """Return what `penstock payloads` says in JSON."""
    run = [Path(sys.executable).with_name("penstock"), "payloads", *arguments, "--json", "--set", f"server.state_dir={serving.state}"]
    ended = subprocess.run(run, input=given, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_columns_are_recorded_by_their_own_rules(private: Serving, protocol: str) -> None:
    """Each as a tensor of its own, with as many rows as were asked."""
    row = row_of(private, "people", ask(private, protocol, "people", "BYTES", [["ann", "80331", CANARY], ["bob", "10115", CANARY]]))
    found = values(row)
    assert found.keys() == {"X.name", "X.zip"}
    assert found["X.zip"] == ["80", "10"]
    assert row["subject"].split() == found["X.name"], "who knows a name can look for its hash"
    assert row["outputs"] == []
    row = row_of(private, "numbers", ask(private, protocol, "numbers", "FP32", [[37.5, NUMBER, 1.0]]))
    assert values(row) == {"X.age": [30.0]}
    assert (row["outputs"], row["subject"]) == ([], "")


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_what_is_kept_back_of_a_column_appears_nowhere(private: Serving, protocol: str) -> None:
    """Not in files, the log, metrics, answers of the admin listener, exports or reports of shadows that may show values."""
    asked = [
        row_of(private, "people", ask(private, protocol, "people", "BYTES", [[CANARY, CANARY, CANARY]])),
        row_of(private, "people", ask(private, protocol, "people", "BYTES", [[CANARY, CANARY]])),
        row_of(private, "numbers", ask(private, protocol, "numbers", "FP32", [[1.0, NUMBER, NUMBER]])),
        row_of(private, "numbers", ask(private, protocol, "numbers", "FP32", [[NUMBER, NUMBER]])),
        row_of(private, "hidden", ask(private, protocol, "hidden", "FP32", [[NUMBER, 0.0, 0.0, 0.0]])),
        row_of(private, "failed", ask(private, protocol, "failed", "FP32", [[NUMBER, 0.0, 0.0, 0.0]])),
    ]
    assert [row["status"] for row in asked] == ["OK", "INVALID_ARGUMENT", "OK", "INVALID_ARGUMENT", "OK", "OK"]
    assert [row["inputs"] for row in asked[1::2]] == [[], [], []]
    shadows = "/admin/models/{}/shadows"
    until(lambda: examples(private, shadows.format("hidden")))
    until(lambda: "withheld" in page(private, shadows.format("failed")))
    assert all(example["values"] is None for example in examples(private, shadows.format("hidden")))
    pages = [page(private, f"/admin/models/{model}{rest}") for model in ("people", "hidden") for rest in ("", "/payloads", "/shadows")]
    places = [path.read_bytes() for path in private.state.rglob("*") if path.is_file()]
    for place in [*places, *map(str.encode, [*pages, page(private, "/metrics"), private.log])]:
        assert CANARY.encode() not in place
        assert str(NUMBER).encode() not in place
        assert str(2 * NUMBER).encode() not in place


def test_check_warns_of_names_that_a_version_does_not_have(private: Serving, tmp_path: Path) -> None:
    """For what they were to keep back may be recorded under another name; that the model serves well is no problem."""
    program = str(Path(sys.executable).with_name("penstock"))
    rules = 'models.people.payloads={redact = {nmae = "drop", zip = "hash"}, subject = {input = "X.nam"}, keep = [{output = "Y.zip", above = 1}]}'
    given = [program, "check", "--registry", str(private.registry), "--model", "people", "--json", "--set", rules]
    ended = subprocess.run(given, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    (warning,) = json.loads(ended.stdout)["warnings"]
    assert warning == "people/1: payloads names what the version does not have: 'X.nam', 'nmae'"


def page(serving: Serving, path: str) -> str:
    """Return what the admin listener answers."""
    return serving.admin.get(path, headers=serving.authorized).text


def examples(serving: Serving, path: str) -> list[dict[str, Any]]:
    """Return the examples of a model's shadow."""
    (shadow,) = json.loads(page(serving, path))["shadows"]
    return [example for comparison in shadow["comparisons"] for example in comparison["examples"]]


def by_endpoint(serving: Serving, model: str, subject: str) -> dict[str, Any]:
    """Delete over the admin listener."""
    answer = serving.admin.post("/admin/payloads/delete", json={"subject": subject, "model": model}, headers=serving.authorized)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def by_command(serving: Serving, model: str, subject: str) -> dict[str, Any]:
    """Delete by the command, which reads the name from stdin."""
    return command(serving, "delete", model, "--subject", "-", given=f"{subject}\n")


@pytest.mark.parametrize("model", ["numbers", "tabled"])
@pytest.mark.parametrize("delete", [by_endpoint, by_command])
def test_what_is_recorded_of_a_subject_can_be_deleted(private: Serving, delete: Callable[..., dict[str, Any]], model: str) -> None:
    """By a header of HTTP or metadata of gRPC, and by a column; also from the file that is being written."""
    who = f"{delete.__name__} {model}"
    theirs = [ask(private, protocol, model, "FP32", [[1.0, 2.0, 3.0]], **{"x-user-id": who}) for protocol in ("http", "grpc")]
    other = ask(private, "http", model, "FP32", [[1.0, 2.0, 3.0]], **{"x-user-id": "another"})
    for request_id in [*theirs, other]:
        row_of(private, model, request_id)
    told = delete(private, model, who)
    assert told["rows"] + told["waiting"] == len(theirs)
    until(lambda: not rows_there(private, model).keys() & set(theirs))
    assert other in rows_there(private, model)
    named = ask(private, "grpc", "people", "BYTES", [[f"{who} ä", "1", "x"], ["another", "1", "x"]])
    row_of(private, "people", named)
    assert sum(delete(private, "people", f"{who} ä")[key] for key in ("rows", "waiting")) == 1
    until(lambda: named not in rows_there(private, "people"))


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({}, 400, "'subject' must be a text"),
        ({"subject": "ann", "befor": "2026"}, 400, "befor"),
        ({"subject": "ann", "before": "yesterday"}, 400, "use a time such as"),
        ({"subject": "ann", "before": "9999-12-31T23:59:59-10:00"}, 400, "use a time such as"),
        ({"subject": "ann", "model": "no such name!"}, 400, "no such name!"),
        ({"subject": "ann", "dry_run": 1}, 400, "dry_run"),
    ],
)
def test_a_deletion_that_makes_no_sense_is_refused(private: Serving, body: dict[str, Any], status: int, told: str) -> None:
    """And without the token each is."""
    assert private.admin.post("/admin/payloads/delete", json=body).status_code == 401
    answer = private.admin.post("/admin/payloads/delete", json=body, headers=private.authorized)
    assert answer.status_code == status
    assert told in answer.json()["error"]


def test_each_prediction_in_which_a_shadow_disagrees_is_recorded_and_no_other(private: Serving) -> None:
    """With the probability of 1, although nothing is sampled; what the shadow agrees to is let go."""
    asked = {ask(private, wire, "disputed", "FP32", [[first, 0, 0, 0]]): first for first in (0.1, 0.999) for wire in ("http", "grpc") * 8}
    disputed = {request_id for request_id, first in asked.items() if first > 0.995}
    until(lambda: rows_there(private, "disputed").keys() >= disputed)
    assert rows_there(private, "disputed").keys() == disputed
    assert {row["sampling_fraction"] for row in rows_there(private, "disputed").values()} == {1.0}


def test_what_is_in_force_is_told_and_the_subject_stays_as_the_settings_say(private: Serving) -> None:
    """Whose rows can be found again is no matter of an endpoint."""
    path = "/admin/models/people/payloads"
    told = private.admin.get(path, headers=private.authorized).json()
    assert (told["subject"], told["unmatched"]) == ({"input": "X.name"}, [])
    changed = private.admin.put(path, json={"keep": [{"output": "Y.nam", "above": 1}]}, headers=private.authorized)
    assert (changed.status_code, changed.json()["unmatched"]) == (200, ["Y.nam"])
    refused = private.admin.put(path, json={"subject": None}, headers=private.authorized)
    assert "subject can only be changed in the settings" in refused.json()["error"]
    private.admin.put(path, json={"keep": []}, headers=private.authorized)
