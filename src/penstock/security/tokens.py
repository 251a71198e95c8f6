"""JSON Web Tokens (RFC 7519), judged by the public keys of a JWKS file. The only door to PyJWT; needs the extra `jwt`.

Hardened to untrusted callers: the signature's algorithm is one of a fixed list of asymmetric ones and that of its key, whatever a
token says of itself (RFC 8725).
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import jwt

from penstock.domain.caller import Action
from penstock.domain.errors import Bar, Unauthenticated
from penstock.domain.names import is_model_name
from penstock.security.access import Access, Claims
from penstock.security.options import JwtOptions
from penstock.security.reload import Watched

_log = logging.getLogger(__name__)
_ACTIONS: Final = {action.value: action for action in Action}
_LONGEST_NAME: Final = 128
_REQUIRED: Final = ("exp", "iss", "aud")
_RSA: Final = ("RS", "PS")
"""How the names of the algorithms begin that any RSA key is good for."""


class JwtTokens:
    """The tokens of one issuer. Lives on the event loop; a signature takes some ten microseconds (elliptic curves) to look at."""

    def __init__(self, options: JwtOptions) -> None:
        """Read the keys; raises what `read_keys` raises."""
        self._path = Path(options.jwks_file)
        self._keys: Mapping[str, jwt.PyJWK] = read_keys(self._path)
        self._options = options

    def watched(self, access: Access) -> Watched[dict[str, jwt.PyJWK]]:
        """Return the file of keys, to be followed."""

        def apply(keys: dict[str, jwt.PyJWK]) -> None:
            gone, self._keys = changed_keys(self._keys, keys), keys
            access.revoke_bearers(lambda claims: claims.key_id in gone)

        return Watched("file of token keys", [self._path], lambda: read_keys(self._path), apply)

    def claims(self, token: str) -> Claims:
        """Return what a token that can be trusted says; raises `Unauthenticated`."""
        try:
            head = jwt.get_unverified_header(token)
            key_id = self._key_id(head.get("kid"))
            return _read(self._verified(token, self._key(key_id, head.get("alg"))), self._options, key_id)
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            raise Unauthenticated(f"the token is not valid: {_reason(error)}; get a new one", Bar.BAD_TOKEN) from error

    def _key_id(self, named: object) -> str:
        if named is None and len(self._keys) == 1:
            return next(iter(self._keys))
        if named not in self._keys:
            raise jwt.InvalidKeyError("its key (kid) is not known here")
        return str(named)

    def _key(self, key_id: str, algorithm: object) -> jwt.PyJWK:
        """Return the key, which is for one algorithm; an RSA key that says none is for each of its family that the settings allow."""
        key = self._keys[key_id]
        for allowed in self._options.algorithms:
            if allowed == algorithm and allowed.startswith(_RSA) and key.key_type == "RSA" and not _jwk(key).get("alg"):
                return jwt.PyJWK(_jwk(key), allowed)
        return key

    def _verified(self, token: str, key: jwt.PyJWK) -> Mapping[str, Any]:
        options = self._options
        return jwt.decode(
            token,
            key,
            algorithms=options.algorithms,
            audience=options.audience,
            issuer=options.issuer,
            leeway=options.leeway_s,
            options={"require": list(_REQUIRED)},
        )


def read_keys(path: Path) -> dict[str, jwt.PyJWK]:
    """Return the public keys of a JWKS file (RFC 7517) by their ids; a single key may be without one.

    Keys for something else, and such as nothing here can use, are passed over (section 5). Raises `OSError`, and `ValueError` for a
    file that holds no key for signatures, or secret ones: those would let the server make tokens.
    """
    try:
        document = json.loads(path.read_bytes())
        listed = document["keys"]
        if any(key.get("kty") == "oct" or "d" in key for key in listed):
            raise ValueError("it holds secret keys; a JWKS file for a server holds public ones alone")
        usable = [key for jwk in listed if jwk.get("use", "sig") == "sig" and (key := _usable(jwk)) is not None]
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it is no set of JSON web keys: {error}") from error
    keys = {str(_jwk(key).get("kid", "")): key for key in usable}
    if not keys or ("" in keys and len(usable) > 1):
        raise ValueError("it holds no key for signatures" if not keys else "a key has no kid, which each of several needs")
    return keys


def _usable(jwk: dict[str, Any]) -> jwt.PyJWK | None:
    """Return a key; None, and a word in the log, for one that cannot be used, whatever those who read it raise then."""
    try:
        return jwt.PyJWK(jwk)
    except Exception as error:
        # Their own words hold the whole key.
        kind = ", ".join(f"{field} {jwk.get(field)!r}" for field in ("kid", "kty", "alg", "crv") if field in jwk)
        _log.warning("a token key (%s) cannot be used and is passed over: %s", kind, type(error).__name__)
        return None


def changed_keys(before: Mapping[str, jwt.PyJWK], after: Mapping[str, jwt.PyJWK]) -> set[str]:
    """Return the ids of the keys that are gone, or that are others now."""
    return {key_id for key_id, key in before.items() if key_id not in after or not _same(key, after[key_id])}


def _same(one: jwt.PyJWK, other: jwt.PyJWK) -> bool:
    return _jwk(one) == _jwk(other)


def _jwk(key: jwt.PyJWK) -> dict[str, Any]:
    """Return the key as it stood in the file."""
    return key._jwk_data  # noqa: SLF001 - it has no other name


def _read(claims: Mapping[str, Any], options: JwtOptions, key_id: str) -> Claims:
    scopes = {scope.removeprefix(options.scope_prefix) for scope in _words(claims.get(options.scopes_claim, ()), options.scope_prefix)}
    models = claims.get(options.models_claim)
    allowed = None if models is None else frozenset(filter(is_model_name, _words(models)))
    expires = datetime.fromtimestamp(claims["exp"] + options.leeway_s, UTC)
    actions = frozenset(_ACTIONS[scope] for scope in scopes if scope in _ACTIONS)
    return Claims(_name(claims[options.name_claim]), actions, allowed, expires, key_id)


def _words(claim: object, prefix: str = "") -> list[str]:
    """Return the words of a claim, a text (RFC 8693, section 4.2) or a list; those that begin with the prefix."""
    words = claim.split() if isinstance(claim, str) else claim
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise ValueError("a claim is neither text nor a list of texts")
    return [word for word in words if word.startswith(prefix)]


def _name(claim: object) -> str:
    if not isinstance(claim, str) or not 0 < len(claim) <= _LONGEST_NAME or not claim.isprintable():
        raise ValueError("its name is no text of at most 128 printable characters")
    return claim


def _reason(error: Exception) -> str:
    """Return what is wrong in words that hold nothing of the token."""
    if isinstance(error, KeyError):
        return "a claim is missing"
    if isinstance(error, OverflowError | OSError):
        return "its end (exp) is no instant"
    if isinstance(error, jwt.DecodeError) and not isinstance(error, jwt.InvalidSignatureError):
        return "it cannot be read"
    return str(error).rstrip(".")[:1].lower() + str(error).rstrip(".")[1:]
