"""`penstock tune` as a user runs it, and what a server makes of the plan and of the tables that it left."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


class Workplace:
    """A directory with a registry of one small model, and a state directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.registry = path / "registry"
        self.state = path / "state"

    def command(self, name: str, *arguments: str) -> list[str]:
        """Return the command line of a penstock command here."""
        places = ["--registry", str(self.registry), "--set", f"server.state_dir={self.state}"]
        return [sys.executable, "-m", "penstock", name, *arguments, *places]

    def run(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            self.command(name, *arguments), cwd=self.path, capture_output=True, text=True, timeout=100, env=environment(), check=False
        )

    def checked(self, *arguments: str) -> dict[str, Any]:
        """Return the settings that `penstock check` says a plan decides."""
        result = self.run("check", "--json", *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        (version,) = json.loads(result.stdout)["versions"]
        return dict(version["tuned"])

    def write_plan(self, **plan: object) -> None:
        """Change what the kept plan says."""
        path = self.state / "plans" / "mlp" / "1.json"
        kept = json.loads(path.read_text())
        kept["plan"].update(plan)
        path.write_text(json.dumps(kept))


def environment() -> dict[str, str]:
    """Return the environment without anybody's settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}


@pytest.fixture
def workplace(tmp_path: Path, models: ModuleType) -> Workplace:
    """Return a directory whose registry holds `mlp`."""
    place = Workplace(tmp_path)
    models.write_mlp(place.registry)
    return place


@pytest.fixture
def report(server_process: ModuleType, workplace: Workplace) -> Callable[..., dict[str, Any]]:
    """Return a function that serves the model, asks it `requests` times, stops, and returns what the admin listener said of it."""

    def served(*settings: str, requests: int = 0) -> dict[str, Any]:
        with server_process.running(workplace.registry, workplace.path, *settings) as server:
            for _ in range(requests):
                ask(server.http)
            call = urllib.request.Request(f"http://{server.admin}/admin/models/mlp", headers={"authorization": f"Bearer {server.token}"})
            with urllib.request.urlopen(call, timeout=20) as answer:
                (version,) = json.loads(answer.read())["versions"]
        (workplace.path / "ready.json").unlink(missing_ok=True)
        return dict(version)

    return served


def ask(address: str) -> None:
    """Send one row of 64 numbers."""
    body = json.dumps({"inputs": [{"name": "X", "shape": [1, 64], "datatype": "FP32", "data": [0.5] * 64}]}).encode()
    with urllib.request.urlopen(f"http://{address}/v2/models/mlp/infer", body, timeout=20) as answer:
        assert answer.status == 200


def table_of(version: dict[str, Any]) -> dict[int, float]:
    """Return the microseconds of a run by rows, from a version's report."""
    return {row["size"]: row["measured_us"] for row in version["latency"][0]["table"]}


def test_plan_is_measured_written_and_followed(workplace: Workplace, report: Callable[..., dict[str, Any]]) -> None:
    """From the measurement to the notes of the version that is served by it."""
    started = time.monotonic()
    result = workplace.run("tune", "mlp", "--seconds", "2", "--json")
    taken = time.monotonic() - started

    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert taken < 30
    assert {cell["rows"] for cell in answer["cells"]} == {1, 2, 4, 8, 16, 32, 64}
    assert all(cell["rows_per_s"] > 0 and cell["p50_us"] > 0 and cell["runs"] >= 2 for cell in answer["cells"])
    assert Path(answer["written"]) == workplace.state / "plans" / "mlp" / "1.json"

    workplace.write_plan(lanes=1, threads=1, batching="off", max_batch_rows=16)
    version = report()

    assert version["lanes"] == 1
    assert set(table_of(version)) == {1, 2, 4, 8, 16}
    assert {"lanes = 1 (tuned)", "threads = 1 (tuned)", "batching = off (tuned)", "max_batch_rows = 16 (tuned)"} <= set(version["notes"])
    assert workplace.checked() == {"lanes": 1, "threads": 1, "batching": "off", "max_batch_rows": 16}


def test_explicit_settings_and_changed_files_win_over_the_plan(workplace: Workplace) -> None:
    """A plan is advice for just these files."""
    assert workplace.run("tune", "mlp@1", "--seconds", "0.5").returncode == 0
    workplace.write_plan(lanes=1, threads=1, batching="off", max_batch_rows=16)

    assert workplace.checked("--set", "models.mlp.max_batch_rows=64") == {"lanes": 1, "threads": 1, "batching": "off"}
    assert workplace.checked("--set", "defaults.lanes=2") == {"batching": "off", "max_batch_rows": 16}
    assert workplace.checked("--set", "defaults.session_options={enable_mem_pattern=false}") == {}


def test_dry_run_leaves_no_trace(workplace: Workplace) -> None:
    """Nothing but the answer, and the model's copy in the cache."""
    result = workplace.run("tune", "mlp", "--seconds", "0.5", "--dry-run")

    assert result.returncode == 0
    assert "plan     lanes = " in result.stdout
    assert [path.name for path in workplace.state.iterdir()] == ["cache"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [(("gone",), 1, "the registry has no model 'gone'"), (("mlp@7",), 1, "no version '7' of 'mlp'"), (("mlp@blue",), 1, "'blue' of 'mlp'")],
)
def test_model_that_is_not_there_is_told(workplace: Workplace, arguments: tuple[str, ...], code: int, words: str) -> None:
    """In one line."""
    result = workplace.run("tune", *arguments)

    assert (result.returncode, result.stdout) == (code, "")
    assert words in result.stderr


def test_registry_that_is_not_there_exits_2(workplace: Workplace) -> None:
    """As for the other commands."""
    workplace.registry = workplace.path / "none"

    result = workplace.run("tune", "mlp")

    assert result.returncode == 2
    assert "none cannot be read: No such file or directory" in result.stderr
    assert "Traceback" not in result.stderr


def test_interrupt_leaves_quickly_and_writes_nothing(workplace: Workplace) -> None:
    """Ctrl-C in the middle of a measurement."""
    process = subprocess.Popen(
        workplace.command("tune", "mlp", "--seconds", "50"),
        cwd=workplace.path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (workplace.state / "cache").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=40)  # the measurement would take longer

    assert (process.returncode, out) == (1, "")
    assert "Aborted!" in err
    assert "Traceback" not in err
    assert [path.name for path in workplace.state.iterdir()] == ["cache"]


def test_restarted_server_knows_what_the_last_one_learnt(workplace: Workplace, report: Callable[..., dict[str, Any]]) -> None:
    """Sizes between the ends are not run again, and live figures are kept."""
    report(requests=12)
    (path,) = (workplace.state / "latency").iterdir()
    kept = json.loads(path.read_text())

    assert {rows: runs for rows, _, runs in kept["table"]["served"]}[1] >= 8
    # On a busy machine a run of 10 us may take twice as long as before, and what contradicts a table makes it forgotten.
    assert any(table_of(report_after_change(path, report))[8] == 777.0 for _ in range(5))


def report_after_change(path: Path, report: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Write 777 us for eight rows into a kept table, and return the report of a server that is started with it."""
    kept = json.loads(path.read_text())
    kept["table"]["served"] = [[rows, 777_000 if rows == 8 else ns, runs] for rows, ns, runs in kept["table"]["served"]]
    path.write_text(json.dumps(kept))
    return report()


def test_table_that_is_broken_costs_a_warm_up(workplace: Workplace, report: Callable[..., dict[str, Any]]) -> None:
    """The server starts as if there were none, and mends it."""
    report()
    (path,) = (workplace.state / "latency").iterdir()
    path.write_text("{")

    version = report()

    assert (version["state"], len(table_of(version))) == ("READY", 7)
    assert json.loads(path.read_text())["conditions"]["model"] == "mlp"
