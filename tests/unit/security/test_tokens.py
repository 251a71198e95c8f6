"""JSON Web Tokens: which are taken, whose they are, and when they end."""

import gc
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode

from penstock.domain.caller import Action
from penstock.domain.errors import Unauthenticated
from penstock.security.access import Access
from penstock.security.keys import Key, digest_of
from penstock.security.options import JwtOptions
from penstock.security.tokens import JwtTokens, read_keys

NOW = datetime.now(UTC)
EC = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED = ed25519.Ed25519PrivateKey.generate()
JWKS = [
    {**json.loads(ECAlgorithm.to_jwk(EC.public_key())), "kid": "ec"},
    {**json.loads(RSAAlgorithm.to_jwk(RSA.public_key())), "kid": "rsa", "alg": "RS256", "use": "sig"},
    {**json.loads(OKPAlgorithm.to_jwk(ED.public_key())), "kid": "ed"},
    {**json.loads(RSAAlgorithm.to_jwk(RSA.public_key())), "kid": "for-encryption", "use": "enc"},
]
ANY_RSA = {key: value for key, value in JWKS[1].items() if key != "alg"}
RSA_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
CLAIMS = {"iss": "https://issuer", "aud": "penstock", "sub": "shop", "exp": NOW + timedelta(hours=1), "scope": "openid predict read"}
MINE = {"issuer": "https://issuer", "audience": "penstock", "leeway_s": 0.0}

