"""Which webhooks are taken for MLflow's."""

import base64
import hashlib
import hmac

import pytest

from penstock.domain.errors import Unauthenticated
from penstock.registry import mlflow_webhook
from penstock.registry.mlflow_webhook import Deliveries

NOW = 1_750_000_000
BODY = b'{"entity": "model_version_alias", "action": "created"}'


def signed(delivery: str = "d-1", timestamp: object = NOW, body: bytes = BODY, secret: bytes = b"s3cret") -> dict[str, str]:
    """Return the headers that MLflow sends with a body."""
    digest = hmac.new(secret, f"{delivery}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "x-mlflow-delivery-id": delivery,
        "x-mlflow-timestamp": str(timestamp),
        "x-mlflow-signature": "v1," + base64.b64encode(digest).decode(),
    }


@pytest.fixture
def deliveries() -> Deliveries:
    """A check by the secret, at a time that stands still."""
    return Deliveries("s3cret", lambda: NOW)


def test_genuine_delivery_counts_once(deliveries: Deliveries) -> None:
    """MLflow sends it again if our answer was lost."""
    assert deliveries.is_new(signed(), BODY)
    assert not deliveries.is_new(signed(), BODY)
    assert deliveries.is_new(signed("d-2"), BODY)


@pytest.mark.parametrize("off_s", [-300, 300])
def test_clocks_may_differ_by_five_minutes(deliveries: Deliveries, off_s: int) -> None:
    """In both directions."""
    assert deliveries.is_new(signed(timestamp=NOW + off_s), BODY)


@pytest.mark.parametrize("timestamp", [NOW - 301, NOW + 301, "", "soon", -NOW, f"{NOW}.0", "9" * 5000, "\u0661"])
def test_other_times_are_refused(deliveries: Deliveries, timestamp: object) -> None:
    """Although they are signed."""
    with pytest.raises(Unauthenticated, match="from now"):
        deliveries.is_new(signed(timestamp=timestamp), BODY)


@pytest.mark.parametrize(
    "changed",
    [
        {"x-mlflow-signature": ""},
        {"x-mlflow-signature": "v1,"},
        {"x-mlflow-signature": signed(secret=b"another")["x-mlflow-signature"]},
        {"x-mlflow-signature": signed()["x-mlflow-signature"].replace("v1,", "v2,")},
        {"x-mlflow-signature": "v1,\xe9"},
        {"x-mlflow-delivery-id": "d-2"},
        {"x-mlflow-delivery-id": ""},
        {"x-mlflow-timestamp": str(NOW + 1)},
    ],
)
def test_what_is_not_signed_so_is_refused(deliveries: Deliveries, changed: dict[str, str]) -> None:
    """Each part is under the signature."""
    with pytest.raises(Unauthenticated, match="not signed with"):
        deliveries.is_new(signed() | changed, BODY)


def test_nothing_and_another_body_are_refused(deliveries: Deliveries) -> None:
    """And an endless id is not remembered."""
    for headers, body in (({}, BODY), (signed(), BODY + b" "), (signed("d" * 129), BODY)):
        with pytest.raises(Unauthenticated):
            deliveries.is_new(headers, body)


def test_memory_is_bounded(deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten; at worst the server looks once too often."""
    monkeypatch.setattr(mlflow_webhook, "_REMEMBERED", 2)

    for delivery in "abc":
        deliveries.is_new(signed(delivery), BODY)

    assert [deliveries.is_new(signed(delivery), BODY) for delivery in "ca"] == [False, True]
