"""Everything of one server, put together: the only place that hands options to what needs them."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Final

from starlette.applications import Starlette

import penstock
from penstock.audit.log import AuditLog
from penstock.config.limits import limits_of
from penstock.config.settings import Settings, WantedModel
from penstock.config.sources import process_environment
from penstock.domain.actor import SERVER, acting
from penstock.domain.errors import LoadRefused
from penstock.domain.start import StartError
from penstock.grpc.guard import Guard
from penstock.grpc.server import GrpcServer
from penstock.grpc.service import InferenceService
from penstock.grpc.transport import NativeServer
from penstock.http.app import admin_app, prediction_app
from penstock.http.audit import AuditEndpoints
from penstock.http.door import Doors
from penstock.http.drift_report import drift_of
from penstock.http.errors import STATUS
from penstock.http.feedback import FeedbackEndpoints
from penstock.http.management import Management
from penstock.http.models import Models
from penstock.http.monitoring import MonitoringReports
from penstock.http.payloads import PayloadEndpoints
from penstock.http.predict import Predictions
from penstock.http.quality_report import quality_section
from penstock.http.rollouts import RolloutEndpoints
from penstock.http.routes import RouteEndpoints
from penstock.http.shadows import ShadowReports
from penstock.http.webhook import Webhook
from penstock.inference.admission import Admission
from penstock.inference.canary_drift import CanaryDrift
from penstock.inference.drift import Drift
from penstock.inference.ledger import Ledger
from penstock.inference.predictor import Predictor
from penstock.inference.scrape import drift_views, feedback_view, payload_views, server_view, shadow_views, version_views
from penstock.inference.shadow import Shadows
from penstock.inference.shadow_disagreement import disagreement
from penstock.inference.vitals import Vitals
from penstock.inference.watch import followers_of
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.manager import Manager, Wanted
from penstock.lifecycle.memory_governor import MemoryGovernor
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.reference_store import ReferenceStore
from penstock.lifecycle.rollouts import Rollouts
from penstock.monitoring.feedback import Feedback
from penstock.payloads.caretaker import Caretaker
from penstock.payloads.deletion import Deletions
from penstock.payloads.feedback_log import FeedbackLog
from penstock.payloads.recorder import Recorder
from penstock.payloads.recording import Surroundings
from penstock.payloads.sinks import Sinks
from penstock.registry.source import RegistryUnreachable
from penstock.registry.sources import registry_of
from penstock.registry.verified import VerifiedRegistry
from penstock.security.entry import access_of
from penstock.security.refusals import CountedToken, Refusals
from penstock.security.reload import Reloader
from penstock.security.tls import tls_of
from penstock.security.token import AdminToken
from penstock.telemetry.access_log import AccessLog
from penstock.telemetry.logs import LogSettings, is_json
from penstock.telemetry.metrics import Metrics, ServerView
from penstock.telemetry.tracer import tracer_of


class House:
    """Everything of one server, built but not started. Lives on the event loop."""

    def __init__(self, settings: Settings, wanted: tuple[WantedModel, ...], *, keeps: bool = True) -> None:
        self.settings: Final = settings
        state_dir = Path(settings.server.state_dir)
        kept = state_dir if keeps else None
        self.audit: Final = AuditLog(kept)
        self.reloader: Final = Reloader()
        self.reloader.heard = lambda told: self.audit.add(SERVER, told.what, told.before, told.after, "it was changed on the disk")
        self.refusals: Final = Refusals()
        self.access: Final = access_of(settings.security, self.reloader)
        self.tls: Final = tls_of(settings.security.tls, self.reloader)
        self.catalog: Final = Catalog(self.audit.heard)
        registry = registry_named(settings)
        loader = Loader(registry, settings.defaults, settings.models, state_dir=state_dir)
        only, poll_s = tuple(Wanted(*want) for want in wanted), settings.registry.poll_s
        self.shadows: Final = Shadows(self.catalog, settings.shadows)
        as_json, alias_of, follow = is_json(settings.telemetry), self.catalog.alias_of, self.shadows.follow
        self.access_log: Final = AccessLog(
            settings.telemetry.access_log, as_json=as_json, alias_of=alias_of, names_callers=settings.telemetry.log_callers
        )
        self.tracer: Final = tracer_of(settings.telemetry)
        self.admission: Final = Admission(settings.server.request_timeout_s, settings.server.max_request_timeout_s)
        self.vitals: Final = Vitals(self.catalog, self.admission, settings.server.shed_memory_above)
        self.ledger: Final = self._ledger()
        attach, redacted = self.ledger.record, self.access_log.redacted
        sinks = Sinks(settings.payloads, state_dir)
        sinks.check(settings.payload_sinks)
        surroundings = Surroundings(alias_of, followers_of, {"OK": 200} | {code.value: status for code, status in STATUS.items()})
        self.recorder: Final = Recorder(sinks.made, settings.payloads, state_dir, attach, surroundings=surroundings, redacted=redacted)
        self.caretaker: Final = Caretaker(settings.payloads.directory(state_dir), settings.payloads)
        self.shadows.books.tell = self.recorder.undecided.compared
        self.feedback: Final = Feedback(partial(attach, party="feedback"), FeedbackLog(settings.payloads, state_dir), state_dir)
        self.drift: Final = Drift(self.catalog, ReferenceStore(kept), hook_errors=self.vitals.hook_errors)
        self.manager: Final = Manager(
            registry,
            loader,
            self.catalog,
            poll_s=poll_s,
            only=only,
            state_dir=kept,
            shadowed=follow,
            recorded=self._follow,
            watched=self.drift.follow,
        )
        self.governor: Final = MemoryGovernor(self.catalog)
        self.predictor: Final = Predictor(self.ledger, self.admission, self.catalog, self.shadows.watches)
        self.metrics: Final = self._metrics()
        disagreements, drift = partial(disagreement, self.shadows.books), CanaryDrift(self.drift)
        self.rollouts: Final = Rollouts.over(self.manager, self.metrics.readings, state_dir, disagreements, drift)

    def ready(self) -> bool:
        """Tell whether requests should be sent here."""
        return self.manager.ready and not self.admission.leaving

    def begin(self) -> None:
        """Start what works beside predictions."""
        self.audit.start()
        self.audit.add(SERVER, "server", "", f"Penstock {penstock.__version__} starts")
        self.access_log.start()
        self.caretaker.start()
        self.recorder.start()
        self.tracer.start()
        self.drift.start()
        self.reloader.start()
        self.vitals.start()

    async def aclose(self) -> None:
        """End what was begun: who needs others goes before them."""
        self.vitals.close()
        await self.reloader.aclose()
        await self.rollouts.aclose()
        await self.governor.aclose()
        await self.drift.aclose()
        self.shadows.abandon()
        await self.manager.aclose()
        self.caretaker.close()
        self.recorder.close()
        self.feedback.log.close()
        self.tracer.close()
        self.access_log.close()
        self.audit.add(SERVER, "server", "", "stopped")
        self.audit.close()

    def _follow(self, model: str, options: ModelOptions) -> None:
        self.recorder.follow(model, options.payloads)
        self.feedback.follow(model, options.feedback, options.payloads.redact)

    def _ledger(self) -> Ledger:
        takes_answers, observe = self.access_log.takes_answers or self.tracer.is_on, self.tracer.before(self.access_log.observe)
        told = observe if self.access is None else self.refusals.before(observe)
        return Ledger(self.catalog, told, observe_answers=takes_answers, hook_errors=self.vitals.hook_errors)

    def _metrics(self) -> Metrics:
        return Metrics(
            self._counted,
            partial(version_views, self.catalog),
            self.catalog.provenance,
            partial(shadow_views, self.shadows),
            partial(payload_views, self.recorder),
            tracer=self.tracer,
            drift=partial(drift_views, self.drift),
            feedback=partial(feedback_view, self.feedback),
        )

    def _counted(self) -> ServerView:
        dropped, memory = self.access_log.dropped, self.governor.view()
        age_s, audit, vitals = self.manager.registry_age_s, self.audit.view(), self.vitals.view()
        view = server_view(self.ledger, registry_age_s=age_s, log_lines_dropped=dropped, memory=memory, audit=audit, vitals=vitals)
        return replace(view, refused=self.refusals.counts)

    @cached_property
    def _log_settings(self) -> LogSettings:
        """Return the only ones, by whichever listener they are asked for."""
        return LogSettings(lambda before, after: self.audit.add(acting(), "log settings", before, after))

    def url(self, listener: str, addresses: Mapping[str, str]) -> str:
        """Return the address of a listener as clients write it."""
        return f"{'https' if listener in self.tls else 'http'}://{addresses[listener]}"

    def applications(self, token: AdminToken) -> tuple[Starlette, Starlette]:
        """Return the applications of the prediction and the admin listener."""
        doors = [Doors(self.access, self.settings.security.open, self.refusals.at(listener)) for listener in ("http", "admin")]
        token = CountedToken(token, self.refusals.at("admin"))
        models = Models(self.catalog, self.ready, limits_of(self.settings))
        management = Management(self.manager, token, self._log_settings, self.metrics)
        predictions = Predictions(self.predictor, self.settings.http)
        groups = (
            Webhook(self.settings.registry.webhook_secret, self.manager.look_soon),
            RouteEndpoints(self.manager.routes, self.rollouts, token),
            RolloutEndpoints(self.rollouts, token),
            ShadowReports(self.shadows, self.catalog, token, self.access_log.redacted),
            PayloadEndpoints(self.recorder, self.catalog, token, self._deletions(), self.audit),
            AuditEndpoints(self.audit, token),
            MonitoringReports({"drift": partial(drift_of, self.drift), "quality": quality_section(self.feedback)}, self.catalog, token),
        )
        told = (FeedbackEndpoints(self.feedback, self.catalog, self.settings.http),)
        prediction = prediction_app(predictions, models, management, self.settings.http, told, doors[0])
        return prediction, admin_app(models, management, groups, doors[1])

    def _deletions(self) -> Deletions:
        state_dir = Path(self.settings.server.state_dir)
        payloads = self.settings.payloads
        return Deletions(payloads.directory(state_dir), state_dir, payloads.keep_days)

    def grpc_server(self, token: AdminToken) -> GrpcServer | NativeServer:
        """Return the gRPC listener."""
        guard = None if self.access is None else Guard(self.access, self.refusals.at("grpc"))
        token = CountedToken(token, self.refusals.at("grpc"))
        service = InferenceService(
            self.predictor,
            self.manager,
            self.ready,
            token,
            self._log_settings,
            limits=limits_of(self.settings),
            max_message_bytes=self.settings.grpc.max_message_bytes,
        )
        if self.settings.grpc.transport != "native":
            return GrpcServer(service, self.settings.grpc, guard, self.tls.get("grpc"))
        native = NativeServer(service, self.settings.grpc, guard, self.tls.get("grpc"))
        self.vitals.connections["grpc"] = native.counts
        return native


def registry_named(settings: Settings) -> VerifiedRegistry:
    """Return the registry that the settings name. Raises `StartError`."""
    try:
        return registry_of(settings.registry, Path(settings.server.state_dir), process_environment())
    except RegistryUnreachable as error:
        raise StartError(f"{error}; name another one with --registry") from error
    except OSError as error:
        raise StartError(f"the cache of models cannot be used: {error.strerror}; set registry.cache_dir or server.state_dir") from error
    except (ValueError, LoadRefused) as error:
        raise StartError(str(error)) from error
