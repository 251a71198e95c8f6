"""From sources to settings: defaults < TOML file < environment < flags, and every problem told at once."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from penstock.config.checks import conflicts
from penstock.config.errors import ConfigError
from penstock.config.origins import DEFAULT, Origin, dotted, shown_at, variable, written
from penstock.config.schema import Node, nearest, node_at
from penstock.config.settings import Settings
from penstock.config.sources import Given, from_environment, from_file, from_flag


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force, and where each key that does not keep its default was set."""

    settings: Settings
    origins: Mapping[str, Origin]


def load(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Loaded:
    """Return the settings of all sources together, or raise `ConfigError` with everything that is wrong with them."""
    reader = _Reader()
    if path is not None:
        reader.take(partial(from_file, path))
    for given in from_environment(environ, reader.models()):
        reader.read(given)
    for name, value in flags.items():
        reader.take(partial(from_flag, name, value))
    settings = reader.settings()
    # A value that was refused left its default behind: conflicts with that one would be nobody's mistake.
    problems = reader.problems or list(conflicts(settings))
    if problems:
        raise ConfigError(tuple(problems))
    return Loaded(settings, {dotted(path): origin for path, (_, origin) in reader.values.items()})


def effective(loaded: Loaded) -> list[tuple[str, object, str]]:
    """Return every setting in force as dotted key, value (secrets hidden) and origin, section by section."""
    leaves = _leaves((), msgspec.to_builtins(loaded.settings))
    keyed = ((dotted(path), value) for path, value in leaves)
    return [(key, shown_at(key, value), str(_origin(loaded, key))) for key, value in keyed]


def _origin(loaded: Loaded, key: str) -> Origin | str:
    """Return where a value came from: it, or the whole that it was given with."""
    while key not in loaded.origins:
        key, dot, _ = key.rpartition(".")
        if not dot:
            return DEFAULT
    return loaded.origins[key]


@dataclass(frozen=True, slots=True)
class _Reader:
    """What the sources gave so far, key by key, and the problems met."""

    values: dict[tuple[str, ...], tuple[object, Origin]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def take(self, source: Callable[[], Given]) -> None:
        """Take what a source gives; a source that cannot be read is a problem like any other."""
        try:
            self.read(source())
        except ConfigError as error:
            self.problems.extend(error.problems)

    def read(self, given: Given) -> None:
        """Take one value, which may be a whole table."""
        node = node_at(given.path)
        if node is None:
            self.problems.append(_unknown(given))
        elif node.is_table:
            self._read_table(given, node)
        else:
            self._read_leaf(given, node)

    def _read_table(self, given: Given, node: Node) -> None:
        table = next((reading for reading in given.readings if isinstance(reading, dict)), None)
        if table is None:
            self.problems.append(_unfit(given, node))
        elif given.path and not table:
            self.values.setdefault(given.path, (table, given.origin))
        else:
            for key, value in table.items():
                self.read(Given((*given.path, key), (value,), given.origin))

    def _read_leaf(self, given: Given, node: Node) -> None:
        for reading in given.readings:
            try:
                self.values[given.path] = (node.read(reading), given.origin)
            except ValueError:  # msgspec's ValidationError is one
                continue
            return
        self.problems.append(_unfit(given, node))

    def models(self) -> set[str]:
        """Return the names of the models that were given anything."""
        return {path[1] for path in self.values if path[0:1] == ("models",) and len(path) > 1}

    def settings(self) -> Settings:
        """Return the settings that the values given so far make."""
        tree: dict[str, object] = {}
        for path, (value, _) in self.values.items():
            _plant(tree, path, value)
        return msgspec.convert(tree, Settings)


def _plant(tree: dict[str, object], path: tuple[str, ...], value: object) -> None:
    """Set one value deep in a tree of tables; an empty table takes nothing away from a table that is there."""
    here: Any = tree
    for key in path[:-1]:
        here = here.setdefault(key, {})
    if value == {}:
        here.setdefault(path[-1], {})
    else:
        here[path[-1]] = value


def _unknown(given: Given) -> str:
    """Say that a key does not exist, by the first of its parts that leads nowhere."""
    lengths = range(1, len(given.path) + 1)
    wrong = next(given.path[:length] for length in lengths if node_at(given.path[:length]) is None)
    near = nearest(wrong)
    near_variable = f" ({variable(near)})" if given.origin.source == "environment" else ""
    return f"{given.origin.name}: unknown key {dotted(wrong)}; the nearest valid key is {dotted(near)}{near_variable}"


def _unfit(given: Given, node: Node) -> str:
    seen = written(shown_at(dotted(given.path), given.readings[0]))
    return f"{given.origin.name}: {dotted(given.path)} must be {node.expected()}, not {seen}"


def _leaves(path: tuple[str, ...], value: object) -> Iterator[tuple[tuple[str, ...], object]]:
    if not isinstance(value, dict) or not value:
        yield path, value
        return
    for key, item in value.items():
        yield from _leaves((*path, key), item)
