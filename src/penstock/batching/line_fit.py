"""A robust straight line through measured run times, and a curve that never falls: the arithmetic of the latency model."""

from collections.abc import Sequence
from typing import Final, NamedTuple

_ROUNDS: Final = 3
_MAD_TO_SIGMA: Final = 1.4826


class Point(NamedTuple):
    """What runs of about so many rows took."""

    rows: float
    ns: float
    weight: float


class Line(NamedTuple):
    """The run time `alpha + beta * rows`, in nanoseconds."""

    alpha_ns: float
    beta_ns: float


def fit_line(points: Sequence[Point]) -> Line:
    """Return the line through the points by weighted least squares with Huber's loss, alpha >= 0 and beta >= 1 ns.

    The loss is reweighted a few times, its scale the median absolute residual (Huber, "Robust Estimation of a Location Parameter",
    1964). Points of one size alone cannot tell alpha from beta: half is given to each.
    """
    line = _least_squares(points)
    for _ in range(_ROUNDS):
        residuals = [abs(point.ns - line.alpha_ns - line.beta_ns * point.rows) for point in points]
        scale = _MAD_TO_SIGMA * sorted(residuals)[len(residuals) // 2] or 1.0
        line = _least_squares(
            [
                point._replace(weight=point.weight * min(1.0, scale / max(residual, 1.0)))
                for point, residual in zip(points, residuals, strict=True)
            ]
        )
    return line


def _least_squares(points: Sequence[Point]) -> Line:
    total = sum(point.weight for point in points)
    rows = sum(point.weight * point.rows for point in points) / total
    ns = sum(point.weight * point.ns for point in points) / total
    spread = sum(point.weight * (point.rows - rows) ** 2 for point in points)
    if not spread:
        return Line(ns / 2, max(1.0, ns / 2 / rows))
    beta = max(1.0, sum(point.weight * (point.rows - rows) * (point.ns - ns) for point in points) / spread)
    alpha = ns - beta * rows
    return Line(alpha, beta) if alpha >= 0 else Line(0.0, max(1.0, ns / rows))


def never_falling(points: Sequence[Point]) -> list[Point]:
    """Return the points, sorted by rows, with neighbours pooled until no run time falls (pool adjacent violators; Ayer et al., 1955)."""
    pools: list[tuple[float, float, list[Point]]] = []
    for point in sorted(points):
        ns, weight, members = point.ns, point.weight, [point]
        while pools and pools[-1][0] > ns:
            other_ns, other_weight, others = pools.pop()
            ns = (ns * weight + other_ns * other_weight) / (weight + other_weight)
            weight, members = weight + other_weight, others + members
        pools.append((ns, weight, members))
    return [member._replace(ns=ns) for ns, _, members in pools for member in members]
