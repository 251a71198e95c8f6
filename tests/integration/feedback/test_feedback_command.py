"""Truths in files find their predictions at a running server, and recorded rows, feedback and arms join in one question."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from serving import Serving, until

from penstock.payloads.layout import OPEN

JOIN = """
    SELECT p.version, p.route, count(*) AS n, avg((p.outputs[1].data->>0 = f.truth[1].data->>0)::INT) AS accuracy
    FROM payloads p JOIN feedback f USING (model, request_id) WHERE request_id IN ({ids}) GROUP BY ALL ORDER BY ALL
"""


def command(serving: Serving, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command of `penstock payloads`; it must end with this code."""
    penstock = Path(sys.executable).with_name("penstock")
    ended = subprocess.run(
        [penstock, "payloads", *arguments], capture_output=True, text=True, timeout=60, cwd=serving.state.parent, check=False
    )
    assert ended.returncode == code, ended.stderr + ended.stdout
    return ended


def imported(serving: Serving, path: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Import a file, and return what became of its words."""
    told = command(serving, "feedback", "import", str(path), "--http", serving.addresses["http"], *arguments, "--json", code=code).stdout
    return json.loads(told)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_table_is_imported_with_its_types(serving: Serving, ask: Any, tmp_path: Path, suffix: str) -> None:
    """Rows of one request follow each other, in the order that the column `row` tells; an import may be repeated."""
    one, two = ask(rows=2), ask()
    rows = [
        {"request_id": one, "row": 1, "label": 7},
        {"request_id": one, "row": 0, "label": 1},
        {"request_id": two, "row": 0, "label": 1},
        {"request_id": "long ago", "row": 0, "label": 1},
    ]
    path = tmp_path / f"truth.{suffix}"
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if suffix == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    elif suffix == "parquet":
        duckdb.sql(f"COPY (FROM read_json('{lines}')) TO '{path}' (FORMAT PARQUET)")
    else:
        path.write_bytes(lines.read_bytes())

    first = imported(serving, path, "--model", "digits")
    again = imported(serving, path, "--model", "digits")

    assert (first["joined"], first["unknown"], first["refused"]) == (2, 1, 0)
    assert (again["joined"], again["duplicate"], again["unknown"]) == (0, 2, 1)


def test_texts_that_look_like_numbers_stay_texts_and_columns_may_be_named(serving: Serving, ask: Any, tmp_path: Path) -> None:
    """The datatype of the output decides, not the look of a cell."""
    path = tmp_path / "truth.csv"
    path.write_text(f"ticket,species\n{ask('language')},de\n{ask('language')},7\n")

    told = imported(serving, path, "--model", "language", "--id", "ticket", "--truth", "species=label", code=1)

    assert (told["joined"], told["refused"]) == (1, 1)
    assert "the class '7'" in told["errors"][0]


def test_words_and_rewards_are_imported_as_they_are(serving: Serving, ask: Any, tmp_path: Path) -> None:
    """Lines that a server takes need no columns; a table of rewards needs no truth."""
    path = tmp_path / "words.jsonl"
    path.write_text("".join(json.dumps(word) + "\n" for word in ({"id": ask(), "outputs": {"label": 1}}, {"id": ask(), "reward": 0.5})))
    rewards = tmp_path / "rewards.csv"
    rewards.write_text(f"id,reward\n{ask()},0.5\n{ask()},much\n")

    assert imported(serving, path, "--model", "digits")["joined"] == 2
    told = imported(serving, rewards, "--model", "digits", code=1)
    assert (told["joined"], told["refused"]) == (1, 1)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("truth.csv", "id,species\na,1\n", "say --truth COLUMN=OUTPUT"),
        ("truth.csv", "ticket,label\na,1\n", "name it with --id"),
        ("truth.csv", "id,label\na,1,2\n", "line 2"),
        ("truth.jsonl", "{}\n{", "line 2 is no JSON"),
        ("truth.txt", "", "neither .csv"),
        ("truth.parquet", "no", "no Parquet"),
    ],
)
def test_a_file_that_holds_no_feedback_is_refused_with_the_reason(
    serving: Serving, tmp_path: Path, name: str, text: str, words: str
) -> None:
    """Exit code 2, one line, nothing posted."""
    path = tmp_path / name
    path.write_text(text)

    ended = command(serving, "feedback", "import", str(path), "--model", "digits", "--http", serving.addresses["http"], code=2)

    assert words in ended.stderr


def test_models_without_feedback_and_servers_that_are_not_there_are_told(serving: Serving, tmp_path: Path) -> None:
    """Exit code 1, and what to do."""
    path = tmp_path / "truth.csv"
    path.write_text("id,reward\na,1\n")

    off = command(serving, "feedback", "import", str(path), "--model", "diabetes", "--http", serving.addresses["http"], code=1)
    gone = command(serving, "feedback", "import", str(path), "--model", "digits", "--http", "127.0.0.1:9", code=1)

    assert "feedback.enabled" in off.stderr
    assert "--http" in gone.stderr


def test_rows_feedback_and_arms_join_in_one_question(serving: Serving, ask: Any) -> None:
    """A repeated word doubles no row; a word about a forgotten prediction joins as well."""
    ids = [ask(version="1"), ask(version="2"), ask(version="2")]
    answers = {}
    for number, request_id in enumerate(ids):
        for label in (1, 5)[: 2 - number % 2]:
            answer = serving.client.post("/v2/models/digits/feedback", json={"id": request_id, "outputs": {"label": label}})
            answers.setdefault(request_id, []).append(answer.json()["outcome"])
    until(lambda: not list((serving.state / "payloads").rglob(f".*{OPEN}")))
    sql = JOIN.format(ids=", ".join(f"'{request_id}'" for request_id in ids))

    found = json.loads(command(serving, "query", sql, "digits", "--dir", str(serving.state / "payloads"), "--json").stdout)

    assert answers[ids[0]] == ["joined", "duplicate"]
    assert [(row["version"], row["route"], row["n"]) for row in found] == [("1", "pinned", 1), ("2", "pinned", 2)]


def test_the_view_of_feedback_is_there_without_any(serving: Serving, tmp_path: Path) -> None:
    """A query must not fail for want of files."""
    found = command(serving, "query", "SELECT count(*) AS n FROM feedback", "--dir", str(tmp_path), "--json").stdout

    assert json.loads(found) == [{"n": 0}]
