"""The admin listener's alias route: what it takes, what it answers, and where a change shows."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import httpx2
import pytest
from serving import Serving, until

PATH: Final = "/admin/models/tagged/aliases/champion"
ROW: Final = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [1.0, 2.0, 3.0, 4.0]}]}


@pytest.fixture(scope="module")
def serving(models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server of `tagged` with the versions 1 and 2, and 3 that is no graph; it logs every prediction."""
    root = tmp_path_factory.mktemp("registry")
    for number in (1, 2):
        models.write_tagged(root, number)
    (root / "tagged" / "3").mkdir()
    (root / "tagged" / "3" / "model.onnx").write_text("no graph")
    (root / "tagged" / "aliases.json").write_text('{"champion": "1", "other": "2"}')
    with Serving(root, tmp_path_factory.mktemp("aliases")).during("telemetry.access_log=all", "telemetry.log_format=json") as serving:
        yield serving


@pytest.fixture(autouse=True)
def reset(serving: Serving) -> None:
    """Begin with `champion` at version 1."""
    assert put(serving, {"version": "1"}).status_code == 200


def put(serving: Serving, body: object, path: str = PATH) -> httpx2.Response:
    """Ask to move an alias."""
    return serving.admin.put(path, json=body, headers=serving.authorized)


def report(serving: Serving) -> dict[str, Any]:
    """Return what the server tells of the model."""
    told: dict[str, Any] = serving.admin.get("/admin/models/tagged", headers=serving.authorized).json()
    return told


def answers(serving: Serving, version: str = "") -> str:
    """Return which version answers a prediction."""
    path = f"/versions/{version}" if version else ""
    answer = serving.client.post(f"/v2/models/tagged{path}/infer", json=ROW, headers={"x-request-id": f"asked-for-{version}"})
    told: str = answer.json()["model_version"]
    return told


@pytest.mark.parametrize("version", ["2", 2])
def test_put_moves_the_alias_and_says_so_everywhere(serving: Serving, version: object) -> None:
    """In the answer, in the file, in the report, in the metrics, in the next prediction and in its line of the log."""
    answer = put(serving, {"version": version})
    answered = answers(serving), answers(serving, "champion"), answers(serving, "2")
    told = report(serving)
    digests = {each["version"]: each["digest"] for each in told["versions"]}

    assert (answer.status_code, answer.json()) == (200, {"name": "tagged", "aliases": {"champion": "2", "other": "2"}, "pending": {}})
    assert json.loads((serving.registry / "tagged" / "aliases.json").read_text()) == {"champion": "2", "other": "2"}
    assert answered == ("2", "2", "2")
    assert {each["version"]: each["aliases"] for each in told["versions"]}["2"] == ["champion", "other"]
    event = told["events"][-1]
    assert {key: event[key] for key in ("who", "what", "before", "after")} == {
        "who": "admin", "what": "alias champion", "before": "1", "after": "2",
    }  # fmt: skip
    info = f'penstock_version_info{{aliases="champion,other",digest="{digests["2"]}",model="tagged",version="2"}} 1.0'
    assert info in serving.admin.get("/metrics").text
    for asked, alias in (("", "champion"), ("champion", "champion"), ("2", "")):
        assert line_of(serving, f"asked-for-{asked}") == ("2", digests["2"], alias)


def line_of(serving: Serving, request_id: str) -> tuple[str, str, str]:
    """Return version, digest and alias in the last line of the log about a request, once that is written."""

    def found() -> list[dict[str, str]]:
        lines = [json.loads(line) for line in serving.log.splitlines() if request_id in line]
        return [line for line in lines if line["request_id"] == request_id and line["version"] == "2"]

    until(lambda: bool(found()))
    line = found()[-1]
    return line["version"], line["digest"], line["alias"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "'version' is 'None'"),
        ({"version": "champion"}, "must be a version number"),
        ({"version": "01"}, "must be a version number"),
        ({"version": 0}, "must be a version number"),
        ({"version": True}, "must be a version number"),
        ({"version": 1.0}, "must be a version number"),
        ({"version": "1", "force": "yes"}, "'force' must be true or false"),
        ({"version": "1", "why": "x"}, "unknown key 'why'"),
        (["1"], "send a JSON object"),
    ],
)
def test_body_that_says_nothing_sensible_is_refused(serving: Serving, body: object, said: str) -> None:
    """With the value seen and what to send."""
    answer = put(serving, body)

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_ARGUMENT")
    assert said in answer.json()["error"]
    assert report(serving)["aliases"]["champion"] == "1"


@pytest.mark.parametrize(
    ("path", "version", "status", "code", "said"),
    [
        ("/admin/models/tagged/aliases/latest", "1", 400, "INVALID_ARGUMENT", "the alias 'latest' is not valid"),
        ("/admin/models/tagged/aliases/v3", "1", 400, "INVALID_ARGUMENT", "the alias 'v3' is not valid"),
        ("/admin/models/..%2e/aliases/champion", "1", 400, "INVALID_ARGUMENT", "the model name"),
        ("/admin/models/nobody/aliases/champion", "1", 404, "NOT_FOUND", "no such model: 'nobody'"),
        (PATH, "9", 404, "NOT_FOUND", "has no version 9 in the registry; it has: 1, 2, 3"),
        (PATH, "3", 409, "CONFLICT", "version 3 of 'tagged' cannot be served: "),
    ],
)
def test_move_that_leads_nowhere_is_refused_and_changes_nothing(
    *, serving: Serving, path: str, version: str, status: int, code: str, said: str
) -> None:
    """The answer says what is there, and never where."""
    answer = put(serving, {"version": version}, path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert said in answer.json()["error"]
    assert str(serving.registry) not in answer.text
    assert (report(serving)["aliases"]["champion"], answers(serving)) == ("1", "1")


def test_forced_move_is_pending_until_its_version_is_ready(serving: Serving) -> None:
    """Here for good, since the version is broken; requests go on being answered."""
    answer = put(serving, {"version": "3", "force": True})

    assert answer.json() == {"name": "tagged", "aliases": {"champion": "1", "other": "2"}, "pending": {"champion": "3"}}
    assert answers(serving) == "1"
    until(lambda: any(version["state"] == "FAILED" for version in report(serving)["versions"]))


def test_alias_is_taken_away_and_set_anew(serving: Serving) -> None:
    """To take away what is not there is no error."""
    path = "/admin/models/tagged/aliases/passing"
    made = put(serving, {"version": "2"}, path).json()["aliases"]
    gone = [serving.admin.delete(path, headers=serving.authorized) for _ in range(2)]

    assert made["passing"] == "2"
    assert [answer.status_code for answer in gone] == [200, 200]
    assert "passing" not in gone[1].json()["aliases"]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}])
def test_moves_need_the_token(serving: Serving, method: str, headers: dict[str, str]) -> None:
    """Before anything else is looked at."""
    answer = serving.admin.request(method, PATH, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")


def test_other_methods_and_listeners_do_not_have_the_route(serving: Serving) -> None:
    """The prediction listener changes nothing."""
    assert serving.admin.get(PATH, headers=serving.authorized).status_code == 405
    assert serving.client.put(PATH, json={"version": "2"}, headers=serving.authorized).status_code == 404


def test_registry_that_takes_no_changes_is_a_conflict(serving: Serving) -> None:
    """Here a damaged file, which may hold what somebody else has said."""
    file = Path(serving.registry / "tagged" / "aliases.json")
    before = file.read_text()
    file.write_text("{")
    answer = put(serving, {"version": "2"})
    file.write_text(before)

    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
    assert "mend or remove the file first" in answer.json()["error"]
    assert answers(serving) == "1"
