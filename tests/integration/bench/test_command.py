"""`penstock bench` as a user calls it, against our own server and against stand-ins."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
SHORT = ("--duration", "500ms", "--warmup", "100ms")


def bench(*arguments: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run the command."""
    command = [sys.executable, "-m", "penstock", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=cwd)


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory, server_process: ModuleType) -> Iterator[Any]:
    """Our server with the example models."""
    with server_process.running(ROOT / "examples" / "registry", tmp_path_factory.mktemp("bench")) as server:
        yield server


OPEN, CLOSED = ("--rate", "40"), ("--concurrency", "4")


@pytest.mark.parametrize(
    ("scheme", "protocol", "load"),
    [
        ("http", "http-json", OPEN),
        ("http", "http-binary", CLOSED),
        ("grpc", "grpc", OPEN),
        ("grpc", "grpc-stream", CLOSED),
        pytest.param("http", "http-json", CLOSED, marks=pytest.mark.slow),
        pytest.param("http", "http-binary", OPEN, marks=pytest.mark.slow),
        pytest.param("grpc", "grpc", CLOSED, marks=pytest.mark.slow),
        pytest.param("grpc", "grpc-stream", OPEN, marks=pytest.mark.slow),
    ],
)
def test_every_protocol_is_answered(server: Any, scheme: str, protocol: str, load: tuple[str, str]) -> None:
    """The example model answers requests made from its schema, over each protocol, without an error."""
    url = f"{scheme}://{getattr(server, scheme)}"

    done = bench(url, "--model", "iris", "--protocol", protocol, "--rows", "2", *load, *SHORT, "--deadline-ms", "20000", "--json")

    result = json.loads(done.stdout)
    assert result["figures"]["error_rate"] == 0, result["rounds"][0]["failures"]
    assert result["figures"]["requests"] > 0
    assert result["plan"]["target"]["protocol"] == protocol


def test_failures_over_grpc_carry_their_status(server: Any, tmp_path: Path) -> None:
    """A payload that the server refuses is counted by its status, on calls and on streams."""
    (tmp_path / "bad.json").write_text('{"inputs":[{"name":"features","shape":[1,3],"datatype":"FP32","data":[1,2,3]}]}')
    seen = {}
    for protocol in ("grpc", "grpc-stream"):
        done = bench(
            f"grpc://{server.grpc}", "--model", "iris", "--payload", str(tmp_path / "bad.json"), "--protocol", protocol, *SHORT, "--json"
        )
        (failure,) = json.loads(done.stdout)["rounds"][0]["failures"]
        seen[failure["kind"]] = failure["sample"]

    assert set(seen) == {"INVALID_ARGUMENT", "stream"}
    assert all("features" in sample for sample in seen.values())


ONE_BODY = '{"inputs":[{"name":"features","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}'
REAL_DATA = '{"data":[{"features":[1,2,3,4]},{"features":{"content":[1,2,3,4],"shape":[4]}}]}'


@pytest.mark.parametrize(
    ("content", "protocol"),
    [
        pytest.param(ONE_BODY, "http-binary", id="one-http-binary"),
        pytest.param(f"{ONE_BODY}\n" * 3, "http-json", id="lines-http-json"),
        pytest.param(REAL_DATA, "http-json", id="perf_analyzer-http-json"),
        pytest.param(ONE_BODY, "http-json", id="one-http-json", marks=pytest.mark.slow),
        pytest.param(f"{ONE_BODY}\n" * 3, "http-binary", id="lines-http-binary", marks=pytest.mark.slow),
        pytest.param(REAL_DATA, "http-binary", id="perf_analyzer-http-binary", marks=pytest.mark.slow),
    ],
)
def test_payload_of_a_file_is_answered(server: Any, tmp_path: Path, content: str, protocol: str) -> None:
    """A JSON body, several of them, and perf_analyzer's file of real data."""
    (tmp_path / "payload").write_text(content)

    done = bench(
        f"http://{server.http}", "--model", "iris", "--protocol", protocol, "--payload", str(tmp_path / "payload"), *SHORT, "--json"
    )

    assert json.loads(done.stdout)["figures"]["error_rate"] == 0


def test_thresholds_decide_the_exit_code(stand_in: Any) -> None:
    """0 if all are kept, 1 if one is broken; the summary says which."""
    url = f"http://{stand_in(5)}"

    kept = bench(url, "--model", "m", "--concurrency", "2", *SHORT, "--threshold", "error_rate<0.5")
    broken = bench(url, "--model", "m", "--concurrency", "2", *SHORT, "--threshold", "p(50)<1ms")

    assert (kept.returncode, broken.returncode) == (0, 1)
    assert re.search(r"p\(50\)<1ms +[\d.]+ ms +BROKEN", broken.stdout)


def test_a_generator_that_fell_behind_exits_3(stand_in: Any) -> None:
    """A run that could not be sent is invalid, whatever its thresholds say."""
    done = bench(f"http://{stand_in(400)}", "--model", "m", "--rate", "100", "--max-outstanding", "5", *SHORT, "--threshold", "p(50)<1ms")

    assert done.returncode == 3
    assert "INVALID" in done.stdout


def test_unknown_model_exits_2(server: Any) -> None:
    """The server's own words are repeated."""
    for url in (f"http://{server.http}", f"grpc://{server.grpc}"):
        done = bench(url, "--model", "unknown")

        assert done.returncode == 2
        assert "unknown model 'unknown'" in done.stderr


