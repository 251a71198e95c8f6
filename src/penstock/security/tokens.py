"""JSON Web Tokens (RFC 7519), judged by the public keys of a JWKS file. The only door to PyJWT; needs the extra `jwt`.

Hardened to untrusted callers: the signature's algorithm is one of a fixed list of asymmetric ones and that of its key, whatever a
token says of itself (RFC 8725).
"""

import json
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

_ACTIONS: Final = {action.value: action for action in Action}
_LONGEST_NAME: Final = 128
_REQUIRED: Final = ("exp", "iss", "aud")


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
            key_id = self._key_id(token)
            return _read(self._verified(token, key_id), self._options, key_id)
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            raise Unauthenticated(f"the token is not valid: {_reason(error)}; get a new one", Bar.BAD_TOKEN) from error

    def _key_id(self, token: str) -> str:
        named = jwt.get_unverified_header(token).get("kid")
        if named is None and len(self._keys) == 1:
            return next(iter(self._keys))
        if named not in self._keys:
            raise jwt.InvalidKeyError("its key (kid) is not known here")
        return str(named)

    def _verified(self, token: str, key_id: str) -> Mapping[str, Any]:
        options = self._options
        return jwt.decode(
            token,
            self._keys[key_id],
            algorithms=options.algorithms,
            audience=options.audience,
            issuer=options.issuer,
            leeway=options.leeway_s,
            options={"require": list(_REQUIRED)},
        )


def read_keys(path: Path) -> dict[str, jwt.PyJWK]:
    """Return the public keys of a JWKS file (RFC 7517) by their ids; a single key may be without one.

    Raises `OSError`, and `ValueError` for a file that holds no such keys, or secret ones: those would let the server make tokens.
    """
    try:
        document = json.loads(path.read_bytes())
        listed = document["keys"]
        if any(key.get("kty") == "oct" or "d" in key for key in listed):
            raise ValueError("it holds secret keys; a JWKS file for a server holds public ones alone")
        keys = {str(key.get("kid", "")): jwt.PyJWK(key) for key in listed if key.get("use", "sig") == "sig"}
    except (KeyError, TypeError, AttributeError, RecursionError, jwt.PyJWTError) as error:
        raise ValueError(f"it is no set of JSON web keys: {error}") from error
    if not keys or ("" in keys and len(listed) > 1):
        raise ValueError("it holds no key for signatures" if not keys else "a key has no kid, which each of several needs")
    return keys


def changed_keys(before: Mapping[str, jwt.PyJWK], after: Mapping[str, jwt.PyJWK]) -> set[str]:
    """Return the ids of the keys that are gone, or that are others now."""
    return {key_id for key_id, key in before.items() if key_id not in after or not _same(key, after[key_id])}


def _same(one: jwt.PyJWK, other: jwt.PyJWK) -> bool:
    return bool(one._jwk_data == other._jwk_data)  # noqa: SLF001 - the key as it stood in the file has no other name


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
