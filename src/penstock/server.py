"""The composition root: the only place that builds things, and that knows the order of start, drain and stop."""

import asyncio
import contextlib
import gc
import json
import logging
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Final

import uvloop
from starlette.applications import Starlette

import penstock
from penstock.config.settings import Settings, WantedModel, is_loopback
from penstock.config.sources import process_environment
from penstock.domain.errors import LoadRefused, Unavailable
from penstock.domain.start import StartError
from penstock.execution.memory import settle_heap
from penstock.grpc.server import GrpcServer
from penstock.grpc.service import InferenceService
from penstock.http.app import admin_app, prediction_app
from penstock.http.example import first_request
from penstock.http.gate import Gate
from penstock.http.listener import HttpListener
from penstock.http.management import Management
from penstock.http.models import Models
from penstock.http.payloads import PayloadEndpoints
from penstock.http.predict import Predictions
from penstock.http.rollouts import RolloutEndpoints
from penstock.http.routes import RouteEndpoints
from penstock.http.shadows import ShadowReports
from penstock.http.webhook import Webhook
from penstock.inference.admission import Admission
from penstock.inference.ledger import Ledger
from penstock.inference.predictor import Predictor
from penstock.inference.scrape import payload_view, server_view, shadow_views, version_views
from penstock.inference.shadow import Shadows
from penstock.inference.shadow_disagreement import disagreement
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.check_report import CheckReport
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.manager import Manager, Wanted
from penstock.lifecycle.rollouts import Rollouts
from penstock.lifecycle.tuner import Tuner
from penstock.payloads.recorder import Recorder
from penstock.payloads.sinks import sink_of
from penstock.registry.source import RegistryUnreachable
from penstock.registry.sources import is_remote, registry_of
from penstock.registry.verified import VerifiedRegistry
from penstock.security.token import AdminToken
from penstock.stop_signals import StopSignals
from penstock.telemetry.access_log import AccessLog
from penstock.telemetry.logs import LogSettings, is_json, set_up_logs
from penstock.telemetry.metrics import Metrics, ServerView
from penstock.telemetry.tracer import tracer_of

_log = logging.getLogger(__name__)
_POLL_S: Final = 0.01
_LAST_WORDS_S: Final = 1


class House:
    """Everything of one server, built but not started. Lives on the event loop."""

    def __init__(self, settings: Settings, wanted: tuple[WantedModel, ...], *, keeps: bool = True) -> None:
        self.settings: Final = settings
        self.catalog: Final = Catalog()
        registry = _registry(settings)
        loader = Loader(registry, settings.defaults, settings.models, state_dir=Path(settings.server.state_dir))
        only = tuple(Wanted(*want) for want in wanted)
        poll_s, state_dir = settings.registry.poll_s, Path(settings.server.state_dir)
        self.shadows: Final = Shadows(self.catalog, settings.shadows)
        kept = state_dir if keeps else None
        as_json, alias_of, follow = is_json(settings.telemetry), self.catalog.alias_of, self.shadows.follow
        self.access_log: Final = AccessLog(settings.telemetry.access_log, as_json=as_json, alias_of=alias_of)
        self.tracer: Final = tracer_of(settings.telemetry)
        takes_answers = self.access_log.takes_answers or self.tracer.is_on
        self.ledger: Final = Ledger(self.catalog, self.tracer.before(self.access_log.observe), observe_answers=takes_answers)
        attach, redacted = self.ledger.record, self.access_log.redacted
        sink = sink_of(settings.payloads, state_dir, check=settings.records_payloads)
        self.recorder: Final = Recorder(sink, settings.payloads, state_dir, attach, alias_of=alias_of, redacted=redacted)
        self.manager: Final = Manager(
            registry, loader, self.catalog, poll_s=poll_s, only=only, state_dir=kept, shadowed=follow, recorded=self.recorder.follow
        )
        self.admission: Final = Admission(settings.server.request_timeout_s, settings.server.max_request_timeout_s)
        self.predictor: Final = Predictor(self.ledger, self.admission, self.catalog, self.shadows.watches)
        versions, shadows = partial(version_views, self.catalog), partial(shadow_views, self.shadows)
        payloads = partial(payload_view, self.recorder)
        self.metrics: Final = Metrics(self._counted, versions, self.catalog.provenance, shadows, payloads, tracer=self.tracer)
        self.rollouts: Final = Rollouts.over(self.manager, self.metrics.readings, state_dir, partial(disagreement, self.shadows.books))

    def ready(self) -> bool:
        """Tell whether requests should be sent here."""
        return self.manager.ready and not self.admission.leaving

    def _counted(self) -> ServerView:
        return server_view(self.ledger, registry_age_s=self.manager.registry_age_s, log_lines_dropped=self.access_log.dropped)

    def applications(self, token: AdminToken) -> tuple[Starlette, Starlette]:
        """Return the applications of the prediction and the admin listener."""
        models = Models(self.catalog, self.ready)
        management = Management(self.manager, token, LogSettings(), self.metrics)
        predictions = Predictions(self.predictor, self.settings.http)
        webhook = Webhook(self.settings.registry.webhook_secret, self.manager.look_soon)
        routes = RouteEndpoints(self.manager.routes, self.manager.promotions, token)
        shadows, rollouts = ShadowReports(self.shadows, self.catalog, token), RolloutEndpoints(self.rollouts, token)
        admin = admin_app(models, management, webhook, routes, shadows, rollouts, PayloadEndpoints(self.recorder, self.catalog, token))
        return prediction_app(predictions, models, management, self.settings.http), admin

    def grpc_server(self, token: AdminToken) -> GrpcServer:
        """Return the gRPC listener."""
        return GrpcServer(InferenceService(self.predictor, self.manager, self.ready, token, LogSettings()), self.settings.grpc)


