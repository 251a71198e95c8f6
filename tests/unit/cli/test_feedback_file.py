"""Files that hold no feedback are told by the line or the column, whatever is wrong with them."""

import csv
from pathlib import Path

import pytest

from penstock.cli.feedback_file import Columns, UnreadableTable, words_of

OUTPUTS = {"label": "INT64"}
DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("place.csv", "id,row,label\na,first,1\na,1,2\n", "the column 'row' holds 'first'"),
        ("place.jsonl", '{"id":"a","row":null,"label":1}', "the column 'row' holds 'None'"),
        ("infinite.jsonl", '{"id":"a","row":Infinity,"label":1}', "the column 'row' holds 'inf'"),
        ("wide.csv", f"id,label\na,1\nb,{'1' * (csv.field_size_limit() + 1)}\n", "line 3 is no CSV: field larger than field limit"),
        ("head.csv", f"id,{'l' * (csv.field_size_limit() + 1)}\n", "line 1 is no CSV"),
        ("after.csv", 'id,label\n"a\nb",1\nc\n', "line 4 has more or fewer fields"),
        ("deep.jsonl", f'{{"id":"a"}}\n{{"id":"a","label":{DEEP}', "line 2 is nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str, text: str, said: str) -> None:
    """With its place."""
    (tmp_path / name).write_text(text)

    with pytest.raises(UnreadableTable, match=f"^{said}"):
        list(words_of(tmp_path / name, OUTPUTS, Columns("id", {"label": "label"})))


def test_cell_that_is_nested_deeply_is_for_the_server_to_refuse(tmp_path: Path) -> None:
    """As any other that is not what the datatype asks for."""
    (tmp_path / "deep.csv").write_text(f"id,label\na,{DEEP}\n")

    assert list(words_of(tmp_path / "deep.csv", OUTPUTS, Columns("", {}))) == [{"id": "a", "outputs": {"label": DEEP}}]
