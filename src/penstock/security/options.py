"""What a user may say about who may come in."""

from collections.abc import Iterator
from typing import Literal

import msgspec


class JwtOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose tokens are taken: the section `[security.jwt]`; needs the extra `jwt`."""

    jwks_file: str = ""
    """A file of public keys (JWKS). Where it is named, calls may bring a token that is signed with one of them instead of a key."""

    issuer: str = ""
    """The claim `iss` that a token must have."""

    audience: str = ""
    """What must be in the claim `aud` of a token: the name that the issuer knows this server by."""

    algorithms: list[Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]] = msgspec.field(
        default_factory=lambda: ["RS256", "PS256", "ES256", "EdDSA"]
    )
    """How a token may be signed."""

    name_claim: str = "sub"
    """The claim that names the caller."""

    scopes_claim: str = "scope"
    """The claim that holds the scopes: words in a text, or a list. Words that are no scope are passed over."""

    scope_prefix: str = ""
    """What scopes begin with there: with "penstock:", `penstock:predict` is `predict`, and `read` is nothing."""

    models_claim: str = "models"
    """The claim that holds the models that the token is for; a token without it is for all."""

    leeway_s: float = 30.0
    """Seconds that clocks may differ."""


class SecurityOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `[security]`."""

    keys_file: str = ""
    """A file of API keys, as `penstock keys` writes it. Where it is named, every call needs a key, and the admin token is not used."""

    open: list[Literal["metrics", "pages"]] = msgspec.field(default_factory=lambda: ["metrics"])
    """What is answered without a key beside health: `/metrics`, and the pages that hold nothing of a model (`/docs`, `/openapi.json`,
    the admin pages, which ask for the key themselves)."""

    jwt: JwtOptions = msgspec.field(default_factory=JwtOptions)
    """JSON Web Tokens, beside keys or in their place."""

    @property
    def keyed(self) -> bool:
        """Whether calls need a key or a token."""
        return bool(self.keys_file or self.jwt.jwks_file)


def security_problems(options: SecurityOptions) -> Iterator[str]:
    """Yield what makes no sense, or no safety, in the options together."""
    jwt = options.jwt
    for key in ("issuer", "audience"):
        if jwt.jwks_file and not getattr(jwt, key):
            yield f"security.jwt.{key} is empty: tokens that were made for others would open this server; say which ones are meant"
    if jwt.jwks_file and not jwt.algorithms:
        yield "security.jwt.algorithms is empty; name how tokens are signed"