class Listeners:
    """The three doors: predictions over HTTP and gRPC, administration."""

    def __init__(self, house: House, token: AdminToken) -> None:
        server, http = house.settings.server, house.settings.http
        predictions, admin = house.applications(token)
        with _port("http", server.host, server.http_port):
            self._http = HttpListener(predictions, server.host, server.http_port, Gate(http, house.admission, house.predictor))
        with _port("admin", server.admin_host, server.admin_port):
            self._admin = HttpListener(admin, server.admin_host, server.admin_port, Gate(http, house.admission))
        self._grpc = house.grpc_server(token)
        self._settings = server

    async def open(self) -> dict[str, str]:
        """Begin to answer; returns the addresses by listener."""
        with _port("grpc", self._settings.host, self._settings.grpc_port):
            port = await self._grpc.start(self._settings.host, self._settings.grpc_port)
        await asyncio.gather(self._http.start(), self._admin.start())
        return {"http": self._http.address, "grpc": f"{self._http.host}:{port}", "admin": self._admin.address}

    def announce_shutdown(self) -> None:
        """Tell health checks over gRPC; over HTTP they ask the house."""
        self._grpc.begin_shutdown()

    async def close(self) -> None:
        """Take no more connections, let the answers under way be written, and close."""
        await asyncio.gather(self._grpc.stop(_LAST_WORDS_S), self._http.stop(), self._admin.stop())


@contextlib.contextmanager
def _port(name: str, host: str, port: int) -> Iterator[None]:
    """Turn a port that cannot be had into an error that says which flag helps."""
    try:
        yield
    except OSError as error:
        raise StartError(f"cannot listen for {name} on {host}:{port}: {error.strerror}; choose another with --{name}-port") from error


def serve(settings: Settings, wanted: tuple[WantedModel, ...], ready_file: Path | None) -> int:
    """Serve until SIGTERM or SIGINT, then drain; returns the exit code. Raises `StartError`."""
    set_up_logs(settings.telemetry)
    _refuse_exposure(settings)
    settle_heap()
    return uvloop.run(_serve(settings, wanted, ready_file))


def check(settings: Settings, wanted: tuple[WantedModel, ...]) -> CheckReport:
    """Load and warm everything without listening. Raises `StartError`."""
    set_up_logs(settings.telemetry)
    return uvloop.run(_check(settings, wanted))


def tuner(settings: Settings) -> Tuner:
    """Return what measures the models of the registry, without serving them. Raises `StartError`."""
    set_up_logs(settings.telemetry)
    registry = _registry(settings)
    return Tuner(registry, Loader(registry, settings.defaults, settings.models), Path(settings.server.state_dir))


