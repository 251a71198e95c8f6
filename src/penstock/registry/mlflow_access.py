"""How an MLflow server is reached: its address, who we are there, and how its certificate is checked."""

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx2

from penstock.registry.source import RegistryUnreachable

_FORM: Final = "mlflow+http(s)://host[:port][/prefix]"
_USER: Final = "MLFLOW_TRACKING_USERNAME"
_PASSWORD: Final = "MLFLOW_TRACKING_PASSWORD"  # noqa: S105 - names of variables
_TOKEN: Final = "MLFLOW_TRACKING_TOKEN"  # noqa: S105
_WORKSPACE: Final = "MLFLOW_WORKSPACE"
_AUTHORITY: Final = "MLFLOW_TRACKING_SERVER_CERT_PATH"
_CERTIFICATE: Final = "MLFLOW_TRACKING_CLIENT_CERT_PATH"
_UNCHECKED: Final = "MLFLOW_TRACKING_INSECURE_TLS"
CREDENTIALS: Final = f"{_TOKEN}, or {_USER} and {_PASSWORD}"


@dataclass(frozen=True, slots=True)
class MlflowAccess:
    """One server, and what to show it."""

    address: str
    """http(s)://host[:port][/prefix], without a slash at its end."""
    headers: Mapping[str, str] = field(repr=False)
    """Credentials and workspace."""
    trust: ssl.SSLContext = field(repr=False)


def access_of(uri: str, environment: Mapping[str, str]) -> MlflowAccess:
    """Return how to reach the server that a URI such as mlflow+https://models.example:5000 names, by MLflow's own variables.

    Raises `RegistryUnreachable` for a URI or for variables that can never work.
    """
    try:
        return MlflowAccess(_address(uri), _headers(environment), _trust(environment))
    except OSError as error:  # ssl.SSLError is one; its text holds a path, which no answer may
        variables = " and ".join(name for name in (_AUTHORITY, _CERTIFICATE) if environment.get(name))
        raise RegistryUnreachable(f"{variables}: the certificates cannot be read: {error.strerror or 'not in PEM format'}") from error


def elsewhere(access: MlflowAccess, host: str) -> MlflowAccess:
    """Return how to reach the server of another host to which this one points: what we show here is not for its eyes."""
    parts = urlsplit(access.address)
    return MlflowAccess(_address(f"mlflow+{parts.scheme}://{host}{parts.path}"), {}, httpx2.create_ssl_context())


def _address(uri: str) -> str:
    try:
        parts = urlsplit(uri.removeprefix("mlflow+"))
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        raise RegistryUnreachable(f"the registry {uri.partition('?')[0]} is not of the form {_FORM}")
    if "@" in parts.netloc:
        raise RegistryUnreachable(f"the registry's URI holds credentials, which would be logged; set {CREDENTIALS} instead")
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def _headers(environment: Mapping[str, str]) -> dict[str, str]:
    headers = {}
    user, password = environment.get(_USER, ""), environment.get(_PASSWORD, "")
    if user and password:
        headers["authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    elif token := _header_text(environment, _TOKEN):
        headers["authorization"] = f"Bearer {token}"
    if workspace := _header_text(environment, _WORKSPACE):
        headers["x-mlflow-workspace"] = workspace
    return headers


def _header_text(environment: Mapping[str, str], name: str) -> str:
    text = environment.get(name, "").strip()
    if not (text.isascii() and text.isprintable()):
        raise RegistryUnreachable(f"{name} holds characters that no header may have; use printable ASCII")
    return text


def _trust(environment: Mapping[str, str]) -> ssl.SSLContext:
    authority, certificate = environment.get(_AUTHORITY, ""), environment.get(_CERTIFICATE, "")
    unchecked = environment.get(_UNCHECKED, "").lower() in ("true", "1")
    if unchecked and authority:
        raise RegistryUnreachable(f"{_UNCHECKED} and {_AUTHORITY} contradict each other; unset one of them")
    if authority:
        folder = Path(authority).is_dir()
        context = ssl.create_default_context(cafile=None if folder else authority, capath=authority if folder else None)
    else:
        context = httpx2.create_ssl_context(verify=not unchecked)
    if certificate:
        context.load_cert_chain(certificate)
    return context
