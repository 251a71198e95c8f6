"""`penstock payloads feedback`."""

import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from penstock.cli.feedback_file import Columns, UnreadableTable, Word, words_of
from penstock.cli.models_registry import as_json, leave, name_of, say
from penstock.cli.options import USAGE, with_settings
from penstock.cli.payloads_query import NEEDED
from penstock.config.load import Loaded

_BATCH: Final = 1000
_PATIENCE_S: Final = 60
_OK: Final = (200, 202)
_TOLD: Final = 10
_TRIES: Final = 60


@click.group()
def feedback() -> None:
    """Bring the truth about earlier predictions.

    \b
    Example:
      penstock payloads feedback import truth.csv --model fraud
    """


def _truths(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=")[::2] for text in texts]
    if wrong := [column for column, output in pairs if not column or not output]:
        raise click.BadParameter(f"{wrong[0]!r} names no output; write COLUMN=OUTPUT, such as species=label")
    return dict(pairs)


@feedback.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--model", required=True, callback=name_of, help="The model that was asked.")
@click.option("--id", "request_id", metavar="COLUMN", default="", help="Where the request ids are. [default: id, else request_id]")
@click.option(
    "--truth", "truths", metavar="COLUMN=OUTPUT", multiple=True, callback=_truths, help="The truth of an output. May be repeated."
)
@click.option("--reward", metavar="COLUMN", default="", help="Where the rewards are. [default: reward, if no column is an output]")
@click.option("--http", "address", metavar="ADDRESS", help="The HTTP listener of the server. [default: by the settings]")
@as_json
@with_settings
def import_(
    loaded: Loaded, *, file: Path, model: str, request_id: str, truths: Mapping[str, str], reward: str, address: str | None, as_json: bool
) -> None:
    """Post the truth in FILE to a running server, which joins, judges and records it.

    FILE is .csv or .parquet (extra monitor) with a column of request ids, and columns that are called as the model's outputs; or .jsonl,
    with such rows or with words as the server takes them. Rows that follow each other with one id are the rows of one request. What was
    imported before is a duplicate, so an import that was interrupted may be repeated.

    \b
    Examples:
      penstock payloads feedback import truth.csv --model fraud
      penstock payloads feedback import iris.parquet --model iris --id ticket --truth species=label
    """
    server = loaded.settings.server
    door = _Door(address or f"{server.host}:{server.http_port}", f"/v2/models/{quote(model)}")
    outcomes: Counter[str] = Counter()
    errors: list[str] = []
    try:
        words = words_of(file, door.outputs(), Columns(request_id, truths, reward))
        for batch in _batches(words):
            told = door.tell(batch)
            errors += [f"{batch[error['index']].get('id')}: {error['error']}" for error in told.pop("errors")]
            outcomes.update(told)
    except ImportError:
        leave(NEEDED, USAGE)
    except (UnreadableTable, UnicodeDecodeError) as error:
        leave(f"{file} cannot be imported: {error}", USAGE)
    _report(outcomes, errors, as_json=as_json)


def _report(outcomes: Counter[str], errors: list[str], *, as_json: bool) -> None:
    if as_json:
        say(dict(outcomes) | {"errors": errors})
    else:
        click.echo(", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()) or "the file holds no feedback")
        for error in errors[:_TOLD]:
            click.echo(error, err=True)
        if len(errors) > _TOLD:
            click.echo(f"and {len(errors) - _TOLD} more, see --json", err=True)
    if outcomes["refused"]:
        raise click.exceptions.Exit(1)


def _batches(words: Iterator[Word]) -> Iterator[list[Word]]:
    while batch := list(islice(words, _BATCH)):
        yield batch


class _Door:
    """One model at the HTTP listener of a server; a refusal, or nobody there, ends the command with exit code 1."""

    def __init__(self, address: str, path: str) -> None:
        self._address = address.removeprefix("http://").rstrip("/")
        self._path = path

    def outputs(self) -> dict[str, str]:
        """Return the model's outputs and their datatypes."""
        status, document = self._ask("GET", self._path)
        if status not in _OK:
            leave(document["error"], 1)
        return {output["name"]: output["datatype"] for output in document["outputs"]}

    def tell(self, words: list[Word]) -> dict[str, Any]:
        """Return what became of the words; where all are refused, with the reason of the first.

        A server that is behind is asked again; what it had taken of the words by then counts as duplicate.
        """
        body = b"".join(json.dumps(word, default=str).encode() + b"\n" for word in words)
        status, document = self._ask("POST", f"{self._path}/feedback", body)
        for _ in range(_TRIES):
            if status != http.client.TOO_MANY_REQUESTS:
                break
            time.sleep(1)
            status, document = self._ask("POST", f"{self._path}/feedback", body)
        if status == http.client.BAD_REQUEST:
            return {"refused": len(words), "errors": [{"index": 0, "error": document["error"]}]}
        if status not in _OK:
            leave(document["error"], 1)
        return document

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(self._address, timeout=_PATIENCE_S)
        try:
            connection.request(method, path, body, {"content-type": "application/x-ndjson"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            return leave(f"no HTTP listener answers at {self._address}: {error}; name it with --http", 1)
        finally:
            connection.close()
