"""The door for MLflow's webhooks on the admin listener: what changed there is looked at now instead of at the next poll."""

from collections.abc import Callable, Iterable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from penstock.domain.errors import NotFound
from penstock.http.answers import json_response
from penstock.http.body import received
from penstock.http.endpoint import endpoint
from penstock.registry.mlflow_webhook import Deliveries

WEBHOOK: Final = "/admin/webhooks/mlflow"
_LIMIT_BYTES: Final = 1024 * 1024


class Webhook:
    """Takes a delivery as a hint, never at its word: the registry itself tells what there is. Lives on the event loop."""

    def __init__(self, secret: str, look_soon: Callable[[], None]) -> None:
        """`secret` is what MLflow signs with; with "" every delivery is refused."""
        self._deliveries = Deliveries(secret) if secret else None
        self._look_soon = look_soon

    def routes(self) -> Iterable[BaseRoute]:
        """Yield what they answer."""
        yield endpoint(WEBHOOK, self.receive, "POST")

    async def receive(self, request: Request) -> Response:
        """Answer a delivery; one that comes again changes nothing."""
        if self._deliveries is None:
            raise NotFound("webhooks are not taken here; set registry.webhook_secret to the secret that MLflow signs them with")
        body = bytes(await received(request, _LIMIT_BYTES))
        if self._deliveries.is_new(request.headers, body):
            self._look_soon()
        return json_response({})
