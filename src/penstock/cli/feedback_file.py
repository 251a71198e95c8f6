"""Feedback as people keep it: tables with a row for each prediction, or lines of words, read as the words that a server takes."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

from penstock.domain.names import shown

Row = dict[str, Any]
Word = dict[str, Any]
_IDS: Final = ("id", "request_id")
_REWARD: Final = "reward"
_PLACE: Final = "row"
"""Tells the rows of one request apart, as `payloads export` writes it."""


class UnreadableTable(ValueError):
    """A file holds no feedback; the message says where and why."""


class Columns(NamedTuple):
    """What the columns of a table mean."""

    id: str
    outputs: Mapping[str, str]
    """Output by column."""
    reward: str = ""

    @classmethod
    def of(cls, names: Iterable[str], outputs: Iterable[str], named: "Columns") -> "Columns":
        """Return what is named, the rest by their names; raises `UnreadableTable` where no truth, or no id, is found."""
        there = list(names)
        found = {name: name for name in there if name in outputs and name not in named.outputs}
        request_id = named.id or next((name for name in _IDS if name in there), "")
        reward = named.reward or (_REWARD if _REWARD in there and not found and not named.outputs else "")
        columns = cls(request_id, {} if reward else dict(named.outputs) or found, reward)
        if missing := [name for name in (columns.id, columns.reward, *columns.outputs) if name and name not in there]:
            raise UnreadableTable(f"there is no column {missing[0]!r}; the file has {', '.join(there)}")
        if not columns.id:
            raise UnreadableTable(f"no column is called {' or '.join(_IDS)}; name it with --id: the file has {', '.join(there)}")
        if not columns.outputs and not columns.reward:
            raise UnreadableTable(
                f"no column is an output of the model ({', '.join(outputs)}) or called {_REWARD}; say --truth COLUMN=OUTPUT or --reward"
            )
        return columns


def words_of(path: Path, outputs: Mapping[str, str], named: Columns) -> Iterator[Word]:
    """Yield the words of a file: CSV, Parquet, or lines of JSON, which may be words already.

    `outputs` are the model's, with their datatypes. Rows that follow each other with one id are the rows of one request. Raises
    `UnreadableTable`, `OSError`.
    """
    if path.suffix == ".csv":
        yield from _grouped(_csv_rows(path), outputs, named, text=True)
    elif path.suffix == ".parquet":
        yield from _grouped(_parquet_rows(path), outputs, named)
    elif path.suffix in {".jsonl", ".ndjson", ".json"}:
        yield from _json_words(path, outputs, named)
    else:
        raise UnreadableTable(f"{path.name} is neither .csv nor .parquet nor .jsonl; its name has to say what it is")


def _json_words(path: Path, outputs: Mapping[str, str], named: Columns) -> Iterator[Word]:
    rows = _json_rows(path)
    for is_word, group in groupby(rows, lambda row: "outputs" in row or (row.keys() <= {"id", _REWARD} and _REWARD in row)):
        yield from group if is_word else _grouped(group, outputs, named)  # noqa: B031 - one of the two


def _json_rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except RecursionError as error:
                raise UnreadableTable(f"line {number} is nested too deeply") from error
            except ValueError as error:
                raise UnreadableTable(f"line {number} is no JSON: {error}") from error
            if not isinstance(row, dict):
                raise UnreadableTable(f"line {number} is no JSON object")
            yield row


def _csv_rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        try:
            for row in reader:
                if None in row or None in row.values():
                    raise UnreadableTable(f"line {reader.line_num} has more or fewer fields than the first line names")
                yield row
        except csv.Error as error:
            raise UnreadableTable(f"line {reader.reader.line_num} is no CSV: {error}") from error


def _parquet_rows(path: Path) -> Iterator[Row]:
    from penstock.payloads import duck  # noqa: PLC0415 - an extra, and slow to import where it is not needed

    try:
        yield from duck.table_rows(path)
    except duck.Error as error:
        raise UnreadableTable(f"it is no Parquet: {error}") from error


def _grouped(rows: Iterable[Row], outputs: Mapping[str, str], named: Columns, *, text: bool = False) -> Iterator[Word]:
    """Yield a word for each run of rows with one id."""
    columns: Columns | None = None
    for request_id, group in groupby(rows, lambda row: row.get(named.id or next((name for name in _IDS if name in row), ""))):
        same = list(group)
        columns = columns or Columns.of(same[0], outputs, named)
        yield _word(str(request_id), same, columns, outputs, text=text)


def _word(request_id: str, rows: list[Row], columns: Columns, outputs: Mapping[str, str], *, text: bool) -> Word:
    rows = sorted(rows, key=_place) if all(_PLACE in row for row in rows) else rows
    if columns.reward:
        return {"id": request_id, "reward": _value(rows[0].get(columns.reward), float if text else None)}
    told = {}
    for column, output in columns.outputs.items():
        read = _READ.get(outputs.get(output, ""), float) if text else None
        values = [_value(row.get(column), read) for row in rows]
        told[output] = values if len(values) > 1 else values[0]
    return {"id": request_id, "outputs": told}


def _place(row: Row) -> int:
    try:
        return int(row[_PLACE])
    except (TypeError, ValueError, OverflowError) as error:
        raise UnreadableTable(
            f"the column {_PLACE!r} holds {shown(str(row[_PLACE]))}; it numbers the rows of one request, from 0"
        ) from error


def _value(value: Any, read: Callable[[str], Any] | None) -> Any:  # noqa: ANN401 - a cell
    """Return a cell as JSON has it; what is not what the datatype asks for stays as it is, for the server to refuse."""
    if read is None:
        return value
    try:
        return json.loads(value) if value.startswith("[") else read(value)
    except (ValueError, RecursionError):
        return value


def _truth(text: str) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]


_READ: Final[dict[str, Callable[[str], Any]]] = {
    "BYTES": str,
    "BOOL": _truth,
    **{f"{sign}INT{bits}": int for sign in ("", "U") for bits in (8, 16, 32, 64)},
}
