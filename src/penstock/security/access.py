"""Who is who on a server that asks for keys. Hardened to untrusted callers."""

import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol
from weakref import WeakSet, WeakValueDictionary

from penstock.domain.caller import Action, Caller
from penstock.domain.errors import Bar, Unauthenticated
from penstock.domain.tenant import Allowance, Tenant
from penstock.security.keys import Key
from penstock.security.reload import Watched

_SCHEME: Final = "bearer "
_MOST_KNOWN: Final = 8192
_DOTS: Final = 2
"""Between the three parts of a token."""
_NO_DIGEST: Final = bytes(32)

Clock = Callable[[], datetime]


class Claims(NamedTuple):
    """What a token says of its bearer."""

    name: str
    actions: frozenset[Action]
    models: frozenset[str] | None
    """None for all."""
    expires: datetime
    key_id: str
    """What it is signed with."""


class _Bearer(Caller):
    """The bearer of a token, until the token expires or the key that it is signed with goes away."""

    __slots__ = ("__weakref__", "claims")

    def __init__(self, tenant: Tenant, claims: Claims, allowance: Allowance | None) -> None:
        super().__init__(tenant, claims.actions, claims.models, allowance)
        self.claims: Final = claims


class Tokens(Protocol):
    """What reads tokens."""

    def claims(self, token: str) -> Claims:
        """Return what a token that can be trusted says; raises `Unauthenticated`."""

    def watched(self, access: "Access") -> Watched[Any]:
        """Return the file of their keys, to be followed: the bearers of tokens whose key goes away are revoked."""


class _Held(NamedTuple):
    digest: bytes
    key: Key
    caller: Caller


class Replaced(NamedTuple):
    """How the valid keys have changed; one whose rights are others now is in both."""

    gone: list[Key]
    new: list[Key]


_NOBODY: Final = _Held(_NO_DIGEST, Key(name="nobody", sha256=_NO_DIGEST.hex(), scopes=[]), Caller(Tenant("nobody"), ()))


class Access:
    """Tells callers by what they show: a digest is compared once, then the header's bytes are known until the keys change.

    Lives on the event loop.
    """

    def __init__(
        self,
        keys: Sequence[Key] = (),
        clock: Clock = lambda: datetime.now(UTC),
        tokens: Tokens | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        """`tokens` reads what is no key but has the form of a JSON Web Token; `allowance` is that of keys that say nothing of it."""
        self._clock = clock
        self._allowance = allowance or Allowance()
        self._tenants: WeakValueDictionary[str, Tenant] = WeakValueDictionary()
        self._tokens = tokens
        self._bearers: WeakSet[_Bearer] = WeakSet()
        """Callers with tokens that are still known, or that have a stream open."""
        self._held: dict[bytes, _Held] = {}
        self._known: dict[str | None, Caller] = {}
        """Callers by the header that they send. Only headers that were right are kept."""
        self.replace(keys)

    def caller(self, authorization: str | None) -> Caller:
        """Return who sends that header; raises `Unauthenticated`."""
        known = self._known.get(authorization)
        return self._identified(authorization or "") if known is None else known

    def predicting(self, authorization: str | None, model: str) -> Caller:
        """Return who asks for a prediction of the model; raises `Unauthenticated` or `PermissionDenied`."""
        caller = self._known.get(authorization)
        if caller is None:
            caller = self._identified(authorization or "")
        if model not in caller.predicts:
            caller.require_prediction(model)
        return caller

    def replace(self, keys: Iterable[Key]) -> Replaced:
        """Let these keys be the valid ones; returns the difference. A key that stays as it was keeps its caller, all others are revoked."""
        now, before = self._clock(), self._held
        held = [self._hold(key, before) for key in keys if key.expires is None or key.expires > now]
        self._held = {entry.digest: entry for entry in held}
        self._known = {header: caller for header, caller in self._known.items() if caller in self._bearers}
        staying = {id(entry.caller) for entry in held}
        for entry in before.values():
            if id(entry.caller) not in staying:
                entry.caller.revoke()
        after, former = [entry.key for entry in held], [entry.key for entry in before.values()]
        return Replaced([key for key in former if key not in after], [key for key in after if key not in former])

    def expire(self) -> None:
        """Revoke what has expired; called a few times each second."""
        now = self._clock()
        self.revoke_bearers(lambda claims: claims.expires <= now)
        keys = [entry.key for entry in self._held.values()]
        if any(key.expires is not None and key.expires <= now for key in keys):
            self.replace(keys)

    def revoke_bearers(self, revoked: Callable[[Claims], bool]) -> None:
        """Revoke the tokens of which that is true."""
        gone = [bearer for bearer in self._bearers if revoked(bearer.claims)]
        for bearer in gone:
            bearer.revoke()
            self._bearers.discard(bearer)
        if gone:
            self._known = {header: caller for header, caller in self._known.items() if not caller.revoked}

    def _identified(self, authorization: str) -> Caller:
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            needed = "this server needs the header 'authorization: Bearer <key>'; ask whoever runs it for a key"
            raise Unauthenticated(needed, Bar.NO_KEY)
        shown = authorization[len(_SCHEME) :].strip().encode("utf-8", "surrogatepass")
        digest = sha256(shown).digest()
        held = self._held.get(digest, _NOBODY)
        if not hmac.compare_digest(held.digest, digest):
            if self._tokens is not None and shown.count(b".") == _DOTS:
                return self._remember(authorization, self._bearer(shown))
            raise Unauthenticated("the key is not valid: it is misspelt, has expired or was revoked", Bar.UNKNOWN_KEY)
        return self._remember(authorization, held.caller)

    def _bearer(self, shown: bytes) -> Caller:
        assert self._tokens is not None, "asked where there are tokens"  # noqa: S101
        claims = self._tokens.claims(shown.decode("utf-8", "replace"))
        bearer = _Bearer(self._tenant(claims.name), claims, self._allowance if self._allowance.bounds else None)
        self._bearers.add(bearer)
        return bearer

    def _remember(self, authorization: str, caller: Caller) -> Caller:
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[authorization] = caller
        return caller

    def _hold(self, key: Key, before: Mapping[bytes, _Held]) -> _Held:
        digest = bytes.fromhex(key.sha256)
        known = before.get(digest)
        if known is not None and known.key == key:
            return known
        tenant, usual = self._tenant(key.name), self._allowance
        tenant.weight = key.weight
        allowance = Allowance(key.rate or usual.rate, key.burst or usual.burst, key.max_in_flight or usual.max_in_flight)
        return _Held(digest, key, Caller(tenant, key.scopes, key.models, allowance if allowance.bounds else None, key.id))

    def _tenant(self, name: str) -> Tenant:
        """Return the tenant of a name: the same one as long as anything of it is here."""
        tenant = self._tenants.get(name)
        if tenant is None:
            tenant = self._tenants[name] = Tenant(name)
        return tenant
