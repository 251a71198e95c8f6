"""`aliases.json`: refused with a reason, or read as it is written."""

from random import Random
from typing import Final

from json_trees import mutated_json

from penstock.domain.errors import BadArtifact
from penstock.domain.names import is_alias
from penstock.registry.aliases import aliases_text, known_aliases, moved, parse_aliases

FORMED: Final = 0.6
WORDS: Final = (b'"champion"', b'"3"', b":", b"{", b"}", b",", b"latest", b"v2", b"\\u0061", b"NaN")
_TEXTS: Final = ("champion", "latest", "v1", "V22", "_a", "a-b", "1", "01", "999999999999999999", "9" * 19, "٣", "a\n")


def case(data: bytes) -> bool:
    """Read aliases, move one, and read what is written."""
    try:
        aliases = known_aliases(lambda: data, "nothing can be changed")
    except BadArtifact:
        return False
    assert all(is_alias(alias) and number > 0 for alias, number in aliases.items())
    assert parse_aliases(aliases_text(aliases)) == aliases
    assert parse_aliases(aliases_text(moved(aliases, "champion", 7))) == {**aliases, "champion": 7}
    return True


def mutate(data: bytes, rng: Random) -> bytes:
    """Change values, and keep it JSON."""
    return mutated_json(data, rng, _TEXTS)
