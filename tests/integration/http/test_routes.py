"""Traffic routes, on a real server: who answers over which wire, and what the admin listener takes and tells."""

import json
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import httpx2
import pytest
from scipy.stats import chisquare
from serving import Serving, until

ROW: Final = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [1.0, 2.0, 3.0, 4.0]}]}
PATH: Final = "/admin/models/tagged/route"
STICKY: Final = {
    "stable": "champion",
    "canaries": [{"name": "b", "version": "challenger", "weight": 30.0}, {"name": "c", "version": "3", "weight": 20.0}],
    "sticky": {"header": "X-User-Id"},
    "override": True,
}
FULL: Final = {"canaries": [], "shadows": [], "sticky": None, "override": False}


@pytest.fixture(scope="module")
def registry(models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry of `tagged` with three versions, all of which are wanted."""
    root = tmp_path_factory.mktemp("registry")
    for number in (1, 2, 3):
        models.write_tagged(root, number)
    (root / "tagged" / "aliases.json").write_text('{"champion": "1", "challenger": "2"}')
    (root / "tagged" / "model.toml").write_text('versions = "all"\n')
    models.write_mlp(root)
    return root


@pytest.fixture(scope="module")
def serving(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server that logs every prediction."""
    with Serving(registry, tmp_path_factory.mktemp("routes")).during("telemetry.access_log=all", "telemetry.log_format=json") as serving:
        yield serving


@pytest.fixture(autouse=True)
def reset(serving: Serving) -> None:
    """Begin without a route, with the aliases as they were."""
    assert serving.admin.delete(PATH, headers=serving.authorized).status_code == 204
    for alias, number in (("champion", "1"), ("challenger", "2")):
        moved = serving.admin.put(f"/admin/models/tagged/aliases/{alias}", json={"version": number}, headers=serving.authorized)
        assert moved.status_code == 200, moved.text


@contextmanager
def running(registry: Path, home: Path, *settings: str) -> Iterator[Serving]:
    """Start a server, and kill it in the end."""
    server = Serving(registry, home)
    try:
        server.start(*settings)
        yield server
    finally:
        server.kill()
        for closable in (server.client, server.admin, server.channel):
            closable.close()


def put(serving: Serving, route: object, **headers: str) -> httpx2.Response:
    """Set the route."""
    return serving.admin.put(PATH, json=route, headers={**serving.authorized, **headers})


def post(serving: Serving, what: str, body: object = None) -> httpx2.Response:
    """Promote or roll back."""
    return serving.admin.post(f"/admin/models/tagged/{what}", json=body, headers=serving.authorized)


def report(serving: Serving) -> dict[str, Any]:
    """Return what the server tells of the model."""
    told: dict[str, Any] = serving.admin.get("/admin/models/tagged", headers=serving.authorized).json()
    return told


def asked(serving: Serving, wire: str = "http", version: str = "", **headers: str) -> tuple[str, str]:
    """Ask, and return the version that answered and its arm, each as the answer's headers tell it."""
    answer = serving.transports[wire].infer("tagged", ROW, version, {name.replace("_", "-"): value for name, value in headers.items()})
    assert answer.family == "OK", answer.text
    return answer.headers["penstock-model-version"], answer.headers["penstock-arm"]


def test_put_answers_with_the_route_and_is_in_force_at_once(serving: Serving) -> None:
    """Over both wires; the report and the events say so."""
    answer = put(serving, {"canaries": [{"name": "b", "version": "2", "weight": 100}]})
    told = serving.admin.get(PATH, headers=serving.authorized)

    assert answer.status_code == 200
    assert answer.json() == {**FULL, "stable": "champion", "canaries": [{"name": "b", "version": "2", "weight": 100.0}]}
    assert (told.json(), told.headers["etag"]) == (answer.json(), answer.headers["etag"])
    assert {asked(serving, wire) for wire in ("http", "grpc")} == {("2", "b")}
    told_of_route = report(serving)["route"]
    assert [(arm["name"], arm["number"], arm["weight"], arm["ready"]) for arm in told_of_route.pop("arms")] == [
        ("stable", "1", 0.0, True),
        ("b", "2", 100.0, True),
    ]
    assert len(told_of_route.pop("duration_bounds_s")) == 20
    assert told_of_route == {
        "revision": int(told.headers["etag"].strip('"')), "origin": "admin", "in_force": True, "problem": "", "route": told.json(),
    }  # fmt: skip
    event = report(serving)["events"][-1]
    assert (event["who"], event["what"], event["after"]) == ("admin", "route", "stable = champion, b = 2 at 100 %")


@pytest.mark.parametrize("count", [1_500, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_arms_get_what_their_weights_say(serving: Serving, count: int) -> None:
    """Over HTTP and gRPC together, by chi-square."""
    canaries = [{"name": "b", "version": "challenger", "weight": 7}, {"name": "c", "version": "3", "weight": 3}]
    assert put(serving, {"canaries": canaries}).status_code == 200

    seen = Counter(asked(serving, ("http", "grpc")[number % 2]) for number in range(count))

    expected = {("1", "stable"): 0.90, ("2", "b"): 0.07, ("3", "c"): 0.03}
    assert seen.keys() <= expected.keys()
    assert chisquare([seen[arm] for arm in expected], [share * count for share in expected.values()]).pvalue > 0.001


def test_same_caller_gets_the_same_arm_over_both_wires_and_after_a_restart(registry: Path, tmp_path: Path) -> None:
    """And after the server has been killed at once."""
    keys = [f"user-{number}" for number in range(60)]
    with running(registry, tmp_path) as server:
        assert put(server, STICKY).status_code == 200
        before = {key: {asked(server, wire, x_user_id=key) for wire in ("http", "grpc")} for key in keys}
    with running(registry, tmp_path) as server:
        after = {key: {asked(server, wire, x_user_id=key) for wire in ("grpc", "http")} for key in keys}

    assert after == before
    assert {len(arms) for arms in before.values()} == {1}
    assert {arm for arms in before.values() for _, arm in arms} == {"stable", "b", "c"}


def test_version_in_the_request_bypasses_the_route(serving: Serving) -> None:
    """Its arm is `pinned`."""
    assert put(serving, {"canaries": [{"name": "b", "version": "2", "weight": 100}]}).status_code == 200
    assert [asked(serving, wire, "3") for wire in ("http", "grpc")] == [("3", "pinned")] * 2


def test_caller_may_choose_an_arm_where_the_route_allows_it(serving: Serving) -> None:
    """And hears what there is where he cannot."""
    assert put(serving, STICKY).status_code == 200
    for wire in ("http", "grpc"):
        chosen = [asked(serving, wire, penstock_route=arm, x_user_id="u") for arm in ("stable", "b", "c")]
        assert chosen == [("1", "stable"), ("2", "b"), ("3", "c")]
        unknown = serving.transports[wire].infer("tagged", ROW, "", {"penstock-route": "d"})
        assert (unknown.family, "'d', which is no arm of 'tagged'; it has: stable, b, c" in unknown.text) == ("INVALID_ARGUMENT", True)
    assert put(serving, {**STICKY, "override": False}).status_code == 200
    for wire in ("http", "grpc"):
        refused = serving.transports[wire].infer("tagged", ROW, "", {"penstock-route": "b"})
        assert (refused.family, "lets nobody choose an arm" in refused.text) == ("INVALID_ARGUMENT", True)


def test_key_may_come_from_an_input(serving: Serving) -> None:
    """Only one of text or whole numbers: callers do not repeat others to the bit."""
    answer = put(serving, {"sticky": {"input": "X"}, "canaries": [{"name": "b", "version": "2", "weight": 50}]})
    assert (answer.status_code, "the sticky input 'X' is FP32; a key is read from BYTES or integers" in answer.text) == (409, True)


def test_alias_that_moves_takes_its_arm_along(serving: Serving) -> None:
    """A route names aliases, not what they named once."""
    assert put(serving, {"canaries": [{"name": "b", "version": "challenger", "weight": 100}]}).status_code == 200
    moved = serving.admin.put("/admin/models/tagged/aliases/challenger", json={"version": "3"}, headers=serving.authorized)
    assert (moved.status_code, asked(serving)) == (200, ("3", "b"))


def test_records_tell_the_arm(serving: Serving) -> None:
    """The log by its name, the metrics by a label that no name of a canary can widen."""
    assert put(serving, STICKY).status_code == 200
    number = random.randrange(10**9)
    asked(serving, penstock_route="b", x_request_id=f"arm-{number}")
    asked(serving, penstock_route="c")

    until(lambda: f"arm-{number}" in serving.log)
    line = next(json.loads(line) for line in serving.log.splitlines() if f"arm-{number}" in line)
    page = serving.admin.get("/metrics").text
    assert (line["arm"], line["version"], line["alias"]) == ("b", "2", "challenger")
    assert 'penstock_requests_total{model="tagged",protocol="http",route="canary",status="OK",version="2"}' in page
    assert 'penstock_request_duration_seconds_count{model="tagged",route="canary",version="3"}' in page
    assert 'route="b"' not in page


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"stabel": "1"}, "unknown field `stabel`"),
        ({"canaries": [{"name": "b", "version": "2"}]}, "missing required field `weight`"),
        ({"canaries": [{"name": "b", "version": "2", "weight": "5"}]}, "Expected `float`, got `str`"),
        ({"canaries": [{"name": "b", "version": "2", "weight": 5.125}]}, "is 5.125; it may have two decimals"),
        ({"canaries": [{"name": "b", "version": "2", "weight": -1}]}, "is -1; it must be a percentage from 0 to 100"),
        ({"canaries": [{"name": name, "version": "2", "weight": 60} for name in "bc"]}, "add up to 120 %; 100 is the most"),
        ({"canaries": [{"name": "b", "version": "2", "weight": 1}] * 2}, "2 canaries are called 'b'"),
        ({"canaries": [{"name": "stable", "version": "2", "weight": 1}]}, "cannot be called 'stable'"),
        ({"canaries": [{"name": "b c", "version": "2", "weight": 1}]}, "the canary's name 'b c' is not valid"),
        ({"stable": "01"}, "the version '01' is neither a number nor an alias"),
        ({"shadows": [{"version": "2", "sample": 2}]}, "the sample of shadow '2' is 2; it must be a share from 0 to 1"),
        ({"sticky": {}}, "sticky must name one place of the key"),
        ({"sticky": {"header": "a", "input": "b"}}, "sticky must name one place of the key"),
        ({"sticky": {"header": "a b"}}, "the sticky header 'a b' cannot be the name of a header"),
        ([], "send a JSON object"),
    ],
)
def test_route_that_makes_no_sense_is_refused(serving: Serving, route: object, said: str) -> None:
    """With what is wrong, and the value seen; what was in force stays in force."""
    assert put(serving, STICKY).status_code == 200
    answer = put(serving, route)

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_ARGUMENT")
    assert said in answer.json()["error"]
    assert serving.admin.get(PATH, headers=serving.authorized).json()["canaries"] == STICKY["canaries"]


