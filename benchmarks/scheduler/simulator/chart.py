"""Lines over load as SVG, drawn by hand: they read well in light and dark and need no library."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 860, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 220, 50, 50
_COLOURS: Final = ("#0b6e99", "#c2410c", "#4d7c0f", "#7e22ce", "#b45309", "#be123c", "#0f766e", "#64748b")
_STYLE: Final = """
  :root { color-scheme: light dark; --ink: #1f2933; --faint: #d5dbe1; --ground: #ffffff; }
  @media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --faint: #3e4c59; --ground: #14181d; } }
  text { font: 12px system-ui, sans-serif; fill: var(--ink); }
  .title { font-size: 15px; font-weight: 600; }
  .grid { stroke: var(--faint); stroke-width: 1; }
  .curve { stroke-width: 2; fill: none; stroke-linejoin: round; }
  .ours { stroke-width: 4; }
  .ground { fill: var(--ground); }
"""

Points = Sequence[tuple[float, float]]


class Chart(NamedTuple):
    """Lines by name, the first of which is ours; points of infinite height are left out."""

    title: str
    unit: str
    lines: Mapping[str, Points]
    highest: float = math.inf
    """Where the axis ends at the latest."""

    def svg(self) -> str:
        """Return the chart as an SVG document."""
        return "\n".join(self._drawn()) + "\n"

    def _drawn(self) -> Iterator[str]:
        heights = [y for points in self.lines.values() for _, y in points if math.isfinite(y)]
        top = _ceiling(min(max(heights, default=1.0), self.highest))
        right = max(x for points in self.lines.values() for x, _ in points)
        yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">'
        yield f"<style>{_STYLE}</style>"
        yield f'<rect class="ground" width="{_WIDTH}" height="{_HEIGHT}"/>'
        yield _text(_LEFT, 28, self.title, "start", "title")
        yield from self._grid(top, right)
        for place, (name, points) in enumerate(self.lines.items()):
            yield from _line(place, name, [(x / right, y / top) for x, y in points if y <= top])
        yield "</svg>"

    def _grid(self, top: float, right: float) -> Iterator[str]:
        for step in range(5):
            x, y = _across(step / 4), _up(step / 4)
            yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield _text(_LEFT - 8, y + 4, f"{top * step / 4:,.4g}", "end")
            yield _text(x, _HEIGHT - _BOTTOM + 20, f"{right * step / 4:.0%}", "middle")
        yield _text(_WIDTH - _RIGHT, _HEIGHT - 8, "offered load", "end")
        yield _text(_LEFT, _TOP - 6, self.unit, "start")


def _line(place: int, name: str, points: Points) -> Iterator[str]:
    colour = _COLOURS[place % len(_COLOURS)]
    path = " ".join(f"{_across(x):.1f},{_up(y):.1f}" for x, y in points)
    kind = "curve ours" if place == 0 else "curve"
    yield f'<polyline class="{kind}" stroke="{colour}" points="{path}"/>'
    y = _TOP + 18 * place + 10
    x = _WIDTH - _RIGHT + 20
    yield f'<line class="{kind}" stroke="{colour}" x1="{x}" x2="{x + 22}" y1="{y - 4}" y2="{y - 4}"/>'
    yield _text(x + 30, y, name, "start")


def _across(share: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * share


def _up(share: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share


def _text(x: float, y: float, text: str, anchor: str, kind: str = "label") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _ceiling(value: float) -> float:
    unit = 10.0 ** math.floor(math.log10(max(value, 1e-9)))
    return next(step * unit for step in (1, 2, 4, 5, 8, 10) if step * unit >= value)
