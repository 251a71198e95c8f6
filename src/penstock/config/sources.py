"""Where settings come from: a TOML file, the environment, flags. Each is read into keys and values, unjudged."""

import os
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from penstock.config.errors import ConfigError
from penstock.config.origins import Origin, variable
from penstock.config.schema import every_key

_PREFIX: Final = "PENSTOCK_"

FLAGS: Final[Mapping[str, str]] = {
    "--registry": "registry.uri",
    "--host": "server.host",
    "--http-port": "server.http_port",
    "--grpc-port": "server.grpc_port",
    "--admin-port": "server.admin_port",
    "--allow-unauthenticated": "server.allow_unauthenticated",
}
"""Flags that stand for a key."""


class Given(NamedTuple):
    """One value that a source gave for a key; of several readings, the first that fits the key is meant."""

    path: tuple[str, ...]
    readings: tuple[object, ...]
    origin: Origin


def process_environment() -> Mapping[str, str]:
    """Return the environment of this process; the one door to it."""
    return os.environ


def from_file(path: Path) -> Given:
    """Return the whole tree of a TOML file, or raise `ConfigError` if it cannot be read."""
    try:
        # Some editors put a byte order mark in front, which tomllib takes for a broken first key.
        tree = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigError((f"{path}: cannot be read: {error.strerror}; give the path of a TOML file",)) from error
    except ValueError as error:
        raise ConfigError((f"{path}: is not valid TOML: {error}",)) from error
    return Given((), (tree,), Origin("file", str(path)))


def from_environment(environ: Mapping[str, str], models: Collection[str] = ()) -> Iterator[Given]:
    """Yield what the variables set; `models` are the spellings that the name of a model may stand for."""
    # Kubernetes gives every pod variables such as PENSTOCK_SERVICE_HOST and PENSTOCK_PORT for a service named penstock.
    # So a variable without a double underscore is none of ours, unless only the second underscore of a key is missing.
    misspelt = {variable(key).replace("__", "_") for key in every_key() if len(key) > 1}
    for name in sorted(environ):
        if name.startswith(_PREFIX) and ("__" in name or name in misspelt):
            path = _spelt(tuple(name.removeprefix(_PREFIX).lower().split("__")), models)
            text = environ[name]
            yield Given(path, (read_value(text), text), Origin("environment", name))


def from_flag(name: str, value: object) -> Given:
    """Return what a flag sets: one of `FLAGS`, whose text is meant as such first, or a dotted key. May raise `ConfigError`."""
    path = parse_key(FLAGS.get(name, name))
    readings = (read_value(value), value) if isinstance(value, str) else (value,)
    if name in FLAGS:
        return Given(path, readings[::-1], Origin("flag", name))
    return Given(path, readings, Origin("flag", f"--set {name}"))


def parse_assignment(text: str) -> tuple[str, str]:
    """Return key and value of `key=value`, or raise `ConfigError`."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError((f"--set {text}: has no '='; write key=value, such as defaults.slo_ms=50",))
    parse_key(key)
    return key.strip(), value.strip()


def parse_key(text: str) -> tuple[str, ...]:
    """Return the parts of a dotted key, quotes read as in TOML, or raise `ConfigError`."""
    try:
        tree: object = tomllib.loads(f"{text} = 0")
    except ValueError as error:
        problem = f"--set {text}: is not a key; write section.key, and a name with a dot in quotes"
        raise ConfigError((problem,)) from error
    path: list[str] = []
    while isinstance(tree, dict):
        key, tree = next(iter(tree.items()))
        path.append(key)
    return tuple(path)


def read_value(text: str) -> object:
    """Return what the text means in TOML, or the text itself if it means nothing there."""
    try:
        table = tomllib.loads(f"value = {text}")
    except ValueError:
        return text
    return table["value"] if table.keys() == {"value"} else text


def _spelt(path: tuple[str, ...], models: Collection[str]) -> tuple[str, ...]:
    """Spell a model as the file does: shells and Kubernetes are used to variables in capitals."""
    match path:
        case ("models", name, *rest):
            alike = [model for model in models if model.lower() == name]
            return ("models", alike[0], *rest) if len(alike) == 1 else path
    return path