def test_route_to_a_version_that_is_not_ready_is_refused(serving: Serving) -> None:
    """With what is ready, and what to do."""
    for version, said in (("9", "version 9 is not ready, ready are: 1, 2, 3"), ("nobody", "the model has no alias 'nobody'")):
        answer = put(serving, {"canaries": [{"name": "b", "version": version, "weight": 1}]})
        assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
        assert said in answer.json()["error"]
    assert serving.admin.get(PATH, headers=serving.authorized).status_code == 404


def test_change_of_a_route_that_somebody_else_has_changed_is_refused(serving: Serving) -> None:
    """The etag of an answer names what was seen."""
    seen = put(serving, {}).headers["etag"]
    assert put(serving, {**STICKY}, **{"if-match": seen}).status_code == 200
    late = put(serving, {}, **{"if-match": seen})

    assert (late.status_code, late.json()["code"]) == (412, "PRECONDITION_FAILED")
    assert serving.admin.get(PATH, headers=serving.authorized).json()["canaries"] == STICKY["canaries"]
    assert put(serving, {}, **{"if-match": "yesterday"}).status_code == 400
    assert put(serving, {}, **{"if-match": "*"}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_stranger_learns_and_changes_nothing(serving: Serving, method: str) -> None:
    """The prediction listener does not even know the path."""
    answer = serving.admin.request(method, PATH, json={} if method == "PUT" else None)
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
    assert serving.client.request(method, PATH).status_code == 404


def test_unknown_model_has_no_route(serving: Serving) -> None:
    """Whatever is asked of it."""
    for method, path in (("PUT", "route"), ("GET", "route"), ("DELETE", "route"), ("POST", "promote"), ("POST", "rollback")):
        answer = serving.admin.request(method, f"/admin/models/nobody/{path}", headers=serving.authorized)
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND"), (method, path)


def test_promotion_moves_the_alias_and_rollback_moves_it_back(serving: Serving) -> None:
    """In the registry too, where other servers and people look."""
    aliases = serving.registry / "tagged" / "aliases.json"
    route = {**STICKY, "canaries": STICKY["canaries"][:1]}
    assert put(serving, route).status_code == 200

    promoted = post(serving, "promote")
    assert (promoted.status_code, promoted.json()["stable_version"]) == (200, "2")
    assert promoted.json()["route"]["canaries"] == []
    assert json.loads(aliases.read_text())["champion"] == "2"
    assert asked(serving) == ("2", "stable")

    back = post(serving, "rollback")
    assert (back.status_code, back.json()["stable_version"]) == (200, "1")
    assert json.loads(aliases.read_text())["champion"] == "1"
    assert asked(serving) == ("1", "stable")


def test_promotion_of_a_stable_number_changes_the_route(serving: Serving) -> None:
    """And rolling back twice is where one was."""
    canaries = [{"name": "b", "version": "3", "weight": 5}, {"name": "c", "version": "1", "weight": 5}]
    assert put(serving, {"stable": "2", "canaries": canaries}).status_code == 200
    unclear = post(serving, "promote")
    assert (unclear.status_code, "2 canaries, so say which one to promote; it has: b, c" in unclear.text) == (409, True)

    promoted = post(serving, "promote", {"canary": "b"})
    assert (promoted.status_code, promoted.json()["route"]["stable"]) == (200, "3")
    assert [canary["name"] for canary in promoted.json()["route"]["canaries"]] == ["c"]
    assert post(serving, "rollback").json()["route"] == {**FULL, "stable": "3"}  # the canary goes first
    assert post(serving, "rollback").json()["route"]["stable"] == "2"
    assert post(serving, "rollback").json()["route"]["stable"] == "3"


@pytest.mark.parametrize(
    ("what", "body", "status", "said"),
    [
        ("promote", None, 409, "has no route, so there is no canary to promote"),
        ("promote", {"canary": 1}, 400, "'canary' is '1'; it must be the name of a canary"),
        ("promote", {"who": "b"}, 400, "unknown key 'who'; the body may hold canary"),
        ("rollback", {"to": "1"}, 400, "unknown key 'to'; send no body"),
    ],
)
def test_end_of_a_canary_that_makes_no_sense_is_refused(*, serving: Serving, what: str, body: object, status: int, said: str) -> None:
    """Nothing has moved then."""
    answer = post(serving, what, body)
    assert (answer.status_code, said in answer.json()["error"]) == (status, True), answer.text


def test_rollback_without_a_route_returns_the_champion(serving: Serving) -> None:
    """An alias that was moved by hand has a way back too."""
    moved = serving.admin.put("/admin/models/tagged/aliases/champion", json={"version": "3"}, headers=serving.authorized)
    assert moved.status_code == 200
    back = post(serving, "rollback")
    assert (back.status_code, back.json()) == (200, {"model": "tagged", "stable_version": "1", "route": None})


def test_arm_whose_version_is_gone_leaves_its_requests_to_the_stable_one(models: ModuleType, tmp_path: Path) -> None:
    """No request fails, and the events say why."""
    root = tmp_path / "registry"
    for number in (1, 2):
        models.write_tagged(root, number)
    (root / "tagged" / "aliases.json").write_text('{"champion": "1", "next": "2"}')
    with running(root, tmp_path, "defaults.keep_warm_s=0") as server:
        assert put(server, {"canaries": [{"name": "b", "version": "2", "weight": 100}]}).status_code == 200
        assert asked(server) == ("2", "b")
        (root / "tagged" / "aliases.json").write_text('{"champion": "1"}')
        (root / "tagged" / "model.toml").write_text('versions = ["1"]\n')
        assert server.load("tagged").status_code == 200
        until(lambda: asked(server) == ("1", "stable"))
        until(lambda: any("version 2 is not ready" in event["why"] for event in report(server)["events"] if event["what"] == "route"))


def test_route_of_the_settings_wins_again_when_it_has_changed(registry: Path, tmp_path: Path) -> None:
    """Until then the one that was set on request holds, restarts or not."""

    def seen(weight: int, change: object = None) -> tuple[float, str, str]:
        with running(
            registry, tmp_path, f'models.tagged.route={{canaries = [{{name = "b", version = "2", weight = {weight}}}]}}'
        ) as server:
            if change is not None:
                assert put(server, change).status_code == 200
            told = report(server)
            assert told["route"]["in_force"]
            changes = [event["why"] for event in told["events"] if event["what"] == "route" and event["who"] == "registry"]
            return told["route"]["route"]["canaries"][0]["weight"], told["route"]["origin"], "".join(changes)

    by_request, changed = {"canaries": [{"name": "b", "version": "2", "weight": 50}]}, "the settings' own route has changed"
    assert seen(10) == (10.0, "file", changed)
    assert seen(10, by_request) == (50.0, "admin", "")
    assert seen(10) == (50.0, "admin", "")
    assert seen(20) == (20.0, "file", changed)


def test_check_leaves_the_route_of_a_running_server_alone(registry: Path, tmp_path: Path) -> None:
    """Whatever route its settings have: they are looked at, and not applied."""
    with running(registry, tmp_path) as server:
        assert put(server, {"canaries": [{"name": "b", "version": "2", "weight": 50}]}).status_code == 200
        kept = (tmp_path / "state" / "routes" / "tagged.json").read_text()
        command = [*map(str, server.command), "check", "--registry", str(registry), "--set", f"server.state_dir={tmp_path / 'state'}"]
        checked = subprocess.run([*command, "--set", 'models.tagged.route={stable = "3"}'], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        assert (tmp_path / "state" / "routes" / "tagged.json").read_text() == kept


def test_route_can_be_changed_while_the_settings_make_no_sense(models: ModuleType, tmp_path: Path) -> None:
    """The way back must not wait for a typo."""
    root = tmp_path / "registry"
    for number in (1, 2):
        models.write_tagged(root, number)
    (root / "tagged" / "aliases.json").write_text('{"champion": "1", "next": "2"}')
    with running(root, tmp_path) as server:
        assert put(server, {"canaries": [{"name": "b", "version": "2", "weight": 100}]}).status_code == 200
        (root / "tagged" / "model.toml").write_text("no_such_key = 1\n")
        server.load("tagged")
        assert post(server, "rollback").status_code == 200
        assert asked(server) == ("1", "stable")
