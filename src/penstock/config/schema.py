"""Which keys exist: the structs of the settings, read as a tree."""

import difflib
import types
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from penstock.config.checks import RULES
from penstock.config.origins import dotted
from penstock.config.settings import Settings
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.rules import Rule

_Kind = Literal["cpu", "cuda", "tensorrt"]
_WORDS: Final = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}

# The tree of keys is narrower than some declared types: raw tables of models are checked as models, for one.
_NARROWED: Final[Mapping[tuple[type, str], object]] = {
    (Settings, "models"): dict[str, ModelOptions],
    (ModelOptions, "require_placement"): dict[_Kind, float],
    (ModelOptions, "provider_options"): dict[_Kind, dict[str, str | int | bool]],
}


class Node(NamedTuple):
    """One place in the tree: the type of what stands there, and the rule that its values keep beyond their type."""

    kind: Any
    rule: Rule | None = None

    @property
    def is_table(self) -> bool:
        """Whether keys stand here rather than a value."""
        return _is_struct(self.kind) or get_origin(self.kind) is dict

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are known beforehand; a table of free keys, such as models, has none."""
        if _is_struct(self.kind):
            return tuple(_fields(self.kind))
        return get_args(get_args(self.kind)[0]) if self.is_table else ()

    def child(self, key: str) -> "Node | None":
        """Return the node of a key, or None where the key cannot be."""
        if not self.is_table or (self.keys and key not in self.keys):
            return None
        if _is_struct(self.kind):
            return Node(_fields(self.kind)[key], RULES.get(self.kind, {}).get(key))
        return Node(get_args(self.kind)[1], self.rule)

    def expected(self) -> str:
        """Return in words what may stand here."""
        if _is_struct(self.kind):
            return "a table"
        if self.is_table:
            keys = f" with the keys {', '.join(self.keys)}" if self.keys else ""
            return f"a table{keys}, each value {Node(get_args(self.kind)[1], self.rule).expected()}"
        return self.rule.words if self.rule else describe(self.kind)

    def read(self, value: object) -> object:
        """Return the value as what is due here (5 as 5.0, for one), or raise `ValueError` if it may not stand here."""
        read = msgspec.convert(value, self.kind)
        if self.rule and not self.rule.holds(read):
            raise ValueError(self.rule.words)
        plain: object = msgspec.to_builtins(read)
        return plain


ROOT: Final = Node(Settings)


def node_at(path: Iterable[str]) -> Node | None:
    """Return the node at a path of keys, or None where the path leads nowhere."""
    node: Node | None = ROOT
    for key in path:
        node = node and node.child(key)
    return node


def every_key() -> Iterator[tuple[str, ...]]:
    """Yield the path of every key that is known beforehand, sections included."""
    for section in ROOT.keys:
        yield (section,)
        node = ROOT.child(section)
        yield from ((section, key) for key in node.keys) if node else ()


def nearest(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the path of the existing key that looks most like a path that leads nowhere.

    Its last part counts first, so that the right key in the wrong section is found too.
    """
    parent = node_at(path[:-1])
    siblings = ((*path[:-1], key) for key in parent.keys) if parent else ()
    return max((*siblings, *every_key()), key=lambda key: (_likeness(path[-1], key[-1]), _likeness(dotted(path), dotted(key))))


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def describe(kind: Any) -> str:
    """Return a type in the words of a person who writes TOML."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _either(f'"{value}"' for value in arguments)
    if origin in {Union, types.UnionType}:
        return _either(map(describe, arguments))
    return f"a list of {describe(arguments[0])}" if origin is list else _WORDS.get(kind, "a table")


def _either(words: Iterable[str]) -> str:
    *firsts, last = words
    return f"{', '.join(firsts)} or {last}" if firsts else last


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


@cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, Any]:
    declared = {field.name: field.type for field in msgspec.structs.fields(struct)}
    return {name: _NARROWED.get((struct, name), kind) for name, kind in declared.items()}
