"""Recorded files in DuckDB, which the extra `monitor` brings."""

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson

from penstock.domain.tensor import Array
from penstock.payloads.layout import NO_VERSION, PARQUET

_CELLS: Final = "STRUCT(name VARCHAR, datatype VARCHAR, shape BIGINT[], data JSON, b64 VARCHAR)[]"
COLUMNS: Final = {
    "schema_version": "INTEGER",
    "request_id": "VARCHAR",
    "trace_id": "VARCHAR",
    "timestamp": "TIMESTAMP",
    "model": "VARCHAR",
    "version": "VARCHAR",
    "digest": "VARCHAR",
    "alias": "VARCHAR",
    "route": "VARCHAR",
    "protocol": "VARCHAR",
    "status": "VARCHAR",
    "status_code": "INTEGER",
    "error": "VARCHAR",
    "total_us": "BIGINT",
    "queue_us": "BIGINT",
    "infer_us": "BIGINT",
    "batch_size": "INTEGER",
    "client_id": "VARCHAR",
    "subject": "VARCHAR",
    "caller": "VARCHAR",
    "sampling_fraction": "DOUBLE",
    "inputs": _CELLS,
    "outputs": _CELLS,
    "metadata": "MAP(VARCHAR, VARCHAR)",
}
"""The view `payloads`: its columns and their types. Timestamps are UTC."""
FEEDBACK_COLUMNS: Final = {
    "schema_version": "INTEGER",
    "request_id": "VARCHAR",
    "timestamp": "TIMESTAMP",
    "model": "VARCHAR",
    "version": "VARCHAR",
    "route": "VARCHAR",
    "outcome": "VARCHAR",
    "reward": "DOUBLE",
    "truth": _CELLS,
}
"""The view `feedback`: the first word on each prediction, so that a join gives no row twice."""
_LARGEST_LINE: Final = 256 * 1024 * 1024
_BLOCK: Final = 1000
_BIGGEST_INT: Final = 2**63
_LISTS: Final = ("bool", "int", "int64", "uint", "uint64", "text")
"""Fields of a tensor in Parquet that hold what JSON can say; see `parquet_batch`, which is not imported: it needs another extra."""
_WHOLE: Final = "WHOLE"
"""Of a column so far: whole numbers that are signed or not. Parquet has no larger ones that would keep all digits."""
_NUMBERS: Final = (_WHOLE, "BIGINT", "UBIGINT", "HUGEINT", "DOUBLE")

Error = duckdb.Error
"""What a query that DuckDB refuses raises."""


def opened(files: Sequence[Path], feedback: Sequence[Path] = ()) -> duckdb.DuckDBPyConnection:
    """Return a database in memory whose views `payloads` and `feedback` are the rows of these files."""
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    _create(database, "payloads", files, COLUMNS)
    first = "QUALIFY row_number() OVER (PARTITION BY model, request_id ORDER BY timestamp) = 1"
    _create(database, "feedback", feedback, FEEDBACK_COLUMNS, first)
    return database


def _create(database: duckdb.DuckDBPyConnection, view: str, files: Sequence[Path], columns: Mapping[str, str], which: str = "") -> None:
    if not files:
        declared = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        database.execute(f"CREATE TABLE {view} ({declared})")
        return
    tables = [path for path in files if path.suffix == PARQUET]
    lines = [path for path in files if path.suffix != PARQUET]
    parts = [*([_lines(lines, columns)] if lines else []), *([_tables(database, tables, columns)] if tables else [])]
    database.execute(f"CREATE VIEW {view} AS {' UNION ALL BY NAME '.join(parts)} {which}")


def _lines(files: Sequence[Path], columns: Mapping[str, str]) -> str:
    kinds = ", ".join(f"{_quoted(name)}: {_quoted(kind)}" for name, kind in columns.items())
    return (
        f"SELECT * FROM read_json({_named(files)}, format = 'newline_delimited', compression = 'none', "  # noqa: S608 - quoted
        f"hive_partitioning = false, maximum_object_size = {_LARGEST_LINE}, columns = {{{kinds}}})"
    )


