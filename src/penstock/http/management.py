"""The endpoints that change the server, and what only operators see: the admin listener."""

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from penstock.batching.history import KEPT
from penstock.domain.errors import InvalidInput
from penstock.domain.names import check_model_name, is_alias, is_version_number, shown
from penstock.http.accept import prefers_html
from penstock.http.answers import json_response, optional_object
from penstock.http.batch_report import batches_of
from penstock.http.metric_pages import Pages
from penstock.http.model_report import aliases_of, report_of
from penstock.http.static import asset, page
from penstock.lifecycle.catalog import ServedModel
from penstock.lifecycle.manager import Manager
from penstock.security.token import AdminToken
from penstock.telemetry.logs import LogSettings
from penstock.telemetry.metrics import Metrics

_BATCHES_PAGE: Final = asset("batches.html")


class Management:
    """Load, unload, log settings, metrics and reports. Lives on the event loop."""

    def __init__(self, manager: Manager, token: AdminToken, logs: LogSettings, metrics: Metrics) -> None:
        self._manager = manager
        self._token = token
        self._logs = logs
        self._pages = Pages(metrics.scrape)

    async def load(self, request: Request) -> Response:
        """Load or reload a model; answers once it is ready, or with the reason why it is not."""
        self._require(request)
        name = request.path_params["model"]
        _check_no_parameters(await optional_object(request), ())
        # The load goes on although its caller leaves: half a load would be nobody's.
        await asyncio.shield(self._manager.load(name))
        return Response()

    async def unload(self, request: Request) -> Response:
        """Unload a model; what is under way is still answered."""
        self._require(request)
        name = check_model_name(request.path_params["model"])
        _check_no_parameters(await optional_object(request), ("unload_dependents",))
        await self._manager.unload(name)
        return Response()

    async def logging(self, request: Request) -> Response:
        """Read the log settings, or with the token change them."""
        if request.method == "POST":
            self._require(request)
            self._logs.update(await optional_object(request))
        return json_response(self._logs.as_dict())

    async def metrics(self, request: Request) -> Response:
        """Answer a scrape."""
        body, content_type = await self._pages.page(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    async def models(self, request: Request) -> Response:
        """Report every model."""
        self._require(request)
        return json_response({"models": [self._report(model) for model in self._manager.catalog]})

    async def model(self, request: Request) -> Response:
        """Report one model."""
        self._require(request)
        return json_response(self._report(self._manager.catalog.model(request.path_params["model"])))

    def _report(self, model: ServedModel) -> object:
        return report_of(model, self._manager.routes)

    async def alias(self, request: Request) -> Response:
        """Have an alias name a version, or take it away; answers with the model's aliases.

        The version is made ready first, unless the body says `force`. To take away what is not there is no error.
        """
        self._require(request)
        name, alias = _alias_path(request)
        if request.method == "DELETE":
            change = self._manager.aliases.remove(name, alias)
        else:
            number, force = _alias_target(await optional_object(request))
            change = self._manager.aliases.put(name, alias, number, force=force)
        # A version that is being loaded goes on being loaded although the caller leaves.
        return json_response(aliases_of(await asyncio.shield(change)))

    async def batches(self, request: Request) -> Response:
        """Tell of the latest batches of a model.

        The page for a browser holds nothing that would need the token: it asks for the token, and then for the batches.
        """
        if prefers_html(request.headers.get("accept", "")):
            response = page(_BATCHES_PAGE)
        else:
            self._require(request)
            response = json_response(self._batches(request))
        response.headers["vary"] = "accept"
        return response

    def _batches(self, request: Request) -> object:
        model = self._manager.catalog.model(request.path_params["model"])
        asked = request.query_params
        return batches_of(model, asked.get("version", ""), _limit(asked.get("limit", str(KEPT))))

    def _require(self, request: Request) -> None:
        self._token.require(request.headers.get("authorization"))


def _check_no_parameters(document: dict[str, object], flags: tuple[str, ...]) -> None:
    parameters = document.get("parameters", {})
    if not isinstance(parameters, dict):
        raise InvalidInput(f"'parameters' must be an object, not {shown(repr(parameters))}")
    for name, value in parameters.items():
        if name not in flags:
            raise InvalidInput(f"unrecognized parameter {shown(name)}: models come from the registry alone, as it holds them")
        if type(value) is not bool:
            raise InvalidInput(f"the parameter {shown(name)} must be true or false, not {shown(repr(value))}")


def _alias_path(request: Request) -> tuple[str, str]:
    name, alias = check_model_name(request.path_params["model"]), request.path_params["alias"]
    if not is_alias(alias):
        raise InvalidInput(
            f"the alias {shown(alias)} is not valid; use 1 to 128 letters, digits, '_' and '-', starting with a letter or '_', "
            "not 'latest' and not 'v' and digits"
        )
    return name, alias


def _alias_target(body: dict[str, object]) -> tuple[int, bool]:
    """Return the version that the alias is to name, and whether it may do so before that is ready."""
    for key in sorted(body.keys() - {"version", "force"}):
        raise InvalidInput(f'unknown key {shown(key)}; the body is {{"version": "3"}}, and may hold "force": true')
    version, force = body.get("version"), body.get("force", False)
    if type(version) not in (int, str) or not is_version_number(str(version)):
        raise InvalidInput(f"'version' is {shown(repr(version))}; it must be a version number such as '3'")
    if type(force) is not bool:
        raise InvalidInput(f"'force' must be true or false, not {shown(repr(force))}")
    return int(str(version)), force


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 4 and 1 <= int(text) <= KEPT):  # noqa: PLR2004 - no longer than KEPT
        raise InvalidInput(f"limit is {shown(text)}; use a number of batches from 1 to {KEPT}, or leave it out")
    return int(text)
