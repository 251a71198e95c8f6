"""Recorded files in DuckDB, which the extra `monitor` brings."""

import math
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson

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
    "sampling_fraction": "DOUBLE",
    "inputs": _CELLS,
    "outputs": _CELLS,
    "metadata": "MAP(VARCHAR, VARCHAR)",
}
"""The view `payloads`: its columns and their types. Timestamps are UTC."""
_LARGEST_LINE: Final = 256 * 1024 * 1024
_BIGGEST_INT: Final = 2**63
_WHOLE: Final = "WHOLE"
"""Of a column so far: whole numbers that are signed or not. Parquet has no larger ones that would keep all digits."""
_NUMBERS: Final = (_WHOLE, "BIGINT", "UBIGINT", "HUGEINT", "DOUBLE")

Error = duckdb.Error
"""What a query that DuckDB refuses raises."""


def opened(files: Sequence[Path]) -> duckdb.DuckDBPyConnection:
    """Return a database in memory whose view `payloads` is the rows of these files."""
    database = duckdb.connect()
    columns = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
    if not files:
        database.execute(f"CREATE TABLE payloads ({columns})")
        return database
    kinds = ", ".join(f"{_quoted(name)}: {_quoted(kind)}" for name, kind in COLUMNS.items())
    names = ", ".join(_quoted(str(path)) for path in files)
    database.execute(
        f"CREATE VIEW payloads AS SELECT * FROM read_json([{names}], format = 'newline_delimited', compression = 'none', "  # noqa: S608 - quoted
        f"hive_partitioning = false, maximum_object_size = {_LARGEST_LINE}, columns = {{{kinds}}})"
    )
    return database


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


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
