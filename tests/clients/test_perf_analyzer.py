"""NVIDIA's load generator measures us as it measures Triton."""

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

LIMIT_S: Final = 500
WINDOWS: Final = ("-p", "200", "-s", "90", "-r", "30")
"""Short, and content with any two in three that agree by a factor of ten: what they say of our speed is nobody's verdict."""
BRIEF: Final = ("--concurrency-range", "1:2", *WINDOWS)
FULL: Final = ("--concurrency-range", "1:8", "-p", "3000", "-s", "25", "-r", "20")
SERVER_SIDE: Final = re.compile(
    r"Avg request latency: \d+ usec \(overhead \d+ usec \+ queue (?P<queue>\d+) usec \+ compute input (?P<input>\d+) usec "
    r"\+ compute infer (?P<infer>\d+) usec \+ compute output (?P<output>\d+) usec\)"
)
WAYS: Final = {
    "http-sync": ("-i", "http", "--sync"),
    "http-async": ("-i", "http", "--async"),
    "grpc-sync": ("-i", "grpc", "--sync"),
    "grpc-async": ("-i", "grpc", "--async"),
}

Program = tuple[Path, dict[str, str]]


def measure(program: Program, server: Any, model: str, protocol: str, *options: str) -> str:
    """Return what perf_analyzer prints; it must have come to a stable measurement."""
    path, environment = program
    address = getattr(server, protocol)
    ended = subprocess.run(
        [path, "-m", model, "-u", address, *options],
        capture_output=True,
        text=True,
        env=environment,
        timeout=LIMIT_S,
        check=False,
    )
    told = f"{ended.stdout}\n{ended.stderr}"
    print(told)
    assert ended.returncode == 0, told
    assert "failed to" not in told.lower(), told
    return told


def assert_measured(told: str, highest: int) -> None:
    """Check that every concurrency was measured, on the client's side and on the server's."""
    concurrencies = re.findall(r"^Request concurrency: (\d+)", told, re.MULTILINE)
    rates = re.findall(r"^Concurrency: \d+, throughput: ([\d.]+) infer/sec", told, re.MULTILINE)
    times = [match.groupdict() for match in SERVER_SIDE.finditer(told)]
    assert concurrencies == [str(number) for number in range(1, highest + 1)], told
    assert len(rates) == highest, told
    assert all(float(rate) > 0 for rate in rates), told
    assert len(times) == highest, told
    assert all(int(time["infer"]) > 0 for time in times), told


@pytest.mark.parametrize("way", [pytest.param(options, id=name) for name, options in WAYS.items()])
def test_perf_analyzer_comes_to_a_stable_measurement(perf_analyzer: Program, conformance: Any, way: tuple[str, ...]) -> None:
    """It completes over both protocols, sync and async, and shows queue and compute times of the server."""
    told = measure(perf_analyzer, conformance, "mlp", way[1], *way, *BRIEF)

    assert_measured(told, 2)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_perf_analyzer_measures_an_example_model(perf_analyzer: Program, examples: Any, protocol: str) -> None:
    """It completes on a model with two outputs of different types, with batches of four."""
    told = measure(perf_analyzer, examples, "iris", protocol, "-i", protocol, "-b", "4", *WINDOWS, "--async")

    assert_measured(told, 1)


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S + 30)
@pytest.mark.parametrize("model", ["mlp", "iris"])
@pytest.mark.parametrize("way", [pytest.param(options, id=name) for name, options in WAYS.items()])
def test_perf_analyzer_sweeps_eight_concurrencies(
    perf_analyzer: Program, conformance: Any, examples: Any, way: tuple[str, ...], model: str
) -> None:
    """It completes the whole sweep."""
    server = examples if model == "iris" else conformance

    told = measure(perf_analyzer, server, model, way[1], *way, *FULL)

    assert_measured(told, 8)