def test_sweep_finds_what_a_server_can_do(stand_in: Any) -> None:
    """The curve is printed, and the highest rate that keeps the threshold."""
    done = bench(
        f"http://{stand_in(1)}", "--model", "m", "--rate", "50", "--sweep", "--threshold", "p(50)<1s", "--max-outstanding", "1", *SHORT
    )

    assert done.returncode == 0, done.stdout
    found = re.search(r"the highest rate that keeps every threshold: ([\d,]+) requests/s", done.stdout)
    assert found is not None
    # One request under way at a time, of 1 ms and more.
    assert int(found[1].replace(",", "")) < 1100


def test_baseline_server_that_is_faster_exits_1(stand_in: Any) -> None:
    """A server that takes three times as long is worse than the one beside it, and not the other way round."""
    slow, fast = (f"http://{stand_in(answer_ms)}" for answer_ms in (30, 10))
    options = ("--model", "m", "--concurrency", "4", "--rounds", "5", "--duration", "300ms", "--tolerance", "50%")

    assert bench(slow, *options, "--baseline", fast).returncode == 1
    assert bench(fast, *options, "--baseline", slow).returncode == 0


def test_baseline_file_is_compared(stand_in: Any, tmp_path: Path) -> None:
    """A result that was written is a baseline for a later run; it needs rounds, and the same machine and load."""
    url, written = f"http://{stand_in(10)}", tmp_path / "before.json"
    options = ("--model", "m", "--concurrency", "2", "--duration", "200ms", "--rounds", "3", "--tolerance", "100%")

    assert bench(url, *options, "--output", str(written)).returncode == 0
    assert bench(url, *options, "--baseline", str(written)).returncode == 0
    assert bench(f"http://{stand_in(60)}", *options, "--baseline", str(written)).returncode == 1
    other_load = bench(url, "--model", "m", "--rounds", "3", "--rate", "10", "--baseline", str(written))
    once = bench(url, "--model", "m", "--concurrency", "2", "--baseline", str(written))
    result = json.loads(written.read_text())
    result["machine"]["cores"] += 1
    written.write_text(json.dumps(result))
    elsewhere = bench(url, *options, "--baseline", str(written))

    assert [done.returncode for done in (other_load, once, elsewhere)] == [2, 2, 2]
    assert "another load" in other_load.stderr
    assert "3 at least" in once.stderr
    assert "another machine" in elsewhere.stderr


def test_missing_packages_are_named(tmp_path: Path) -> None:
    """Without the extra, the command says how to install it; other commands do not need it."""
    script = "import sys; sys.modules['hdrh'] = None; from penstock.cli.main import main; main()"

    done = subprocess.run(
        [sys.executable, "-c", script, "bench", "http://h:1", "--model", "m"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "pip install 'penstock[bench]'" in done.stderr


def test_nothing_of_a_user_is_imported(stand_in: Any, tmp_path: Path) -> None:
    """A file in the working directory that is called like a package of the generator's is left alone."""
    (tmp_path / "httptools.py").write_text("raise SystemExit('imported')")

    done = subprocess.run(
        [str(Path(sys.executable).with_name("penstock")), "bench", f"http://{stand_in()}", "--model", "m", *SHORT],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr


def test_refusals_alone_keep_no_latency_and_are_no_baseline(stand_in: Any, tmp_path: Path) -> None:
    """Nothing was answered, so nothing was quick; the report is printed although its file cannot be written."""
    silent, fine, written = f"http://{stand_in(1, status=400)}", f"http://{stand_in(1)}", tmp_path / "before.json"
    options = ("--model", "m", "--concurrency", "2", "--duration", "200ms", "--rounds", "3")

    kept = bench(silent, *options, "--threshold", "p(99)<20ms", "--output", str(written))
    beside = bench(fine, *options, "--baseline", silent)
    later = bench(fine, *options, "--baseline", str(written))

    assert (kept.returncode, beside.returncode, later.returncode) == (1, 3, 2)
    assert re.search(r"p\(99\)<20ms +.*BROKEN", kept.stdout)
    assert "the baseline has answered nothing" in beside.stdout
    assert "has answered nothing" in later.stderr


def test_server_that_never_answers_breaks_thresholds(stand_in: Any) -> None:
    """The run is valid: it is the server that hangs, not the generator."""
    done = bench(f"http://{stand_in(60_000)}", "--model", "m", "--concurrency", "2", *SHORT, "--threshold", "error_rate<0.001")

    assert done.returncode == 1, done.stdout
    assert re.search(r"error_rate<0.001 +1 +BROKEN", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--output", "nowhere/x.json"), "'nowhere/x.json' is in a directory that does not exist"),
        (("--header", "x-user: \u0141ukasz"), "is no header"),
        (("--payload", "empty.json"), "holds no request"),
        (("--payload", "beyond.json", "--protocol", "http-binary"), "does not fit"),
    ],
)
def test_mistake_is_told_before_anything_is_measured(stand_in: Any, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    """With exit code 2: 1 would say that a threshold is broken."""
    (tmp_path / "empty.json").write_text('{"data": []}')
    (tmp_path / "beyond.json").write_text('{"inputs": [{"name": "X", "shape": [1, 1], "datatype": "INT8", "data": [300]}]}')

    done = bench(f"http://{stand_in()}", "--model", "m", *SHORT, *arguments, cwd=tmp_path)

    assert done.returncode == 2, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
