"""Who asks, and what it may do."""

from collections.abc import Collection
from enum import StrEnum
from typing import Final

from penstock.domain.errors import Bar, PermissionDenied, Unauthenticated
from penstock.domain.names import shown
from penstock.domain.tenant import Allowance, Tenant

EVERY: Final = "*"
"""Stands for all models together: what tells of each of them is not for a caller who may know of some."""


class Action(StrEnum):
    """What a caller may be allowed to do; none of them implies another."""

    PREDICT = "predict"
    READ = "read"
    MANAGE = "manage"


_MOST_REMEMBERED: Final = 256

PREDICT: Final = Action.PREDICT
"""A plain name for what nearly all calls do: Python 3.11 takes its time to look up members of enumerations."""


class Caller:
    """One key or token, as long as it is valid; every call that shows it is made by this object. Lives on the event loop."""

    __slots__ = ("actions", "allowance", "key_id", "models", "name", "predicts", "revoked", "tenant")

    def __init__(
        self,
        tenant: Tenant,
        actions: Collection[Action],
        models: Collection[str] | None = None,
        allowance: Allowance | None = None,
        key_id: str = "",
    ) -> None:
        """`models` are those that it may ask for; None means all. Without an `allowance`, it may ask for as much as it likes.

        `key_id` tells the keys of one name apart; a token has none.
        """
        self.key_id: Final = key_id
        self.name: Final = tenant.name
        self.tenant: Final = tenant
        self.allowance: Final = allowance
        self.actions: Final = frozenset(actions)
        self.models: Final = None if models is None else frozenset(models)
        self.predicts: Final[set[str]] = set()
        """Models of which predictions are known to be allowed: a look here takes a tenth of `require`."""
        self.revoked = False
        """Whether its key is no longer valid: what is under way ends, streams ask for nothing more."""

    def admit(self, model: str, now_ns: int) -> None:
        """Return if the caller may have one more prediction of the model now; raises what `require` does, or `QuotaExceeded`."""
        if model not in self.predicts:
            self.require_prediction(model)
        if self.allowance is not None:
            self.tenant.admit(self.allowance, now_ns)

    def revoke(self) -> None:
        """Let the key be valid no longer."""
        self.revoked = True
        self.predicts.clear()

    def require_prediction(self, model: str) -> None:
        """Return if the caller may have predictions of the model, and remember it; raises what `require` does."""
        self.require(PREDICT, model)
        if len(self.predicts) < _MOST_REMEMBERED:
            self.predicts.add(model)

    def require(self, action: Action, model: str = "") -> None:
        """Return if the caller may do that to the model: `EVERY` for all of them, "" for what concerns none.

        Raises `Unauthenticated` once the key is revoked, else `PermissionDenied`.
        """
        if self.revoked:
            raise Unauthenticated(f"the key {shown(self.name)} is no longer valid; use a newer one", Bar.REVOKED)
        if action not in self.actions:
            raise PermissionDenied(
                f"{shown(self.name)} has the scopes {', '.join(sorted(self.actions))}, and this needs {action}; use a key that has it",
                Bar.SCOPE,
            )
        if self.models is not None and model and model not in self.models:
            what = "all models" if model == EVERY else f"the model {shown(model)}"
            names = ", ".join(sorted(self.models))
            raise PermissionDenied(f"{shown(self.name)} is for the models {names}, and this concerns {what}", Bar.MODEL)
