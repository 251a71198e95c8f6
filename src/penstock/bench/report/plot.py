"""The curve of latency over percentile as SVG, drawn by hand: it reads well in light and dark and needs no library."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from penstock.bench.latency import Latencies
from penstock.bench.report.text import load_in_words, milliseconds
from penstock.bench.result import Result

_WIDTH: Final = 800
_HEIGHT: Final = 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 30, 60, 50
_NINES: Final = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)
_STYLE: Final = """
  :root { color-scheme: light dark; --ink: #1f2933; --faint: #d5dbe1; --line: #0b6e99; --ground: #ffffff; }
  @media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --faint: #3e4c59; --line: #5bc0eb; --ground: #14181d; } }
  text { font: 12px system-ui, sans-serif; fill: var(--ink); }
  .title { font-size: 15px; font-weight: 600; }
  .grid { stroke: var(--faint); stroke-width: 1; }
  .curve { stroke: var(--line); stroke-width: 2; fill: none; stroke-linejoin: round; }
  .area { fill: var(--line); opacity: 0.12; }
  .ground { fill: var(--ground); }
"""

Scale = Callable[[float], float]


def svg(result: Result) -> str:
    """Return the plot as an SVG document. Percentiles stretch towards 100 %: each further nine takes the same width."""
    latencies = Latencies(result.total.latencies_us)
    points = [(percent, latency_ms) for percent, latency_ms in latencies.curve() if percent < 100] or [(0.0, 0.0)]  # noqa: PLR2004 - percent
    top = _ceiling(max(latency_ms for _, latency_ms in points))
    return "\n".join(_drawing(result, points, top)) + "\n"


def html(result: Result) -> str:
    """Return a page that holds the plot."""
    title = escape(f"penstock bench: {result.plan.target.model}")
    head = f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>\n'
    return f"{head}<style>body {{ margin: 2rem; color-scheme: light dark }}</style>\n{svg(result)}</html>\n"


def _drawing(result: Result, points: Sequence[tuple[float, float]], top: float) -> Iterator[str]:
    last = max(percent for percent, _ in points)
    shown = [percent for percent in _NINES if percent <= last] or [0.0]
    x, y = _across(max(last, _NINES[1])), _up(top)
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">'
    yield f"<style>{_STYLE}</style>"
    yield f'<rect class="ground" width="{_WIDTH}" height="{_HEIGHT}"/>'
    yield _text(_LEFT, 24, f"Latency of {result.plan.target.model} by percentile", "start", "title")
    yield _text(_LEFT, 44, f"{load_in_words(result.plan.load)}; {result.figures.rps:,.0f} answers/s", "start")
    yield from _grid(shown, top, x, y)
    path = " ".join(f"{x(percent):.1f},{y(latency_ms):.1f}" for percent, latency_ms in points)
    yield f'<polygon class="area" points="{_LEFT},{y(0):.1f} {path} {x(last):.1f},{y(0):.1f}"/>'
    yield f'<polyline class="curve" points="{path}"/>'
    yield "</svg>"


def _grid(percents: Sequence[float], top: float, x: Scale, y: Scale) -> Iterator[str]:
    for percent in percents:
        yield f'<line class="grid" x1="{x(percent):.1f}" x2="{x(percent):.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
        yield _text(x(percent), _HEIGHT - _BOTTOM + 20, f"{percent:g} %", "middle")
    for step in range(5):
        latency_ms = top * step / 4
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(latency_ms):.1f}" y2="{y(latency_ms):.1f}"/>'
        yield _text(_LEFT - 8, y(latency_ms) + 4, milliseconds(latency_ms), "end")


def _text(x: float, y: float, text: str, anchor: str, kind: str = "label") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _across(last: float) -> Scale:
    """Return the scale of percentiles, by how many nines they have."""
    widest = _nines(last)
    return lambda percent: _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(1.0, _nines(percent) / widest)


def _up(top: float) -> Scale:
    return lambda latency_ms: _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * latency_ms / top


def _nines(percent: float) -> float:
    return -math.log10(1 - percent / 100)


def _ceiling(value: float) -> float:
    """Return the next round number above."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 2, 4, 5, 8, 10) if step * unit >= value)
