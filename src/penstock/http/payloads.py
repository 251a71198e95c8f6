"""The endpoint that tells, and changes, what is recorded of a model: the admin listener."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from penstock.domain.errors import InvalidInput, Unavailable
from penstock.domain.names import shown
from penstock.http.answers import json_response, optional_object
from penstock.http.endpoint import endpoint
from penstock.lifecycle.catalog import Catalog, ServedModel
from penstock.payloads.options import RecordingOptions, recording_problems
from penstock.payloads.recorder import Recorder
from penstock.payloads.unmatched import unmatched
from penstock.security.token import AdminToken

_TOLD: Final = frozenset({"model", "sink", "unmatched"})
"""What an answer holds beside the options."""
_CHANGED: Final = ("sample", "keep_errors", "slower_ms", "keep", "keep_disagreements")


class PayloadEndpoints:
    """Sampling and redaction in force. Lives on the event loop."""

    def __init__(self, recorder: Recorder, catalog: Catalog, token: AdminToken) -> None:
        self._recorder = recorder
        self._catalog = catalog
        self._token = token

    def routes(self) -> Iterable[BaseRoute]:
        """Yield what they answer."""
        yield endpoint("/admin/models/{model}/payloads", self.payloads, "GET", "PUT")

    async def payloads(self, request: Request) -> Response:
        """Answer with what is recorded of a model; change the sample, and which predictions are always kept."""
        self._token.require(request.headers.get("authorization"))
        model = self._catalog.model(request.path_params["model"])
        if request.method == "PUT":
            self._change(model, await optional_object(request))
        return json_response(self._told(model))

    def _change(self, model: ServedModel, body: dict[str, Any]) -> None:
        before = self._recorder.in_force(model.name)
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
            "sink": self._recorder.sink.name,
            "unmatched": unmatched(options, (model.versions[number].schema for number in model.ready_versions)),
        }


def changed(before: RecordingOptions, body: dict[str, Any]) -> RecordingOptions:
    """Return the options with what a body changes of them; raises `InvalidInput`.

    Redaction is the settings' alone: whoever may call an endpoint should not be able to have more written down.
    """
    for key in sorted(body.keys() - set(RecordingOptions.__struct_fields__)):
        raise InvalidInput(f"unknown key {shown(key)}; the body may hold {', '.join(_CHANGED)}")
    there = msgspec.to_builtins(before)
    for key in ("redact", "subject"):
        if body.get(key, there[key]) != there[key]:
            raise InvalidInput(f"{key} can only be changed in the settings: send it as it is, or leave it out")
    try:
        after = msgspec.convert(there | body, RecordingOptions)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"what is to be recorded is not valid: {error}") from error
    if problems := list(recording_problems(after)):
        raise InvalidInput(f"what is to be recorded is not valid: {'; '.join(problems)}")
    return after


def sampling(options: RecordingOptions) -> str:
    """Return in words which predictions are recorded."""
    rules = [f"sample {options.sample:g}"]
    rules += ["every error"] if options.keep_errors else []
    rules += [] if options.slower_ms is None else [f"all above {options.slower_ms:g} ms"]
    rules += [f"answers by {len(options.keep)} rules"] if options.keep else []
    rules += ["every disagreement of a shadow"] if options.keep_disagreements else []
    return ", ".join(rules)
