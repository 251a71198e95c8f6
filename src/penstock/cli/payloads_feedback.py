"""`penstock payloads feedback`."""

import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from penstock.cli.admin import token_in
from penstock.cli.feedback_file import Columns, UnreadableTable, Word, words_of
from penstock.cli.listener import Listener, parsed, refusal_of, with_listener
from penstock.cli.models_registry import as_json, leave, name_of, say
from penstock.cli.options import USAGE
from penstock.cli.payloads_query import NEEDED
from penstock.config.load import Loaded

_BATCH: Final = 1000
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
@as_json
@with_listener("http")
def import_(
    loaded: Loaded,
    listener: Listener,
    *,
    file: Path,
    model: str,
    request_id: str,
    truths: Mapping[str, str],
    reward: str,
    as_json: bool,
) -> None:
    """Post the truth in FILE to a running server, which joins, judges and records it.

    FILE is .csv or .parquet (extra monitor) with a column of request ids, and columns that are called as the model's outputs; or .jsonl,
    with such rows or with words as the server takes them. Rows that follow each other with one id are the rows of one request. What was
    imported before is a duplicate, so an import that was interrupted may be repeated.

    A server that asks for a key is shown the one in admin.token of server.state_dir, which needs the scopes read and predict.

    \b
    Examples:
      penstock payloads feedback import truth.csv --model fraud
      penstock payloads feedback import iris.parquet --model iris --id ticket --truth species=label
    """
    door = _Door(listener, f"/v2/models/{quote(model)}", Path(loaded.settings.server.state_dir))
    outcomes: Counter[str] = Counter()
    errors: list[str] = []
    try:
        words = words_of(file, door.outputs(), Columns(request_id, truths, reward))
        for batch in _batches(words):
            told = door.tell(batch)
            errors += [f"{batch[error['index']].get('id')}: {error['error']}" for error in told.pop("errors", [])]
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

    def __init__(self, listener: Listener, path: str, state_dir: Path) -> None:
        self._listener = listener
        self._path = path
        self._headers, self._token = {"content-type": "application/x-ndjson"}, ""
        with suppress(OSError):  # a server without keys asks for none
            self._token = token_in(state_dir)

    def outputs(self) -> dict[str, str]:
        """Return the model's outputs and their datatypes."""
        status, document = self._ask("GET", self._path)
        if status == http.client.UNAUTHORIZED and self._token:
            # Only who asks is shown it: on a server without keys it is the secret of management.
            self._headers["authorization"] = f"Bearer {self._token}"
            status, document = self._ask("GET", self._path)
        if status not in _OK:
            leave(refusal_of(status, document), 1)
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
            return {"refused": len(words), "errors": [{"index": 0, "error": refusal_of(status, document)}]}
        if status not in _OK:
            leave(refusal_of(status, document), 1)
        return document

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
        status, content = self._listener.ask(method, path, body, self._headers)
        document = parsed(content)
        if not isinstance(document, dict):
            leave(f"what answers at {self._listener.address} is no Penstock; name its HTTP listener with --http", 1)
        return status, document
