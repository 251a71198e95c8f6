"""Who is who: by digests alone, remembered until the keys change."""

import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock.domain.caller import EVERY, Action, Caller
from penstock.domain.errors import PermissionDenied, Unauthenticated
from penstock.domain.tenant import Tenant
from penstock.security import access as module
from penstock.security.access import Access
from penstock.security.keys import Key, digest_of, new_secret

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def key(secret: str, name: str = "shop", **fields: Any) -> Key:
    """Return a key."""
    return Key(name=name, sha256=digest_of(secret), **{"scopes": [Action.PREDICT], **fields})


class FakeClock:
    """A clock that stands still."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now


def test_comparison_runs_on_digests_of_one_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is shown, right or wrong, short or long, is compared as 32 bytes, in constant time."""
    seen: list[tuple[int, int]] = []
    compare = hmac.compare_digest
    monkeypatch.setattr(module.hmac, "compare_digest", lambda a, b: bool(seen.append((len(a), len(b)))) or compare(a, b))
    access = Access([key("right")])

    for shown in ("right", "wrong", "x" * 5000, "", "ä"):
        try:
            access.caller(f"Bearer {shown}")
        except Unauthenticated:
            continue

    assert seen == [(32, 32)] * 5


def test_right_header_is_digested_once_until_the_keys_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong one never gets into the memory, so that strangers cannot fill it."""
    access, digests = Access([key("right")]), []
    monkeypatch.setattr(access, "_identified", lambda header: digests.append(header) or Access._identified(access, header))

    for _ in range(3):
        access.caller("Bearer right")
        with pytest.raises(Unauthenticated):
            access.caller("Bearer wrong")
    access.replace([key("right")])
    access.caller("Bearer right")

    assert digests.count("Bearer right") == 2
    assert digests.count("Bearer wrong") == 3


def test_key_that_stays_keeps_its_caller_and_all_others_are_revoked() -> None:
    """What streams hold is told that it has ended."""
    access = Access([key("a"), key("b", "other")])
    staying, going = access.caller("Bearer a"), access.caller("Bearer b")

    access.replace([key("a"), key("c", "other")])

    assert access.caller("Bearer a") is staying
    assert (staying.revoked, going.revoked) == (False, True)
    with pytest.raises(Unauthenticated, match="no longer valid"):
        going.require(Action.PREDICT, "m")
    with pytest.raises(Unauthenticated):
        access.caller("Bearer b")


def test_key_whose_rights_change_is_another_caller() -> None:
    """The old one is revoked: a stream does not keep rights that were taken away."""
    access = Access([key("a")])
    before = access.caller("Bearer a")

    access.replace([key("a", models=["digits"])])

    assert before.revoked
    with pytest.raises(PermissionDenied):
        access.predicting("Bearer a", "iris")


def test_key_expires_when_it_is_looked_at() -> None:
    """And one that has expired as the file is read is none."""
    clock = FakeClock()
    access = Access([key("a", expires=NOW + timedelta(seconds=5)), key("old", expires=NOW)], clock)
    caller = access.caller("Bearer a")
    with pytest.raises(Unauthenticated):
        access.caller("Bearer old")

    access.expire()
    assert not caller.revoked
    clock.now += timedelta(seconds=5)
    access.expire()

    assert caller.revoked
    with pytest.raises(Unauthenticated):
        access.caller("Bearer a")


def test_memory_of_headers_is_bounded() -> None:
    """One key can be written in many ways."""
    access = Access([key("a")])

    for blanks in range(1, 20_000, 7):
        access.caller(f"Bearer {' ' * blanks}a")

    assert len(access._known) <= module._MOST_KNOWN


@pytest.mark.parametrize(
    ("model", "refused"), [("digits", False), ("", False), ("iris", True), (EVERY, True), ("Digits", True), ("digits ", True)]
)
def test_caller_of_one_model_may_ask_for_it_and_for_what_concerns_none(model: str, refused: bool) -> None:
    """Names are compared as they are."""
    caller = Caller(Tenant("shop"), [Action.READ], ["digits"])

    if refused:
        with pytest.raises(PermissionDenied):
            caller.require(Action.READ, model)
    else:
        caller.require(Action.READ, model)


@pytest.mark.parametrize("action", Action)
def test_no_scope_implies_another(action: Action) -> None:
    """A key that manages does not predict."""
    caller = Caller(Tenant("shop"), [action])

    caller.require(action, EVERY)
    for other in set(Action) - {action}:
        with pytest.raises(PermissionDenied, match=other):
            caller.require(other)


def test_new_keys_differ_and_hold_256_bits() -> None:
    """43 letters of 6 bits each behind the prefix."""
    made = {new_secret() for _ in range(1000)}

    assert len(made) == 1000
    assert {len(secret.removeprefix("psk_")) for secret in made} == {43}
