"""The two HTTP applications: predictions, and administration."""

from collections.abc import Iterable
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ExceptionHandler

import penstock
from penstock.domain.errors import InvalidInput, MethodNotAllowed, NotFound, PenstockError, Unimplemented
from penstock.domain.names import shown
from penstock.http import docs
from penstock.http.answers import json_response
from penstock.http.door import OPEN, Doors
from penstock.http.endpoint import Endpoints, endpoint
from penstock.http.errors import error_response
from penstock.http.hosts import LOOPBACK, HostCheck
from penstock.http.management import Management
from penstock.http.models import Models
from penstock.http.options import HttpOptions
from penstock.http.predict import Predictions
from penstock.http.shield import Shield
from penstock.http.static import asset_route
from penstock.http.webhook import WEBHOOK

_METRICS: Final = "/metrics"
_ADMIN_FILES: Final = ("docs.css", "batches.css", "batches.js", "dom.js", "server.js")


def prediction_app(  # noqa: PLR0917 - what an application is made of
    predictions: Predictions,
    models: Models,
    management: Management,
    options: HttpOptions,
    groups: Iterable[Endpoints] = (),
    doors: Doors = OPEN,
) -> Starlette:
    """Return the application of the prediction listener; it changes nothing of what is served."""
    hosts = [Middleware(HostCheck, allowed=options.allowed_hosts)] if options.allowed_hosts else []
    routes = [
        *_v2(predictions, models),
        *_v1(predictions, models),
        *_unoffered(),
        endpoint("/v2/repository/index", models.index, "POST"),
        endpoint("/v2/repository/{repository}/index", _no_repositories, "POST"),
        endpoint("/v2/logging", management.logging, "GET"),
        *(route for group in groups for route in group.routes()),
        *docs.routes(penstock.__version__),
    ]
    return _app(routes, [*hosts, *doors.over(routes)])


def admin_app(models: Models, management: Management, groups: Iterable[Endpoints], doors: Doors = OPEN) -> Starlette:
    """Return the application of the admin listener. Browsers reach it under loopback names only, scrapers and MLflow under any."""
    hosts = [Middleware(HostCheck, allowed=LOOPBACK, free=(_METRICS, WEBHOOK))]
    routes = [
        endpoint(_METRICS, management.metrics),
        endpoint("/v2/health/live", models.live),
        endpoint("/v2/health/ready", models.ready),
        endpoint("/v2/repository/index", models.index, "POST"),
        endpoint("/v2/repository/models/{model:path}/load", management.load, "POST"),
        endpoint("/v2/repository/models/{model:path}/unload", management.unload, "POST"),
        endpoint("/v2/logging", management.logging, "GET", "POST"),
        endpoint("/admin/models", management.models),
        endpoint("/admin/models/{model}", management.model),
        endpoint("/admin/models/{model}/batches", management.batches),
        endpoint("/admin/models/{model}/aliases/{alias}", management.alias, "PUT", "DELETE"),
        *(route for group in groups for route in group.routes()),
        *(asset_route(f"/admin/assets/{name}", name) for name in _ADMIN_FILES),
    ]
    return _app(routes, [*hosts, *doors.over(routes)])


def _v2(predictions: Predictions, models: Models) -> Iterable[BaseRoute]:
    yield endpoint("/", models.root)
    yield endpoint("/v2/health/live", models.live)
    yield endpoint("/v2/health/ready", models.ready)
    # Both spellings answer: clients do not follow redirects on POST, and the specification itself writes both.
    yield from (endpoint("/v2", models.server), endpoint("/v2/", models.server))
    yield endpoint("/v2/models", models.names)
    yield endpoint("/v2/models/stats", models.statistics)
    for target in ("/v2/models/{model}/versions/{version}", "/v2/models/{model}"):
        yield endpoint(f"{target}/ready", models.model_ready)
        yield endpoint(f"{target}/config", models.config)
        yield endpoint(f"{target}/stats", models.statistics)
        # The name may hold anything here, so that a malformed one is told to be malformed.
        yield endpoint(f"{target.replace('{model}', '{model:path}')}/infer", predictions.infer, "POST")
        yield endpoint(target, models.metadata)


def _v1(predictions: Predictions, models: Models) -> Iterable[BaseRoute]:
    yield endpoint("/v1/models", models.names)
    for target in ("/v1/models/{model}/versions/{version:word}", "/v1/models/{model}/labels/{version:word}", "/v1/models/{model:word}"):
        yield endpoint(f"{target.replace(':word', '')}:predict", predictions.predict_v1, "POST")
        yield endpoint(f"{target}/metadata", models.metadata_v1)
        yield endpoint(target, models.status_v1)


def _unoffered() -> Iterable[BaseRoute]:
    """Yield the routes of extensions that Penstock lacks; clients unregister all shared memory at their start, which succeeds."""
    for kind in ("systemsharedmemory", "cudasharedmemory"):
        yield endpoint(f"/v2/{kind}/status", _no_regions)
        yield endpoint(f"/v2/{kind}/region/{{region}}/status", _no_region)
        yield endpoint(f"/v2/{kind}/region/{{region}}/register", _no_shared_memory, "POST")
        yield endpoint(f"/v2/{kind}/region/{{region}}/unregister", _nothing_to_do, "POST")
        yield endpoint(f"/v2/{kind}/unregister", _nothing_to_do, "POST")
    yield endpoint("/v2/trace/setting", _no_trace, "GET", "POST")
    yield endpoint("/v2/models/{model}/trace/setting", _no_trace, "GET", "POST")


def _app(routes: list[BaseRoute], middleware: list[Middleware]) -> Starlette:
    handlers: dict[object, ExceptionHandler] = {
        PenstockError: _told,
        HTTPException: _not_routed,
    }
    app = Starlette(routes=routes, middleware=[Middleware(Shield), *middleware], exception_handlers=handlers)
    app.router.redirect_slashes = False
    return app


async def _told(_: Request, error: Exception) -> Response:
    assert isinstance(error, PenstockError), "registered for these"  # noqa: S101
    return error_response(error)


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for these"  # noqa: S101
    path = shown(request.url.path)
    if error.status_code == 405:  # noqa: PLR2004
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
        refusal = MethodNotAllowed(f"Method Not Allowed: {path} takes {allowed}, not {shown(request.method)}")
        return error_response(refusal, {"allow": allowed})
    if b"%2f" in request.scope.get("raw_path", b"").lower():
        return error_response(InvalidInput(f"the path {path} holds an encoded slash, which no name may have"))
    return error_response(NotFound(f"Not Found: no route {path}"))


async def _no_repositories(_: Request) -> Response:
    raise Unimplemented("repository_name specification is not supported; leave it out")


async def _no_regions(_: Request) -> Response:
    return json_response([])


async def _no_region(request: Request) -> Response:
    raise NotFound(f"Unable to find shared memory region {shown(request.path_params['region'])}")


async def _no_shared_memory(_: Request) -> Response:
    raise Unimplemented("shared memory is not offered; send tensors in the request")


async def _nothing_to_do(_: Request) -> Response:
    return Response()


async def _no_trace(_: Request) -> Response:
    raise Unimplemented("trace settings are not offered; send a traceparent to follow a request")
