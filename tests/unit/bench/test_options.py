"""The options of `penstock bench`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from penstock.bench import gate
from penstock.bench.arrivals import Closed, Constant, Poisson, Ramp, Recorded
from penstock.bench.plan import CannotMeasure, Protocol, Target
from penstock.cli.main import commands

Bench = Callable[..., Any]


@pytest.fixture(name="asked")
def _asked(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return what runs the command and returns the gate that it asks for."""

    def asked(*options: str, url: str = "http://host:1") -> gate.Gate:
        seen: list[gate.Gate] = []

        def carry_out(given: gate.Gate, _watching: object) -> None:
            seen.append(given)
            raise CannotMeasure("far enough")

        monkeypatch.setattr(gate, "carry_out", carry_out)
        result = CliRunner().invoke(commands, ["bench", url, "--model", "m", *options])
        assert (result.exit_code, result.output) == (2, "far enough\n"), result.output
        return seen[0]

    return asked


@pytest.mark.parametrize(
    ("options", "load"),
    [
        ((), Constant(100)),
        (("--rate", "2.5"), Constant(2.5)),
        (("--rate", "5", "--arrivals", "poisson", "--seed", "7"), Poisson(5, 7)),
        (("--rate", "10..20"), Ramp(10, 20)),
        (("--concurrency", "3"), Closed(3)),
    ],
)
def test_load_is_what_was_asked(asked: Bench, options: tuple[str, ...], load: object) -> None:
    """Each way to say how much is asked becomes a load."""
    assert asked(*options).plan.load == load


def test_replayed_arrivals_come_from_a_file(asked: Bench, tmp_path: Path) -> None:
    """One number a line."""
    (tmp_path / "arrivals").write_text("5\n5.5\n")

    assert asked("--replay", str(tmp_path / "arrivals")).plan.load == Recorded((0.0, 0.5))


def test_everything_else_is_in_the_plan(asked: Bench) -> None:
    """Target, payload, times and bounds."""
    plan = asked(
        *("--duration", "2m", "--warmup", "500ms", "--rows", "4", "--shape", "X=2,3", "--header", "a: b"),
        *("--deadline-ms", "50", "--server-pid", "1", "--max-outstanding", "9", "--protocol", "http-binary"),
    ).plan

    assert plan.target == Target("host:1", "m", "", Protocol.HTTP_BINARY, (("a", "b"),), 50, (1,))
    assert (plan.duration_s, plan.warmup_s, plan.max_outstanding, plan.rounds) == (120, 0.5, 9, 1)
    assert (plan.payload.rows, plan.payload.shapes) == (4, {"X": (2, 3)})


def test_baseline_server_is_measured_in_many_short_rounds(asked: Bench) -> None:
    """It is asked in the same way; its processes are its own."""
    found = asked("--baseline", "http://other", "--server-pid", "1", "--baseline-pid", "2", "--tolerance", "8%", "--tolerance", "cpu_us=4%")

    assert found.baseline == Target("other:8080", "m", pids=(2,))
    assert (found.plan.rounds, found.plan.duration_s) == (40, 0.25)
    assert (found.tolerances["cpu_us"], found.tolerances["p99_ms"]) == (0.04, 0.08)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--threshold", "p99<3"), "'p99<3'"),
        (("--rate", "0"), "'0'"),
        (("--rate", "1..x"), "'x'"),
        (("--rate", "5", "--concurrency", "2"), "--rate and --concurrency"),
        (("--duration", "soon"), "'soon'"),
        (("--shape", "X=a"), "'X=a'"),
        (("--header", "nothing"), "'nothing'"),
        (("--protocol", "grpc"), "grpc"),
        (("--sweep",), "--threshold"),
        (("--sweep", "--threshold", "rps>1", "--concurrency", "2"), "--sweep"),
        (("--tolerance", "latency=3%"), "'latency'"),
        (("--tolerance", "much"), "'much'"),
        (("--output", "result.pdf"), "result.pdf"),
        (("--baseline", "grpc://there"), "--baseline"),
        (("--baseline-pid", "1"), "--baseline"),
        (("--baseline", "nowhere.json"), "nowhere.json"),
        (("--replay", "nowhere"), "nowhere"),
    ],
)
def test_mistake_in_usage_exits_2_and_is_named(options: tuple[str, ...], named: str) -> None:
    """Nothing is measured; the message repeats what was wrong."""
    result = CliRunner().invoke(commands, ["bench", "http://127.0.0.1:1", "--model", "m", *options])

    assert result.exit_code == 2
    assert named in result.output


@pytest.mark.parametrize("url", ["host:1", "ftp://host:1", "http://", "http://host:1/v2", "http://host:99999999"])
def test_url_is_a_servers(url: str) -> None:
    """Anything else is refused."""
    result = CliRunner().invoke(commands, ["bench", url, "--model", "m"])

    assert result.exit_code == 2
    assert url in result.output