async def _serve(settings: Settings, wanted: tuple[WantedModel, ...], ready_file: Path | None) -> int:
    signals = StopSignals()
    house = House(settings, wanted)
    listeners = Listeners(house, _token(settings))
    house.access_log.start()
    house.recorder.start()
    house.tracer.start()
    addresses = await listeners.open()
    start = asyncio.create_task(_start(house, patient=is_remote(settings.registry.uri)))
    stop = asyncio.create_task(signals.wait())
    await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if start.done():
            start.result()  # raises what kept the server from starting
            await house.rollouts.start()
            _announce(house, addresses, ready_file)
            await stop
        clean = await _drain(house, listeners, signals)
    finally:
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
        await listeners.close()
        await house.rollouts.aclose()
        house.shadows.abandon()
        await house.manager.aclose()
        house.recorder.close()
        house.tracer.close()
        house.access_log.close()
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)  # noqa: ASYNC240 - nothing else runs any more
    return 0 if clean else 1


async def _start(house: House, *, patient: bool = False) -> None:
    try:
        await house.manager.start(patient=patient)
    except RegistryUnreachable as error:
        raise StartError(f"{error}; name another one with --registry") from error
    # What is loaded stays: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()


async def _drain(house: House, listeners: Listeners, signals: StopSignals) -> bool:
    """Turn readiness off, keep serving while balancers notice, then refuse new work and finish what was accepted.

    Returns whether all of it ended within the drain time.
    """
    house.admission.leaving = True
    listeners.announce_shutdown()
    server = house.settings.server
    if signals.announce:
        await signals.again_within(server.announcement_s())
    house.admission.draining = True
    house.shadows.close()
    _log.info("draining: %d predictions under way", house.ledger.in_flight)
    until = monotonic() + server.drain_s
    while house.ledger.in_flight and monotonic() < until and not signals.repeated:  # noqa: ASYNC110 - no event on the hot path
        await asyncio.sleep(_POLL_S)
    left = house.ledger.in_flight
    if left:
        _log.error("%d predictions were not finished in time; they are answered with UNAVAILABLE", left)
        house.ledger.fail_all(Unavailable("the server shut down before the prediction was finished"))
    return not left


async def _check(settings: Settings, wanted: tuple[WantedModel, ...]) -> CheckReport:
    house = House(settings, wanted, keeps=False)  # routes in the state directory are those of a running server
    await _start(house)
    report = CheckReport.of(house.catalog)
    await house.manager.aclose()
    return report


def _announce(house: House, addresses: dict[str, str], ready_file: Path | None) -> None:
    for model in house.catalog:
        ready = ", ".join(map(str, model.ready_versions)) or "none ready"
        aliases = "".join(f", {alias} -> {number}" for alias, number in sorted(model.aliases.items()))
        _log.info("model %s: version %s%s", model.name, ready, aliases)
    _log.info("Penstock %s serves HTTP on http://%s (try it at /docs)", penstock.__version__, addresses["http"])
    _log.info("gRPC on %s, admin and /metrics on http://%s", addresses["grpc"], addresses["admin"])
    if example := first_request(addresses["http"], house.catalog):
        sys.stdout.write(f"\nTry it:\n  {example}\n\n")
        sys.stdout.flush()
    if ready_file is not None:
        draft = ready_file.with_name(f"{ready_file.name}.{os.getpid()}")
        draft.write_text(json.dumps({"pid": os.getpid(), "addresses": addresses}))
        draft.replace(ready_file)


def _refuse_exposure(settings: Settings) -> None:
    server = settings.server
    if not is_loopback(server.host) and not server.allow_unauthenticated:
        raise StartError(
            f"server.host is {server.host}: predictions would be open to whoever reaches it; bind 127.0.0.1, or say "
            "--allow-unauthenticated if something in front decides who may come in"
        )


def _token(settings: Settings) -> AdminToken:
    try:
        return AdminToken.of(Path(settings.server.state_dir))
    except OSError as error:
        raise StartError(
            f"the state directory {settings.server.state_dir} cannot be used: {error.strerror}; set server.state_dir"
        ) from error


def _registry(settings: Settings) -> VerifiedRegistry:
    try:
        return registry_of(settings.registry, Path(settings.server.state_dir), process_environment())
    except RegistryUnreachable as error:
        raise StartError(f"{error}; name another one with --registry") from error
    except OSError as error:
        raise StartError(f"the cache of models cannot be used: {error.strerror}; set registry.cache_dir or server.state_dir") from error
    except (ValueError, LoadRefused) as error:
        raise StartError(str(error)) from error