Read = Callable[..., JwtTokens]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return what reads tokens by the keys above, or by others."""

    def tokens(keys: list[dict[str, Any]] = JWKS, **options: Any) -> JwtTokens:
        path = tmp_path / "jwks.json"
        path.write_text(json.dumps({"keys": keys}))
        return JwtTokens(JwtOptions(jwks_file=str(path), **MINE | options))

    return tokens


def signed(key: Any = EC, algorithm: str = "ES256", kid: str | None = "ec", **claims: Any) -> str:
    """Return a token; a claim that is None is left out."""
    held = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    return jwt.encode(held, key, algorithm, headers=None if kid is None else {"kid": kid})


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(EC, "ES256", "ec"), (RSA, "RS256", "rsa"), (ED, "EdDSA", "ed")])
def test_good_token_tells_who_its_bearer_is(read: Read, key: Any, algorithm: str, kid: str) -> None:
    """Words that are no scopes mean nothing here."""
    bearer = read().claims(signed(key, algorithm, kid))

    assert (bearer.name, bearer.actions, bearer.models) == ("shop", {Action.PREDICT, Action.READ}, None)
    assert abs(bearer.expires - CLAIMS["exp"]) < timedelta(seconds=1)  # type: ignore[operator]


def test_claims_are_found_where_the_settings_say(read: Read) -> None:
    """Lists are as good as texts; a scope without the prefix is none, and a name that no model can have opens none."""
    tokens = read(name_claim="client", scopes_claim="roles", scope_prefix="penstock:", models_claim="for")

    bearer = tokens.claims(signed(client="ci", roles=["penstock:manage", "predict"], **{"for": "digits ../etc iris"}))

    assert (bearer.name, bearer.actions, bearer.models) == ("ci", {Action.MANAGE}, {"digits", "iris"})


def public_as_secret() -> str:
    """Return a token that is signed with the public key as if that were a shared secret (RFC 8725, section 2.1)."""
    parts = ({"alg": "HS256", "kid": "rsa"}, CLAIMS | {"exp": NOW.timestamp() + 3600})
    said = b".".join(base64url_encode(json.dumps(part).encode()) for part in parts)
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return b".".join((said, base64url_encode(hmac.digest(public, said, "sha256")))).decode()


def unsigned(kid: str) -> str:
    """Return a token that asks to be believed."""
    return jwt.encode(CLAIMS, "", "none", headers={"kid": kid})


REFUSED: dict[str, Callable[[], str]] = {
    "unsigned": lambda: unsigned("ec"),
    "shared secret": public_as_secret,
    "another's key": lambda: signed(OTHER),
    "unknown key": lambda: signed(kid="nobody's"),
    "no key named": lambda: signed(kid=None),
    "key for encryption": lambda: signed(RSA, "RS256", "for-encryption"),
    "algorithm that is not allowed": lambda: signed(RSA, "RS512", "rsa"),
    "algorithm of another key": lambda: signed(RSA, "RS256", "ec"),
    "expired": lambda: signed(exp=NOW - timedelta(seconds=1)),
    "without an end": lambda: signed(exp=None),
    "end beyond all calendars": lambda: signed(exp=10**18),
    "not yet valid": lambda: signed(nbf=NOW + timedelta(hours=1)),
    "another issuer's": lambda: signed(iss="https://other"),
    "no issuer's": lambda: signed(iss=None),
    "for another server": lambda: signed(aud="other"),
    "for no server": lambda: signed(aud=None),
    "of nobody": lambda: signed(sub=None),
    "of a name that no log should hold": lambda: signed(sub="a\nb"),
    "scopes that are numbers": lambda: signed(scope=[1]),
    "scopes that are a number": lambda: signed(scope=7),
    "models that are a table": lambda: signed(models={"a": 1}),
    "changed": lambda: signed()[:-4] + "AAAA",
    "noise": lambda: "a.b.c",
    "not even text": lambda: "\udcff.\x00.ä",
}


@pytest.mark.parametrize("case", REFUSED)
def test_token_is_refused(read: Read, case: str) -> None:
    """And the reason holds nothing of it."""
    token = REFUSED[case]()

    with pytest.raises(Unauthenticated) as raised:
        read().claims(token)

    assert token[:12] not in raised.value.message


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}],
        [{**json.loads(ECAlgorithm.to_jwk(EC)), "kid": "a"}],
        [JWKS[0], {key: value for key, value in JWKS[1].items() if key != "kid"}],
        [{"kty": "EC"}],
        ["text"],
        [JWKS[3]],
        [{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "kid": "new"}],
        [JWKS[0], {"kty": "oct", "k": "c2VjcmV0", "kid": "a"}],
    ],
    ids=["none", "shared", "private", "nameless", "broken", "text", "for encryption", "unknown", "shared beside a good one"],
)
def test_file_that_holds_no_public_keys_is_refused(tmp_path: Path, keys: list[Any]) -> None:
    """A file with private keys lies where it should not."""
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": keys}))

    with pytest.raises(ValueError, match="key"):
        read_keys(path)


@pytest.mark.parametrize("algorithm", RSA_ALGORITHMS)
def test_rsa_key_that_says_no_algorithm_is_for_each_that_the_settings_allow(read: Read, algorithm: str) -> None:
    """RFC 7517, section 4.4: to say one is optional. A key that says one is for that alone."""
    token, others = signed(RSA, algorithm, "rsa"), [other for other in RSA_ALGORITHMS if other != algorithm]

    assert read([ANY_RSA], algorithms=["EdDSA", algorithm]).claims(token).name == "shop"
    for keys, algorithms in (([ANY_RSA], others), ([{**ANY_RSA, "alg": others[0]}], RSA_ALGORITHMS)):
        with pytest.raises(Unauthenticated):
            read(keys, algorithms=algorithms).claims(token)


@pytest.mark.parametrize(
    "token",
    [public_as_secret, partial(signed, EC, "ES256", "rsa"), partial(signed, ED, "EdDSA", "rsa"), partial(unsigned, "rsa")],
    ids=["HS256", "ES256", "EdDSA", "none"],
)
def test_rsa_key_that_says_no_algorithm_is_for_no_other_family(read: Read, token: Callable[[], str]) -> None:
    """Least of all for one of shared secrets, to which everybody has the public key."""
    with pytest.raises(Unauthenticated):
        read([ANY_RSA, JWKS[0]], algorithms=[*RSA_ALGORITHMS, "ES256", "EdDSA"]).claims(token())


def test_other_keys_that_say_no_algorithm_are_for_their_curves(read: Read) -> None:
    """An RSA algorithm that a token names makes no RSA key of one."""
    with pytest.raises(Unauthenticated):
        read(algorithms=[*RSA_ALGORITHMS, "ES256"]).claims(signed(RSA, "RS512", "ec"))


UNUSABLE = [
    {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "priv": "hidden", "kid": "new"},
    {**ANY_RSA, "kid": "wrapping", "alg": "RSA-OAEP"},
    {**ANY_RSA, "kid": "none", "alg": "none"},
    {**ANY_RSA, "kid": "shared", "alg": "HS256"},
    {**ANY_RSA, "kid": "odd", "alg": ["RS256"]},
    {**JWKS[0], "kid": "curve", "alg": "RS256"},
    {**JWKS[0], "kid": "broken", "x": 7},
    {"kty": "EC"},
]


@pytest.mark.parametrize("key", UNUSABLE, ids=lambda key: key.get("kid", "nameless"))
def test_key_that_cannot_be_used_is_passed_over(read: Read, caplog: pytest.LogCaptureFixture, key: dict[str, Any]) -> None:
    """RFC 7517, section 5: the others are as good as without it, and the log tells of it, though not all that it holds."""
    tokens = read([key, JWKS[0]])

    assert tokens.claims(signed()).name == "shop"
    with pytest.raises(Unauthenticated, match=r"\(kid\) is not known"):
        tokens.claims(signed(RSA, "RS256", key.get("kid", "")))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert repr(key["kty"]) in caplog.text
    assert "hidden" not in caplog.text


def test_file_that_is_nested_too_deep_is_refused(tmp_path: Path) -> None:
    """In the way of all that cannot be used, so that the keys before it stay in force."""
    path = tmp_path / "jwks.json"
    path.write_text("[" * 100_000)

    with pytest.raises(ValueError, match="no set of JSON web keys"):
        read_keys(path)


def test_tokens_and_keys_open_the_same_server(read: Read) -> None:
    """Each is remembered; when the keys change, the tokens stay."""
    access = Access([Key(name="ops", sha256=digest_of("k"), scopes=[Action.MANAGE])], tokens=read())
    header = f"Bearer {signed()}"
    bearer = access.caller(header)

    access.replace([])

    assert access.caller(header) is bearer
    assert not bearer.revoked
    with pytest.raises(Unauthenticated, match="key is not valid"):
        access.caller("Bearer k")


def test_token_ends_when_its_time_has_come(read: Read) -> None:
    """Though it was remembered, and a stream holds on to its bearer."""
    now = NOW
    access = Access(clock=lambda: now, tokens=read())
    bearer = access.caller(f"Bearer {signed()}")

    access.expire()
    assert not bearer.revoked
    now = NOW + timedelta(hours=1)
    access.expire()

    assert bearer.revoked


def test_tokens_of_a_key_that_is_taken_away_end(read: Read, tmp_path: Path) -> None:
    """Those of other keys stay; a key that stands for another one under the same name is another key."""
    tokens = read()
    access = Access(tokens=tokens)
    watched = tokens.watched(access)
    headers = {kid: f"Bearer {signed(key, algorithm, kid)}" for key, algorithm, kid in ((EC, "ES256", "ec"), (RSA, "RS256", "rsa"))}
    by_ec, by_rsa = (access.caller(header) for header in headers.values())

    replaced = {**json.loads(ECAlgorithm.to_jwk(OTHER.public_key())), "kid": "ec"}
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [replaced, JWKS[1]]}))
    apply = watched.fresh()
    assert apply is not None
    apply()

    assert (by_ec.revoked, by_rsa.revoked) == (True, False)
    assert access.caller(headers["rsa"]) is by_rsa
    with pytest.raises(Unauthenticated):
        access.caller(headers["ec"])
    assert access.caller(f"Bearer {signed(OTHER)}").name == "shop"


def test_forgotten_tokens_leave_nothing_behind(read: Read) -> None:
    """What nobody shows any more takes no memory."""
    access = Access(tokens=read())
    access.caller(f"Bearer {signed()}")

    access._known.clear()
    gc.collect()

    assert not access._bearers
