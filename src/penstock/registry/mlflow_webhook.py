"""Webhooks of MLflow: whether one is genuine, and new."""

import base64
import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

from penstock.domain.errors import Bar, Unauthenticated

_ID: Final = "x-mlflow-delivery-id"
_TIMESTAMP: Final = "x-mlflow-timestamp"
_SIGNATURE: Final = "x-mlflow-signature"
_SCHEME: Final = "v1,"
_FRESH_S: Final = 300
_MAX_ID: Final = 128
_MAX_DIGITS: Final = 12
_REMEMBERED: Final = 4096


class Deliveries:
    """Tells a delivery that MLflow signed with the secret from any other. Not for two threads at once."""

    def __init__(self, secret: str, now: Callable[[], float] = time.time) -> None:  # noqa: TID251 - MLflow stamps by the wall clock
        self._secret = secret.encode()
        self._now = now
        self._seen: OrderedDict[str, None] = OrderedDict()

    def is_new(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Return whether a genuine delivery comes for the first time; MLflow repeats one whose answer it has missed.

        Raises `Unauthenticated` for one that is not signed with the secret, or not from the last five minutes.
        """
        delivery, timestamp = headers.get(_ID, ""), headers.get(_TIMESTAMP, "")
        if not (0 < len(delivery) <= _MAX_ID) or not self._is_signed(headers.get(_SIGNATURE, ""), f"{delivery}.{timestamp}.", body):
            raise Unauthenticated("the webhook is not signed with registry.webhook_secret; give MLflow the same secret", Bar.SIGNATURE)
        if not (timestamp.isdecimal() and len(timestamp) <= _MAX_DIGITS and abs(self._now() - int(timestamp)) <= _FRESH_S):
            raise Unauthenticated(f"the webhook was signed more than {_FRESH_S} s from now; set both clocks", Bar.SIGNATURE)
        return self._remember(delivery)

    def _is_signed(self, signature: str, prefix: str, body: bytes) -> bool:
        digest = hmac.digest(self._secret, prefix.encode() + body, hashlib.sha256)
        return hmac.compare_digest(signature.encode(), (_SCHEME + base64.b64encode(digest).decode()).encode())

    def _remember(self, delivery: str) -> bool:
        if delivery in self._seen:
            return False
        self._seen[delivery] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return True
