"""The endpoints that tell, change and delete what is recorded: the admin listener."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from penstock.audit.log import AuditLog
from penstock.domain.actor import acting
from penstock.domain.errors import Conflict, InvalidInput, Unavailable
from penstock.domain.names import check_model_name, shown
from penstock.http.answers import json_response, optional_object
from penstock.http.endpoint import endpoint
from penstock.lifecycle.beside import beside
from penstock.lifecycle.catalog import Catalog, ServedModel
from penstock.payloads.deletion import Deletions, NoKey
from penstock.payloads.options import RecordingOptions, recording_problems
from penstock.payloads.recorder import Recorder
from penstock.payloads.tombstones import ANY, time_of
from penstock.payloads.unmatched import unmatched
from penstock.security.token import AdminToken

_TOLD: Final = frozenset({"model", "sink", "unmatched"})
"""What an answer holds beside the options."""
_CHANGED: Final = ("sample", "keep_errors", "slower_ms", "keep", "keep_disagreements")


class PayloadEndpoints:
    """Sampling and redaction in force, and deletion. Lives on the event loop."""

    def __init__(self, recorder: Recorder, catalog: Catalog, token: AdminToken, deletions: Deletions, audit: AuditLog) -> None:
        self._recorder = recorder
        self._catalog = catalog
        self._token = token
        self._deletions = deletions
        self._audit = audit

    def routes(self) -> Iterable[BaseRoute]:
        """Yield what they answer."""
        yield endpoint("/admin/models/{model}/payloads", self.payloads, "GET", "PUT")
        yield endpoint("/admin/payloads/delete", self.delete, "POST")

    async def payloads(self, request: Request) -> Response:
        """Answer with what is recorded of a model; change the sample, and which predictions are always kept."""
        self._token.require(request.headers.get("authorization"))
        model = self._catalog.model(request.path_params["model"])
        if request.method == "PUT":
            self._change(model, await optional_object(request))
        return json_response(self._told(model))

    async def delete(self, request: Request) -> Response:
        """Delete what is recorded of one subject; answers with how many rows are gone, and how many will be once their file is finished."""
        self._token.require(request.headers.get("authorization"))
        subject, before, model, dry_run = wanted_deletion(await optional_object(request))
        work = partial(self._deletions.delete, subject, before, model, dry_run=dry_run)
        try:
            deleted = await asyncio.shield(beside(work))  # goes on although its caller leaves
        except NoKey as error:
            raise Conflict(str(error)) from error
        except OSError as error:
            raise Unavailable(
                f"not all that is recorded could be rewritten: {error.strerror}; free the directory, and try again"
            ) from error
        if not dry_run:  # whose rows they were is what nobody should find any more
            self._audit.add(acting(), "payloads", "", f"{deleted.rows} rows of a subject deleted", model=model or "")
        return json_response(deleted._asdict() | {"dry_run": dry_run})

    def _change(self, model: ServedModel, body: dict[str, Any]) -> None:
        before, sink = self._recorder.in_force(model.name), self._recorder.sink_of(model.name)
        if body.get("sink", sink) != sink:
            raise InvalidInput("sink can only be changed in the settings: send it as it is, or leave it out")
        after = changed(before, {key: value for key, value in body.items() if key not in _TOLD})
        if after == before:
            return
        try:
            self._recorder.change(model.name, after)
        except OSError as error:
            raise Unavailable(
                f"nothing is recorded: the key of hashes cannot be kept in the state directory: {error.strerror}; free it, and try again"
            ) from error
        model.events.add("admin", "payloads", sampling(before), sampling(after), "until the settings change, or the server starts again")

    def _told(self, model: ServedModel) -> dict[str, object]:
        options = self._recorder.in_force(model.name)
        return {
            "model": model.name,
            **msgspec.to_builtins(options),
            "sink": self._recorder.sink_of(model.name),
            "unmatched": unmatched(options, (model.versions[number].schema for number in model.ready_versions)),
        }


def changed(before: RecordingOptions, body: dict[str, Any]) -> RecordingOptions:
    """Return the options with what a body changes of them; raises `InvalidInput`.

    Redaction is the settings' alone: whoever may call an endpoint should not be able to have more written down.
    """
    for key in sorted(body.keys() - set(RecordingOptions.__struct_fields__)):
        raise InvalidInput(f"unknown key {shown(key)}; the body may hold {', '.join(_CHANGED)}")
    there = msgspec.to_builtins(before)
    for key in ("redact", "subject", "caller"):
        if body.get(key, there[key]) != there[key]:
            raise InvalidInput(f"{key} can only be changed in the settings: send it as it is, or leave it out")
    try:
        after = msgspec.convert(there | body, RecordingOptions)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"what is to be recorded is not valid: {error}") from error
    if problems := list(recording_problems(after)):
        raise InvalidInput(f"what is to be recorded is not valid: {'; '.join(problems)}")
    return after


def wanted_deletion(body: dict[str, Any]) -> tuple[str, datetime, str, bool]:
    """Return the subject, the time before which rows go, the model or "*", and whether rows are only counted; raises `InvalidInput`."""
    for key in sorted(body.keys() - {"subject", "before", "model", "dry_run"}):
        raise InvalidInput(f"unknown key {shown(key)}; the body holds subject, and may hold before, model and dry_run")
    subject, model, dry_run = body.get("subject"), body.get("model", ANY), body.get("dry_run", False)
    if not isinstance(subject, str) or not subject:
        raise InvalidInput("'subject' must be a text: whose rows go, as the requests name them")
    if type(dry_run) is not bool:
        raise InvalidInput(f"'dry_run' must be true or false, not {shown(repr(dry_run))}")
    if model != ANY:
        check_model_name(str(model))
    try:
        before = time_of(str(body["before"])) if "before" in body else datetime.now(UTC)
    except ValueError as error:
        raise InvalidInput(f"'before' is {shown(str(body['before']))}; use a time such as 2026-01-31T12:00:00Z") from error
    return subject, before, str(model), dry_run


def sampling(options: RecordingOptions) -> str:
    """Return in words which predictions are recorded."""
    rules = [f"sample {options.sample:g}"]
    rules += ["every error"] if options.keep_errors else []
    rules += [] if options.slower_ms is None else [f"all above {options.slower_ms:g} ms"]
    rules += [f"answers by {len(options.keep)} rules"] if options.keep else []
    rules += ["every disagreement of a shadow"] if options.keep_disagreements else []
    return ", ".join(rules)
