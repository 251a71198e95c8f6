"""How many rows a second of one core writes, by sink: `python benchmarks/payload_sinks.py [--write]`, about half a minute.

Each sink writes blocks as its thread gets them and finishes its files, in turns with the others. CPU time is that of the whole process,
so work on threads of a library counts. With `--write`, the table also becomes docs/benchmarks/payload-sinks.md.
"""

import argparse
import datetime as dt
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from harness import environment

from penstock.domain.records import PayloadRecord
from penstock.domain.tensor import DATATYPES, Tensor
from penstock.payloads.backlog import Backlog
from penstock.payloads.claim import Claim
from penstock.payloads.json_rows import line_of
from penstock.payloads.jsonl_sink import JsonLinesSink
from penstock.payloads.options import PayloadOptions
from penstock.payloads.parquet_sink import ParquetSink
from penstock.payloads.sink import Sink, Tally
from penstock.payloads.spool import Spool
from penstock.payloads.waiting import Limits

PAGE: Final = Path(__file__).parents[1] / "docs" / "benchmarks" / "payload-sinks.md"
ROUNDS: Final = 7
_BLOCK: Final = 256
_SHAPES: Final = {
    "4 numbers in, 1 out": (4, 1, 40),
    "64 numbers in, 10 out": (64, 10, 20),
    "an image of 3 x 64 x 64 in, 10 out": (12_288, 10, 1),
}
"""Elements of the input and of the output, and how many blocks of rows a round has."""
_PAGE: Final = """# What it costs to write a recorded row

Written on {day} by `.venv/bin/python benchmarks/payload_sinks.py --write`. FP32, blocks of 256 rows, files sealed at the end: synced,
and for Parquet converted. The median of {rounds} rounds in turns; CPU time of the whole process. The machine was busy with other work, so
compare lines rather than figures. {environment}

{table}

The first two lines of each kind are what one would write without thinking: `orjson.dumps` of a dictionary per row, and
`pyarrow.Table.from_pylist` with a list of numbers per tensor. "on its way elsewhere" is what the sinks for events and Kafka do before
anything is sent: the same lines of JSON, kept on the disk.
"""


class Figure(NamedTuple):
    """One way to write rows of one kind."""

    rows: int
    cpu_s: float
    size_bytes: int
    """On the disk in the end."""


def records_of(inputs: int, outputs: int, blocks: int) -> list[list[PayloadRecord]]:
    """Return blocks of records as the server makes them."""
    random = np.random.default_rng(3)

    def tensor(name: str, elements: int) -> list[Tensor]:
        return [Tensor(name, DATATYPES["FP32"], random.random((1, elements), np.float32))]

    names = ([f"{block:08x}{row:08x}" for row in range(_BLOCK)] for block in range(blocks))
    return [[_record(name, tensor("X", inputs), tensor("Y", outputs)) for name in block] for block in names]


def _record(request_id: str, inputs: list[Tensor], outputs: list[Tensor]) -> PayloadRecord:
    trace = "0af7651916cd43dd8448eb211c80319c"
    at = 1_700_000_000_000_000
    digest = "d" * 64
    return PayloadRecord(
        request_id, trace, at, "m", "1", digest, "champion", "stable", "http", "OK", "", 950, 120, 700, 8, "", 1.0, inputs, outputs, {}
    )


def by_sink(sink: Sink, blocks: list[list[PayloadRecord]]) -> None:
    """Write with a sink of ours."""
    tally = Tally()
    for block in blocks:
        sink.write(block, tally)
    sink.close()
    assert tally.written == sum(map(len, blocks))


def by_spool(root: Path, blocks: list[list[PayloadRecord]]) -> None:
    """Write what waits for a destination elsewhere."""
    claim = Claim(root)
    spool = Spool(claim.path, Limits(1 << 40, 86_400.0), Backlog())
    for block in blocks:
        spool.put([line_of(each) for each in block])
    claim.release()


def by_dictionaries(root: Path, blocks: list[list[PayloadRecord]]) -> None:
    """Write lines of JSON without thinking."""
    with (root / "x").open("wb") as file:
        for block in blocks:
            file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in map(_plain, block))


def by_lists(root: Path, blocks: list[list[PayloadRecord]]) -> None:
    """Write Parquet without thinking."""
    pq.write_table(pa.concat_tables(pa.Table.from_pylist(list(map(_plain, block))) for block in blocks), root / "x")


def _plain(record: PayloadRecord) -> dict[str, Any]:
    row = record._asdict()
    for side in ("inputs", "outputs"):
        cells = [{"name": each.name, "shape": each.array.shape, "data": each.array.ravel().tolist()} for each in row[side]]
        row[side] = [cell | {"shape": list(cell["shape"])} for cell in cells]
    del row["metadata"]
    return row


WAYS: Final[dict[str, Callable[[Path, list[list[PayloadRecord]]], None]]] = {
    "JSON, a dictionary per row": by_dictionaries,
    "Parquet, lists per row": by_lists,
    "`jsonl`": lambda root, blocks: by_sink(JsonLinesSink(root, PayloadOptions()), blocks),
    "`parquet`": lambda root, blocks: by_sink(ParquetSink(root, PayloadOptions()), blocks),
    "on its way elsewhere": by_spool,
}


def figure(way: Callable[[Path, list[list[PayloadRecord]]], None], blocks: list[list[PayloadRecord]]) -> Figure:
    """Write all rows once."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        begun = time.process_time()
        way(Path(name), blocks)
        spent = time.process_time() - begun
        size = sum(path.stat().st_size for path in Path(name).rglob("*") if path.is_file())
    return Figure(sum(map(len, blocks)), spent, size)


def measure() -> Iterator[tuple[str, ...]]:
    """Yield the rows of the table."""
    for what, (inputs, outputs, blocks) in _SHAPES.items():
        records = records_of(inputs, outputs, blocks)
        found: dict[str, list[Figure]] = {way: [] for way in WAYS}
        for way in [*WAYS] * (ROUNDS + 1):
            found[way].append(figure(WAYS[way], records))
        for way, figures in found.items():
            cpu_s = statistics.median(each.cpu_s for each in figures[1:])
            last = figures[-1]
            yield what, way, f"{last.rows / cpu_s:,.0f}", f"{cpu_s / last.rows * 1e6:.1f}", f"{last.size_bytes / last.rows:,.0f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} too")
    given = parser.parse_args()
    header = ("Row", "Written as", "Rows per second of one core", "us of CPU per row", "Bytes per row")
    lines = [header, tuple("---" for _ in header), *measure()]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    print(table)
    if given.write:
        PAGE.write_text(_PAGE.format(day=dt.datetime.now(dt.UTC).date(), rounds=ROUNDS, environment=environment(), table=table))


if __name__ == "__main__":
    main()
