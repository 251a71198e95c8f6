"""JSON that is a little different and still JSON."""

import json
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Final

_LEAVES: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 2, 3, 127, 128, 255, 256, -(1 << 63), 1 << 63, (1 << 64) - 1, 1 << 64, 10**40, 0.5, 1.0, -0.0, 1e300,
    5e-324, 3.5e38, float("nan"), float("inf"), float("-inf"), "", "a", "é", "日本", "\ud800", "\0", "x" * 200, "1", [], {}, [[]], [1, 2],
)  # fmt: skip


def mutated_json(text: bytes, rng: Random, words: Sequence[Any] = ()) -> bytes:
    """Return the text with one to four of its values changed, moved, doubled or dropped; a text that is no JSON comes back as it is."""
    try:
        root = [json.loads(text)]
    except (ValueError, RecursionError):
        return text
    for _ in range(1 << rng.randrange(3)):
        _change(root, rng, words)
    return _written(root[0] if root else None, rng)


def _change(root: list[Any], rng: Random, words: Sequence[Any]) -> None:
    places = list(_places(root))
    if not places:
        return
    holder, key = rng.choice(places)
    match rng.randrange(7):
        case 0 | 1:
            holder[key] = _leaf(rng, words)
        case 2:
            del holder[key]
        case 3:
            other, where = rng.choice(places)
            holder[key] = json.loads(json.dumps(other[where]))
        case 4 if isinstance(holder, list):
            holder[key:key] = [holder[key]] * rng.choice((1, 1, 2, 70))
        case 4:
            holder[str(_leaf(rng, words))] = holder[key]
        case 5:
            holder[key] = rng.choice(([holder[key]], {str(_leaf(rng, words)): holder[key]}, [[holder[key]], 1]))
        case 6:
            _nudge(holder, key, rng)


def _nudge(holder: Any, key: Any, rng: Random) -> None:
    value = holder[key]
    if type(value) in (int, float):
        holder[key] = rng.choice(
            (
                value + 1,
                value - 1,
                -value,
                value * 2,
                float(value) if abs(value) < 1e300 else 0,
                int(value) if abs(value) < 1e300 else 1,
            )
        )
    elif isinstance(value, str):
        at = rng.randrange(len(value) + 1)
        holder[key] = value[:at] + rng.choice(("", "x", ".", "/", "-", "\\", '"', "é", "\n", "0")) + value[at + rng.randrange(2) :]
    elif isinstance(value, list):
        rng.shuffle(value)


def _places(root: Any) -> Iterator[tuple[Any, Any]]:
    """Yield where each value stands: in which list or object, and at which place."""
    waiting = [root]
    while waiting:
        holder = waiting.pop()
        for key in list(holder) if isinstance(holder, dict) else range(min(len(holder), 100)):
            yield holder, key
            if isinstance(holder[key], list | dict):
                waiting.append(holder[key])


def _leaf(rng: Random, words: Sequence[Any]) -> Any:
    return json.loads(json.dumps(rng.choice(words if words and rng.random() < 0.6 else _LEAVES)))


def _written(tree: Any, rng: Random) -> bytes:
    text = json.dumps(tree, ensure_ascii=rng.random() < 0.5, separators=rng.choice(((",", ":"), (", ", ": "))))
    return text.encode("utf-8", "surrogatepass")
