"""`penstock events`, which reads the log that it is told to read, and no other."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from penstock.audit.entry import Change
from penstock.audit.journal import Journal
from penstock.domain.actor import ADMIN

Penstock = Callable[..., Result]


@pytest.fixture(name="tampered")
def _tampered(tmp_path: Path) -> Path:
    """A state directory whose log was changed, beside the usual one, whose log is as it was written."""
    for directory in (".penstock", "other"):
        Journal(tmp_path / directory).append([Change("2026-01-02T03:04:05.006Z", ADMIN, "m", "load", "", f"{n}", "") for n in range(3)])
    path = tmp_path / "other" / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"after":"1"', b'"after":"2"'))
    (tmp_path / "other.toml").write_text('[server]\nstate_dir = "other"\n')
    return path


PLACES = (("--set", "server.state_dir=other"), ("--config", "other.toml"))


@pytest.mark.parametrize("options", [*PLACES, ("--registry", "models"), ("--model", "m"), ("--json",)], ids=lambda options: options[0])
def test_options_before_verify_are_refused(penstock: Penstock, tampered: Path, options: tuple[str, ...]) -> None:
    """They are the list's own: another log than the one that they name would be called intact."""
    told = penstock("events", *options, "verify")

    assert tampered.exists()
    assert (told.exit_code, told.stdout) == (2, "")
    assert "penstock events verify" in told.stderr


@pytest.mark.parametrize("options", PLACES, ids=lambda options: options[0])
def test_verify_checks_the_log_that_its_options_name(penstock: Penstock, tampered: Path, options: tuple[str, ...]) -> None:
    """Without any, the usual one."""
    assert penstock("events", "verify").exit_code == 0
    assert penstock("events", "verify", *options).stderr.startswith(str(Path("other") / f"{tampered.name}, line 2: its hash"))


def test_verdict_is_told_in_json(penstock: Penstock, tampered: Path) -> None:
    """With how far the log is good; exit code and the line on stderr stay."""
    good, bad = penstock("events", "verify", "--json"), penstock("events", "verify", "--json", "--file", str(tampered))

    last = json.loads((tampered.parents[1] / ".penstock" / "audit.jsonl").read_bytes().splitlines()[-1])
    assert (good.exit_code, json.loads(good.stdout)) == (0, {"first": 1, "last": 3, "last_hash": last["hash"], "fault": None})
    told = json.loads(bad.stdout)
    assert (bad.exit_code, told["last"], told["fault"]["path"], told["fault"]["line"]) == (1, 1, str(tampered), 2)
    assert told["fault"]["why"] in bad.stderr
