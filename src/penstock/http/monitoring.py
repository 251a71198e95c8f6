"""The endpoint that tells how a model does: the admin listener."""

from collections.abc import Callable, Iterable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from penstock.http.answers import json_response
from penstock.http.endpoint import endpoint
from penstock.lifecycle.catalog import Catalog, ServedModel
from penstock.security.token import AdminToken

Section = Callable[[ServedModel], object]
"""Tells one part of the report, as plain values."""


class MonitoringReports:
    """Reports of drift and quality. Lives on the event loop."""

    def __init__(self, sections: Mapping[str, Section], catalog: Catalog, token: AdminToken) -> None:
        self._sections = sections
        self._catalog = catalog
        self._token = token

    def routes(self) -> Iterable[BaseRoute]:
        """Yield what they answer."""
        yield endpoint("/admin/models/{model}/monitoring", self.report)

    async def report(self, request: Request) -> Response:
        """Report one model: each section under its name."""
        self._token.require(request.headers.get("authorization"))
        model = self._catalog.model(request.path_params["model"])
        return json_response({"model": model.name, **{name: told(model) for name, told in self._sections.items()}})
