"""The audit log of a real server: whoever changes something is in it, by name, and nobody can take that out unseen."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from keyring import KEYS, Keyed, bearer, keys_file, put
from serving import Serving, until

from penstock.wire import inference as pb

MODEL: Final = "/admin/models/addsub"
REPOSITORY: Final = "/v2/repository/models/addsub"
RPC: Final = "/inference.GRPCInferenceService"
CHANGES: Final = (
    ("PUT", f"{MODEL}/aliases/blue", {"version": "1"}, "alias blue"),
    ("DELETE", f"{MODEL}/aliases/blue", None, "alias blue"),
    ("PUT", f"{MODEL}/route", {"stable": "1", "canaries": [{"name": "b", "version": "3", "weight": 5}]}, "route"),
    ("POST", f"{MODEL}/promote", {"canary": "b"}, "promote"),
    ("POST", f"{MODEL}/rollback", None, "roll back"),
    ("DELETE", f"{MODEL}/route", None, "route"),
    ("PUT", f"{MODEL}/route", {"stable": "1"}, "route"),
    ("POST", f"{MODEL}/rollout", {"canary": "3", "steps": [{"weight": 50, "hold_s": 3600}]}, "rollout begun"),
    ("POST", f"{MODEL}/rollout/pause", None, "rollout pause"),
    ("POST", f"{MODEL}/rollout/resume", None, "rollout resume"),
    ("DELETE", f"{MODEL}/rollout", None, "rollout abort"),
    ("PUT", f"{MODEL}/payloads", {"sample": 0.5}, "payloads"),
    ("POST", f"{REPOSITORY}/unload", None, "unload"),
    ("POST", f"{REPOSITORY}/load", None, "load"),
    ("POST", "/v2/logging", {"log_verbose_level": 1}, "log settings"),
)
WANTS_BOTH: Final = ('models.addsub.versions="all"', "models.addsub.keep_warm_s=600")


def entries(server: Serving, headers: dict[str, str], **query: object) -> list[dict[str, Any]]:
    """Return the entries of the log, the newest first."""
    answer = server.admin.get("/admin/events", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["events"])


def newest(server: Serving, headers: dict[str, str], what: str) -> dict[str, Any]:
    """Return the newest entry of a kind."""
    return next(entry for entry in entries(server, headers) if entry["what"] == what)


@pytest.fixture(scope="module", params=["keys", "token"])
def asked(
    request: pytest.FixtureRequest, keyed: Keyed, registry: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Serving, dict[str, str], str, str]]:
    """A server with keys, and one with the token: with the header that may manage it, and who that is."""
    if request.param == "keys":
        with keyed(*WANTS_BOTH) as serving:
            yield serving, bearer("all"), "all", "key"
        return
    serving = Serving(registry, tmp_path_factory.mktemp("audited"))
    try:
        serving.start('models.slow.warmup="off"', *WANTS_BOTH)
        yield serving, {"authorization": f"Bearer {serving.token}"}, "admin", "token"
        serving.stop()
    finally:
        serving.kill()


def test_every_change_is_recorded_with_who_made_it(asked: tuple[Serving, dict[str, str], str, str]) -> None:
    """Over HTTP and gRPC; what the server did by itself is its own, and the chain holds."""
    server, headers, who, via = asked
    seen = 0
    for method, path, body, what in CHANGES:
        answer = server.admin.request(method, path, headers=headers, json=body)
        assert answer.status_code < 300, (method, path, answer.text)
        entry = newest(server, headers, what)
        assert entry["seq"] > seen, (what, "is not in the log")
        assert (entry["who"], entry["via"]) == (who, via), entry
        assert entry["model"] == ("" if what == "log settings" else "addsub")
        assert entry["before"] or entry["after"]
        seen = entry["seq"]
    for method, message in (
        ("RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name="addsub")),
        ("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="addsub")),
        ("LogSettings", pb.LogSettingsRequest(settings={"log_verbose_level": {"uint32_param": 0}})),
    ):
        call = server.channel.unary_unary(f"{RPC}/{method}")
        call(message.SerializeToString(), metadata=[*headers.items()], timeout=60)
        what = {"RepositoryModelUnload": "unload", "RepositoryModelLoad": "load", "LogSettings": "log settings"}[method]
        entry = newest(server, headers, what)
        assert entry["seq"] > seen, method
        assert (entry["who"], entry["via"]) == (who, via), entry
        seen = entry["seq"]
    own = [entry for entry in entries(server, headers, who="server") if entry["what"] in ("server", "version 1")]
    assert own
    assert {entry["via"] for entry in own} == {"server"}
    verified = command(server, "verify")
    assert verified.returncode == 0, verified.stderr
    assert "are as they were written" in verified.stdout
    assert "penstock_audit_lost_total 0.0" in server.admin.get("/metrics").text


def test_what_is_refused_or_only_read_changes_nothing_in_the_log(asked: tuple[Serving, dict[str, str], str, str]) -> None:
    """A log of what happened, not of what was asked."""
    server, headers, _, _ = asked
    before = entries(server, headers)[0]["seq"]
    for method, path in (("GET", MODEL), ("GET", "/v2/logging"), ("PUT", f"{MODEL}/aliases/blue"), ("POST", f"{MODEL}/promote")):
        server.admin.request(method, path, headers=headers)
    for method, path, body, _ in CHANGES:
        assert server.admin.request(method, path, json=body).status_code == 401

    assert entries(server, headers)[0]["seq"] == before


def test_keys_that_come_and_go_are_recorded_for_those_who_may_know(keyed: Keyed) -> None:
    """By name and the first digits of the digest, which tell nothing of the key. A key for one model does not read of all."""
    with keyed() as server:
        for name in ("one", "reader", "caller"):
            assert server.admin.get("/admin/events", headers=bearer(name)).status_code == 403
        assert server.admin.get("/admin/events").status_code == 401
        put(keys_file(server), *KEYS[1:])

        until(lambda: any(entry["what"] == "file of keys" for entry in entries(server, bearer("all"))))

        entry = newest(server, bearer("all"), "file of keys")
        assert (entry["who"], entry["via"]) == ("server", "server")
        assert entry["before"].startswith(f"caller {KEYS[0].id}: predict")
        assert entry["after"] == ""


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "1001"}, {"before": "x"}, {"before": "-1"}, {"page": "2"}, {"limit": "²"}])
def test_bad_question_is_told(asked: tuple[Serving, dict[str, str], str, str], query: dict[str, str]) -> None:
    """With what it may hold."""
    answer = asked[0].admin.get("/admin/events", params=query, headers=asked[1])

    assert answer.status_code == 400
    assert "use " in answer.json()["error"]


def test_command_lists_and_finds_a_line_that_was_changed(keyed: Keyed) -> None:
    """Exit code 1, and the line."""
    with keyed() as server:
        server.admin.post(f"{REPOSITORY}/unload", headers=bearer("all"))
        listed = command(server, "--model", "addsub", "--who", "all")
        assert listed.stdout.splitlines()[-1].endswith("all (key)  addsub  unload: ready: 1, 3 -> none")
        told = [json.loads(line) for line in command(server, "--json", "--limit", "500").stdout.splitlines()]
        assert [entry["seq"] for entry in told] == list(range(1, len(told) + 1))
        path = server.state / "audit.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"who":"all"', b'"who":"ops"', 1))
        line = next(number for number, entry in enumerate(told, 1) if entry["who"] == "all")

        for verified in (command(server, "verify"), command(server, "verify", "--file", str(path))):
            assert verified.returncode == 1
            assert f"{path}, line {line}: its hash" in verified.stderr


def command(server: Serving, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run `penstock events`."""
    penstock = Path(sys.executable).with_name("penstock")
    first, rest = (["verify"], words[1:]) if words[0] == "verify" else ([], words)
    arguments = [penstock, "events", *first, "--set", f"server.state_dir={server.state}", *rest]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PENSTOCK_")}
    return subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment, cwd=server.state)
