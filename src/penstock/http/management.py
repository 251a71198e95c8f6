"""The endpoints that change the server, and what only operators see: the admin listener."""

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from penstock.domain.errors import InvalidInput
from penstock.domain.names import check_model_name, shown
from penstock.http.answers import json_response, optional_object
from penstock.lifecycle.catalog import ServedModel
from penstock.lifecycle.manager import Manager
from penstock.lifecycle.version import ServedVersion
from penstock.security.token import AdminToken
from penstock.telemetry.logs import LogSettings
from penstock.telemetry.metrics import Metrics


class VersionReport(msgspec.Struct, kw_only=True):
    """A version as `/admin/models/{model}` shows it."""

    version: str
    state: str
    reason: str
    since: float
    """Seconds since the epoch."""
    digest: str
    size_bytes: int = 0
    leases: int = 0
    waiting_requests: int = 0
    slo_ms: float | None = None
    lanes: int = 0
    latency_us: dict[str, float] = {}
    """Measured time of a run, by rows."""
    placement: dict[str, float] = {}
    """Share of the graph's nodes by device."""
    notes: tuple[str, ...] = ()


class ModelReport(msgspec.Struct, kw_only=True):
    """A model as `/admin/models` shows it."""

    name: str
    aliases: dict[str, str]
    unloaded: bool
    problem: str
    versions: list[VersionReport]


class Management:
    """Load, unload, log settings, metrics and reports. Lives on the event loop."""

    def __init__(self, manager: Manager, token: AdminToken, logs: LogSettings, metrics: Metrics) -> None:
        self._manager = manager
        self._token = token
        self._logs = logs
        self._metrics = metrics

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
        body, content_type = self._metrics.scrape(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    async def models(self, request: Request) -> Response:
        """Report every model."""
        self._require(request)
        return json_response({"models": [_builtins(model) for model in self._manager.catalog]})

    async def model(self, request: Request) -> Response:
        """Report one model."""
        self._require(request)
        return json_response(_builtins(self._manager.catalog.model(request.path_params["model"])))

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


def _builtins(model: ServedModel) -> object:
    return msgspec.to_builtins(
        ModelReport(
            name=model.name,
            aliases={alias: str(number) for alias, number in sorted(model.aliases.items())},
            unloaded=model.unloaded,
            problem=model.problem,
            versions=[_report(version) for _, version in sorted(model.versions.items())],
        )
    )


def _report(version: ServedVersion) -> VersionReport:
    report = VersionReport(
        version=version.identity.version,
        state=version.state.value,
        reason=version.reason,
        since=version.since,
        digest=version.identity.digest,
        leases=version.leases,
    )
    if version.ready:
        _add_readiness(report, version)
    return report


def _add_readiness(report: VersionReport, version: ServedVersion) -> None:
    readiness = version.readiness
    report.size_bytes = readiness.artifact.size_bytes
    report.waiting_requests = readiness.batcher.scheduler.waiting_jobs
    report.slo_ms = readiness.batcher.slo_ms
    report.lanes = readiness.batcher.scheduler.lanes
    report.latency_us = {str(rows): ns / 1000 for rows, ns in sorted(readiness.latency_ns.items())}
    report.placement = dict(readiness.sessions[0].placement)
    report.notes = readiness.notes
