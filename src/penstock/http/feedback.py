"""The endpoint that takes the truth, or a reward, for earlier predictions: the prediction listener."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from penstock.domain.errors import InvalidInput, Overloaded, PenstockError, TooLarge
from penstock.domain.schema import ModelSchema
from penstock.http.answers import json_response
from penstock.http.body import read_body
from penstock.http.endpoint import endpoint
from penstock.http.feedback_form import Said, said, word_of
from penstock.http.json_text import check_nesting, kind_of, read, read_weighed
from penstock.http.json_weight import is_long, room_beside
from penstock.http.options import HttpOptions
from penstock.lifecycle.catalog import Catalog
from penstock.monitoring.feedback import REFUSED, Feedback
from penstock.monitoring.recent_predictions import Prediction, Reason

MOST_WORDS: Final = 10_000
"""In one request."""
_MOST_TOLD: Final = 100
"""Errors that one answer lists."""
_TURN: Final = 16
"""Words after which others get a turn of the event loop: what a prediction may wait for a long list."""
_LATER: Final = frozenset({Reason.LATE, Reason.UNKNOWN})
_LINES: Final = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")

Read = Callable[[], object]
"""Returns one word as JSON has it, or raises `InvalidInput`."""


class FeedbackEndpoints:
    """Takes one word, or many. Lives on the event loop."""

    def __init__(self, feedback: Feedback, catalog: Catalog, options: HttpOptions) -> None:
        self._feedback = feedback
        self._catalog = catalog
        self._limit = options.max_body_bytes

    def routes(self) -> Iterable[BaseRoute]:
        """Yield what they answer."""
        yield endpoint("/v2/models/{model}/feedback", self.feedback, "POST")

    async def feedback(self, request: Request) -> Response:
        """Answer 200 for words that were judged, or had been before; 202 if some are recorded for later.

        Raises `PenstockError` for a single word that cannot be taken, and for many of which none can.
        """
        model = self._catalog.model(request.path_params["model"]).name
        self._feedback.of(model)
        try:
            body = await read_body(request, self._limit)
            found = _words(body, self._limit, in_lines=_media_type(request) in _LINES)
        except PenstockError:
            self._feedback.refuse(model)
            raise
        return await self._many(model, found) if isinstance(found, list) else self._one(model, found)

    def _one(self, model: str, read_word: Read) -> Response:
        reason, prediction, request_id = self._take(model, read_word)
        told = {"id": request_id, "outcome": reason}
        if prediction is not None:
            told |= {"version": prediction.version, "arm": prediction.arm}
        return json_response(told, 202 if reason in _LATER else 200)

    async def _many(self, model: str, words: list[Read]) -> Response:
        outcomes: Counter[str] = Counter(dict.fromkeys(map(str, (*Reason, REFUSED)), 0))
        errors: list[dict[str, object]] = []
        for index, read_word in enumerate(words):
            if index % _TURN == _TURN - 1:
                await asyncio.sleep(0)
            try:
                reason, _, _ = self._take(model, read_word)
                outcomes[reason] += 1
            except Overloaded:
                raise
            except PenstockError as error:
                outcomes[REFUSED] += 1
                errors.append({"index": index, "error": error.message, "code": error.code})
        if len(errors) == len(words):
            raise InvalidInput(f"none of the {len(words)} words of feedback can be taken; the first: {errors[0]['error']}")
        later = any(outcomes[reason] for reason in _LATER)
        return json_response(outcomes | {"errors": errors[:_MOST_TOLD]}, 202 if later else 200)

    def _take(self, model: str, read_word: Read) -> tuple[Reason, Prediction | None, str]:
        """Take one word; whatever it is refused for is counted."""
        try:
            one = said(read_word())
            word = word_of(one, self._schemas(model, one))
        except PenstockError:
            self._feedback.refuse(model)
            raise
        return *self._feedback.take(model, word), one.request_id

    def _schemas(self, model: str, one: Said) -> list[ModelSchema]:
        """Return that of the version that answered; where it is not remembered, those of all that could have."""
        if one.reward is not None:
            return []
        found = self._feedback.of(model)
        prediction = found.find(one.request_id)
        if prediction is not None:
            return [found.schema_of(prediction)]
        served = self._catalog.model(model)
        return [self._catalog.find(model).schema, *(served.versions[number].schema for number in served.ready_versions)]


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _words(body: bytes | bytearray, limit: int, *, in_lines: bool) -> Read | list[Read]:
    """Return the word, or the words, that a body holds: an object, a list, or lines. Raises `InvalidInput`, and `TooLarge` for too many."""
    if not body.strip():
        raise InvalidInput('the body is empty; send {"id": request id, "outputs": …}, or with "reward"')
    document = None if in_lines else _document(body, limit)
    if isinstance(document, dict):
        return partial(_itself, document)
    words: list[Read] = (
        list(islice(_lines(body, limit), MOST_WORDS + 1)) if document is None else [partial(_itself, word) for word in document]
    )
    if len(words) > MOST_WORDS:
        raise TooLarge(f"the request holds more than {MOST_WORDS} words of feedback; send the rest in another one")
    return words


def _document(body: bytes | bytearray, limit: int) -> dict[str, Any] | list[Any] | None:
    """Return the JSON that a body is; None for one that goes on in further lines."""
    try:
        document = _read(body, limit)
    except InvalidInput:
        first, *more = body.split(b"\n", 2)
        if first.strip().endswith(b"}") and any(line.strip() for line in more):
            return None
        raise
    check_nesting(document, body)
    if not isinstance(document, dict | list):
        raise InvalidInput(f"the body is a JSON {kind_of(document)}; send a word of feedback, or a list of them")
    if document == []:
        raise InvalidInput("the list of feedback is empty; send one word at least")
    return document


def _lines(body: bytes | bytearray, limit: int) -> Iterator[Read]:
    start = 0
    while start < len(body):
        stop = body.find(b"\n", start) + 1 or len(body)
        if line := bytes(body[start:stop]).strip():
            yield partial(_read_line, line, limit)
        start = stop


def _read(text: bytes | bytearray, limit: int) -> Any:  # noqa: ANN401 - what JSON may hold
    return read_weighed(text, room_beside(len(text), limit)) if is_long(len(text), limit) else read(text)


def _read_line(line: bytes, limit: int) -> object:
    document = _read(line, limit)
    check_nesting(document, line)
    return document


def _itself(document: object) -> object:
    return document
