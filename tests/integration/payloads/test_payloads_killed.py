"""A server that is killed leaves files that can be read, and its successor finishes them."""

import contextlib
import importlib
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from event_collector import Collector
from serving import Serving, until

from penstock.payloads import duck
from penstock.payloads.reading import open_files, rows_of, sealed_files

ASKED = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 64], "data": [0.5] * 64}]}
SETTINGS = ("defaults.payloads.sample=1.0", "payloads.flush_s=0.01", "payloads.rotate_bytes=20000", "payloads.rotate_s=0.1")


def kill_under_load(serving: Serving, answered: int) -> list[str]:
    """Ask until so many answers are there, kill the server meanwhile, and return the ids of the answered requests.

    The rows of the last `flush_s` may be gone, and no others.
    """
    ids: list[str] = []

    def go_on() -> None:
        try:
            while True:
                name = f"{serving.pid}-{len(ids)}"
                answer = serving.client.post("/v2/models/id_fp32/infer", json=ASKED, headers={"x-request-id": name})
                assert answer.status_code == 200
                ids.append(name)
        except Exception:  # the server is gone
            return

    thread = threading.Thread(target=go_on)
    thread.start()
    until(lambda: len(ids) >= answered and ids[0] in written_ids(serving))
    written = rows_written(serving)
    kill(serving)
    thread.join(30)
    assert len(written_ids(serving) & set(ids)) >= written, "what counts as written outlives the process"
    return ids


def kill(serving: Serving) -> None:
    """Kill the server, and close what was opened to ask it."""
    serving.kill()
    for closable in (serving.client, serving.admin, serving.channel):
        closable.close()


def rows_written(serving: Serving) -> int:
    """Return how many rows the server says it has written."""
    lines = serving.admin.get("/metrics").text.splitlines()
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith("penstock_payload_rows_total{"))


def written_ids(serving: Serving) -> set[str]:
    """Return the ids of all rows of this process, those in files that are not sealed too."""
    root = serving.state / "payloads"
    return ids_in(own(serving, sealed_files(root) + open_files(root)))


def ids_in(paths: Iterable[Path]) -> set[str]:
    """Return the ids of the rows in files, of which some may go meanwhile: they are sealed, or sent."""
    found: set[str] = set()
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            found.update(row["request_id"] for row in rows_of(path))
    return found


def own(serving: Serving, paths: list[Path]) -> list[Path]:
    """Return the files of this process among others."""
    return [path for path in paths if f"-{serving.pid}-" in path.name]


def check_kills(serving: Serving, kills: int, *settings: str) -> None:
    """Kill the server at as many moments; each sealed file is to be whole each time."""
    root = serving.state / "payloads"
    for number in range(kills):
        serving.start(*SETTINGS, *settings)
        ids = kill_under_load(serving, 20 + 7 * number)
        rows = [row["request_id"] for path in own(serving, sealed_files(root)) for row in rows_of(path)]
        assert len(rows) == len(set(rows))
        assert ids[0] in written_ids(serving), "what was written is still there"


@pytest.fixture
def serving(tmp_path: Path, models: ModuleType) -> Iterator[Serving]:
    """A server of one model, not started."""
    root = tmp_path / "registry"
    models.write_configured_model(root, "id_fp32", models.identity("id_fp32", "float", "batch,n"), 8)
    serving = Serving(root, tmp_path)
    yield serving
    serving.kill()


def finished(serving: Serving, *settings: str) -> None:
    """Let a successor finish what is left: nothing is hidden any more, all rows are whole, and engines read them."""
    serving.start(*SETTINGS, *settings)
    serving.client.post("/v2/models/id_fp32/infer", json=ASKED)
    root = serving.state / "payloads"
    until(lambda: not list(root.rglob(".*")))
    serving.stop()
    paths = sealed_files(root)
    rows = [row for path in paths for row in rows_of(path)]
    assert all(row["model"] == "id_fp32" and row["inputs"][0]["data"] == [0.5] * 64 for row in rows)
    ids = {row["request_id"] for row in rows}
    assert len(ids) == len(rows)
    for read in (by_duckdb, by_pandas, by_polars):
        assert read(paths) == ids


