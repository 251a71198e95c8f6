"""The endpoint that tells what shadows answer: the admin listener."""

from collections.abc import Container, Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from penstock.http.answers import json_response
from penstock.http.endpoint import endpoint
from penstock.http.shadow_report import shadows_of
from penstock.inference.shadow import Shadows
from penstock.lifecycle.catalog import Catalog
from penstock.security.token import AdminToken


class ShadowReports:
    """Reports of comparisons. Lives on the event loop."""

    def __init__(self, shadows: Shadows, catalog: Catalog, token: AdminToken, redacted: Container[str] = ()) -> None:
        """`redacted` are the models whose values nobody is shown."""
        self._shadows = shadows
        self._catalog = catalog
        self._token = token
        self._redacted = redacted

    def routes(self) -> Iterable[BaseRoute]:
        """Yield what they answer."""
        yield endpoint("/admin/models/{model}/shadows", self.report)

    async def report(self, request: Request) -> Response:
        """Report the shadows of one model, those that its route has and those that it had before."""
        self._token.require(request.headers.get("authorization"))
        model = self._catalog.model(request.path_params["model"])
        return json_response(shadows_of(self._shadows, model.name, redacted=model.name in self._redacted))