def _tables(database: duckdb.DuckDBPyConnection, files: Sequence[Path], columns: Mapping[str, str]) -> str:
    """Return the query that gives rows of Parquet the columns of the others; numbers that JSON lacks are null in `data`.

    A column that came later is null in files of before, also where all of them are.
    """
    read = (
        f"read_parquet({_named(files)}, union_by_name = true, hive_partitioning = true, "
        "hive_types = {'model': VARCHAR, 'version': VARCHAR, 'date': VARCHAR, 'hour': VARCHAR})"
    )
    there = {row[0] for row in database.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()}  # noqa: S608 - quoted
    said = {name: f'"{name}"::{kind}' if name in there else f"NULL::{kind}" for name, kind in columns.items()} | {
        "version": f"CASE version WHEN {_quoted(NO_VERSION)} THEN '' ELSE version END",
        "inputs": _cells("inputs"),
        "outputs": _cells("outputs"),
    }
    return f"SELECT {', '.join(f'{value} AS {name}' for name, value in said.items())} FROM {read}"  # noqa: S608 - quoted


def _cells(side: str) -> str:
    lists = ", ".join(f'to_json(c."{name}")' for name in _LISTS)
    finite = ", ".join(f"to_json(list_transform(c.{name}, lambda v: CASE WHEN isfinite(v) THEN v END))" for name in ("fp32", "fp64"))
    return (
        f"list_transform({side}, lambda c: {{'name': c.name, 'datatype': c.datatype, 'shape': c.shape, "
        f"'data': coalesce({lists}, {finite}), 'b64': base64(c.raw)}})"
    )


def _named(files: Sequence[Path]) -> str:
    return f"[{', '.join(_quoted(str(path)) for path in files)}]"


def read_table(path: Path, names: Sequence[str]) -> dict[str, Array]:
    """Return the columns of a Parquet or CSV file that have one of these names; what is NULL is masked. Raises `Error`."""
    read = "read_parquet" if path.suffix == ".parquet" else "read_csv"
    with duckdb.connect() as database:
        there = [row[0] for row in database.execute(f"DESCRIBE SELECT * FROM {read}({_quoted(str(path))})").fetchall()]  # noqa: S608 - quoted
        wanted = ", ".join(_column(name) for name in there if name in set(names))
        if not wanted:
            return {}
        columns: dict[str, Array] = database.execute(f"SELECT {wanted} FROM {read}({_quoted(str(path))})").fetchnumpy()  # noqa: S608 - quoted
    return columns


def table_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file, by the names of its columns; raises `Error`."""
    with duckdb.connect() as database:
        answer = database.execute("SELECT * FROM read_parquet(?)", [str(path)])
        names = [column[0] for column in answer.description or []]
        while block := answer.fetchmany(_BLOCK):
            yield from (dict(zip(names, row, strict=True)) for row in block)


def write_table(rows: Iterable[dict[str, Any]], path: Path, form: str) -> dict[str, str]:
    """Write rows as one table, in the form CSV or PARQUET; returns the type of each column. Columns that a row lacks are NULL in it."""
    kinds: dict[str, str] = {}
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        for row in rows:
            for name, value in row.items():
                kinds[name] = _wider(kinds.get(name), value)
            file.write(orjson.dumps({name: _said(value) for name, value in row.items()}, option=orjson.OPT_APPEND_NEWLINE))
        file.flush()
        kinds = {name: "BIGINT" if kind == _WHOLE else kind for name, kind in kinds.items()}
        if kinds:
            _copy(Path(file.name), kinds, path, form)
    return kinds


def _copy(lines: Path, kinds: dict[str, str], path: Path, form: str) -> None:
    columns = ", ".join(f"{_quoted(name)}: {_quoted(kind)}" for name, kind in (kinds | {"timestamp": "TIMESTAMP"}).items())
    with duckdb.connect() as database:
        database.execute(
            f"COPY (SELECT * FROM read_json({_quoted(str(lines))}, format = 'newline_delimited', compression = 'none', "  # noqa: S608 - quoted
            f"maximum_object_size = {_LARGEST_LINE}, columns = {{{columns}}})) TO {_quoted(str(path))} (FORMAT {form})"
        )


def _wider(kind: str | None, value: object) -> str:
    """Return the type that holds what a column has had so far, and this value."""
    own = _kind(value)
    if kind is None or kind == own:
        return own
    if {kind, own} == {"BIGINT", "UBIGINT"}:
        return "HUGEINT"
    return max(kind, own, key=_NUMBERS.index) if kind in _NUMBERS and own in _NUMBERS else "VARCHAR"


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int):
        return "BIGINT" if value < 0 else _WHOLE if value < _BIGGEST_INT else "UBIGINT"
    return "DOUBLE" if isinstance(value, float) else "VARCHAR"


def _said(value: object) -> object:
    """Return the value as JSON has it, numbers that it lacks as the text that DuckDB takes for them."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _column(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