def by_duckdb(paths: list[Path]) -> set[str]:
    """Return the ids that DuckDB reads."""
    with duck.opened(paths) as database:
        return {str(row[0]) for row in database.execute("SELECT request_id FROM payloads").fetchall()}


def by_pandas(paths: list[Path]) -> set[str]:
    """Return the ids that pandas reads."""
    pandas = importlib.import_module("pandas")
    read = pandas.read_parquet if paths[0].suffix == ".parquet" else partial(pandas.read_json, lines=True, dtype=False)
    return {str(name) for path in paths for name in read(path)["request_id"]}


def by_polars(paths: list[Path]) -> set[str]:
    """Return the ids that polars reads."""
    polars = importlib.import_module("polars")
    read = polars.read_parquet if paths[0].suffix == ".parquet" else partial(polars.read_ndjson, infer_schema_length=None)
    return {str(name) for path in paths for name in read(path)["request_id"]}


@pytest.mark.parametrize("sink", ["jsonl", pytest.param("parquet", marks=pytest.mark.slow)])
def test_a_server_that_is_killed_leaves_whole_files(serving: Serving, sink: str) -> None:
    """At three moments."""
    check_kills(serving, 3, f'payloads.sink="{sink}"')
    finished(serving, f'payloads.sink="{sink}"')


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("sink", ["jsonl", "parquet"])
def test_a_server_that_is_killed_a_hundred_times_leaves_whole_files(serving: Serving, sink: str) -> None:
    """At a hundred moments."""
    check_kills(serving, 100, f'payloads.sink="{sink}"')
    finished(serving, f'payloads.sink="{sink}"')


def check_killed_sender(serving: Serving, kills: int) -> None:
    """Kill the server while its collector comes and goes: each row that it had kept arrives in the end, as a pair of events."""
    collector = Collector()
    settings = ("defaults.payloads.sample=1.0", "payloads.flush_s=0.01", 'payloads.sink="cloudevents"')
    settings += (f'payloads.cloudevents.url="{collector.address}"',)
    kept: set[str] = set()
    for number in range(kills):
        collector.status = 503 if number % 2 else 200
        serving.start(*settings)
        kill_under_load_of(serving, collector, 10 + 7 * number)
        kept |= buffered_ids(serving)
    collector.status = 200
    serving.start(*settings)
    serving.client.post("/v2/models/id_fp32/infer", json=ASKED, headers={"x-request-id": "last"})
    until(lambda: [each.get_id() for each in collector.events[-2:]] == ["last", "last"], within_s=20 + 3 * kills)  # the oldest go first
    serving.stop()
    assert kept
    assert collector.pairs().keys() >= kept | {"last"}
    assert all(set(kinds) == {"request", "response"} for kinds in collector.pairs().values())
    assert not buffered_ids(serving)
    collector.close()


def kill_under_load_of(serving: Serving, collector: Collector, answered: int) -> None:
    """Ask until so many answers are there and rows have come somewhere, and kill the server."""
    for number in range(answered):
        answer = serving.client.post("/v2/models/id_fp32/infer", json=ASKED, headers={"x-request-id": f"{serving.pid}-{number}"})
        assert answer.status_code == 200
    until(lambda: buffered_ids(serving) or collector.events)
    kill(serving)


def buffered_ids(serving: Serving) -> set[str]:
    """Return the ids of the rows that wait on the disk."""
    return ids_in((serving.state / "payloads" / "buffer").rglob("*.jsonl"))


def test_a_server_that_is_killed_sends_what_it_had_kept_at_its_next_start(serving: Serving) -> None:
    """At two moments: while the collector takes events, and while it does not."""
    check_killed_sender(serving, 2)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_server_that_is_killed_a_hundred_times_sends_what_it_had_kept(serving: Serving) -> None:
    """At a hundred moments."""
    check_killed_sender(serving, 100)
