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


class TlsOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Certificates of listeners: the section `[security.tls]`. The files are followed while the server serves."""

    certificate: str = ""
    """A file with the server's certificate and those between it and its root (PEM). Where it is named, listeners speak TLS, 1.2 at
    least, and nothing else."""

    key: str = ""
    """The file of its private key (PEM), not encrypted and not readable by everybody."""

    client_ca: str = ""
    """A file of certificates (PEM). Where it is named, a client needs a certificate that one of them has signed (mTLS)."""

    listeners: list[Literal["http", "grpc", "admin"]] = msgspec.field(default_factory=lambda: ["http", "grpc"])
    """Which listeners speak TLS."""

    @property
    def mutual(self) -> bool:
        """Whether predictions are for clients with a certificate alone."""
        return bool(self.certificate and self.client_ca and {"http", "grpc"} <= set(self.listeners))


class SecurityOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `[security]`."""

    keys_file: str = ""
    """A file of API keys, as `penstock keys` writes it. Where it is named, every call needs a key, and the admin token is not used."""

    open: list[Literal["metrics", "pages"]] = msgspec.field(default_factory=lambda: ["metrics"])
    """What is answered without a key beside health: `/metrics`, and the pages that hold nothing of a model (`/docs`, `/openapi.json`,
    the admin pages, which ask for the key themselves)."""

    rate: float = 0.0
    """Predictions per second of a tenant whose key does not say; 0 for as many as it likes."""

    max_in_flight: int = 0
    """Predictions that a tenant may have under way if its key does not say; 0 for as many as it likes."""

    jwt: JwtOptions = msgspec.field(default_factory=JwtOptions)
    """JSON Web Tokens, beside keys or in their place."""

    tls: TlsOptions = msgspec.field(default_factory=TlsOptions)
    """The certificates of listeners."""

    @property
    def keyed(self) -> bool:
        """Whether calls need a key or a token."""
        return bool(self.keys_file or self.jwt.jwks_file)


def security_problems(options: SecurityOptions) -> Iterator[str]:
    """Yield what makes no sense, or no safety, in the options together."""
    jwt, tls = options.jwt, options.tls
    for key in ("issuer", "audience"):
        if jwt.jwks_file and not getattr(jwt, key):
            yield f"security.jwt.{key} is empty: tokens that were made for others would open this server; say which ones are meant"
    if jwt.jwks_file and not jwt.algorithms:
        yield "security.jwt.algorithms is empty; name how tokens are signed"
    if bool(tls.certificate) != bool(tls.key):
        yield "security.tls needs both certificate and key, and only one of the two is set; name both files"
    if tls.client_ca and not tls.certificate:
        yield "security.tls.client_ca is set, but no certificate: without TLS no client can show its own; set certificate and key"
    if tls.certificate and not tls.listeners:
        yield "security.tls.listeners is empty, so that the certificate is for nobody; name some of http, grpc and admin"
