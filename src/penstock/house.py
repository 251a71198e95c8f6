"""Everything of one server, put together: the only place that hands options to what needs them."""

from functools import partial
from pathlib import Path
from typing import Final

from starlette.applications import Starlette

from penstock.config.settings import Settings, WantedModel
from penstock.config.sources import process_environment
from penstock.domain.errors import LoadRefused
from penstock.domain.start import StartError
from penstock.grpc.server import GrpcServer
from penstock.grpc.service import InferenceService
from penstock.http.app import admin_app, prediction_app
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
from penstock.inference.ledger import Ledger
from penstock.inference.predictor import Predictor
from penstock.inference.scrape import feedback_view, payload_views, server_view, shadow_views, version_views
from penstock.inference.shadow import Shadows
from penstock.inference.shadow_disagreement import disagreement
from penstock.inference.watch import followers_of
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.manager import Manager, Wanted
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.rollouts import Rollouts
from penstock.monitoring.feedback import Feedback
from penstock.payloads.deletion import Deletions
from penstock.payloads.feedback_log import FeedbackLog
from penstock.payloads.recorder import Recorder
from penstock.payloads.recording import Surroundings
from penstock.payloads.sinks import Sinks
from penstock.registry.source import RegistryUnreachable
from penstock.registry.sources import registry_of
from penstock.registry.verified import VerifiedRegistry
from penstock.security.token import AdminToken
from penstock.telemetry.access_log import AccessLog
from penstock.telemetry.logs import LogSettings, is_json
from penstock.telemetry.metrics import Metrics, ServerView
from penstock.telemetry.tracer import tracer_of


class House:
    """Everything of one server, built but not started. Lives on the event loop."""

    def __init__(self, settings: Settings, wanted: tuple[WantedModel, ...], *, keeps: bool = True) -> None:
        self.settings: Final = settings
        self.catalog: Final = Catalog()
        registry = registry_named(settings)
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
        sinks = Sinks(settings.payloads, state_dir)
        sinks.check(settings.payload_sinks)
        surroundings = Surroundings(alias_of, followers_of, {"OK": 200} | {code.value: status for code, status in STATUS.items()})
        self.recorder: Final = Recorder(sinks.made, settings.payloads, state_dir, attach, surroundings=surroundings, redacted=redacted)
        self.shadows.books.tell = self.recorder.undecided.compared
        feedback_log = FeedbackLog(settings.payloads, state_dir)
        self.feedback: Final = Feedback(partial(attach, party="feedback"), feedback_log, state_dir)
        self.manager: Final = Manager(
            registry, loader, self.catalog, poll_s=poll_s, only=only, state_dir=kept, shadowed=follow, recorded=self._follow
        )
        self.admission: Final = Admission(settings.server.request_timeout_s, settings.server.max_request_timeout_s)
        self.predictor: Final = Predictor(self.ledger, self.admission, self.catalog, self.shadows.watches)
        versions, shadows = partial(version_views, self.catalog), partial(shadow_views, self.shadows)
        payloads = partial(payload_views, self.recorder)
        self.metrics: Final = Metrics(
            self._counted,
            versions,
            self.catalog.provenance,
            shadows,
            payloads,
            tracer=self.tracer,
            feedback=partial(feedback_view, self.feedback),
        )
        self.rollouts: Final = Rollouts.over(self.manager, self.metrics.readings, state_dir, partial(disagreement, self.shadows.books))

    def ready(self) -> bool:
        """Tell whether requests should be sent here."""
        return self.manager.ready and not self.admission.leaving

    def _follow(self, model: str, options: ModelOptions) -> None:
        self.recorder.follow(model, options.payloads)
        self.feedback.follow(model, options.feedback, options.payloads.redact)

    def _counted(self) -> ServerView:
        return server_view(self.ledger, registry_age_s=self.manager.registry_age_s, log_lines_dropped=self.access_log.dropped)

    def applications(self, token: AdminToken) -> tuple[Starlette, Starlette]:
        """Return the applications of the prediction and the admin listener."""
        models = Models(self.catalog, self.ready)
        management = Management(self.manager, token, LogSettings(), self.metrics)
        predictions = Predictions(self.predictor, self.settings.http)
        groups = (
            Webhook(self.settings.registry.webhook_secret, self.manager.look_soon),
            RouteEndpoints(self.manager.routes, self.rollouts, token),
            RolloutEndpoints(self.rollouts, token),
            ShadowReports(self.shadows, self.catalog, token, self.access_log.redacted),
            PayloadEndpoints(self.recorder, self.catalog, token, self._deletions()),
            MonitoringReports({"quality": quality_section(self.feedback)}, self.catalog, token),
        )
        told = (FeedbackEndpoints(self.feedback, self.catalog, self.settings.http),)
        return prediction_app(predictions, models, management, self.settings.http, told), admin_app(models, management, groups)

    def _deletions(self) -> Deletions:
        state_dir = Path(self.settings.server.state_dir)
        return Deletions(self.settings.payloads.directory(state_dir), state_dir)

    def grpc_server(self, token: AdminToken) -> GrpcServer:
        """Return the gRPC listener."""
        return GrpcServer(InferenceService(self.predictor, self.manager, self.ready, token, LogSettings()), self.settings.grpc)


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
