"""When it pays to wait for company, and when to divide a queue between lanes. Pure arithmetic in nanoseconds and rows."""

import math
from typing import Final

from penstock.batching.speed import Speed

_MARGIN: Final = 1.1
_MOST_LOAD: Final = 0.98


def worth_waiting(rows: int, gap_ns: float, latency: Speed, elsewhere: int) -> bool:
    """Tell whether one more arrival is worth the wait for it.

    The wait costs each row a gap and the newcomer's own time. It saves the newcomer the rest of the run that it would otherwise sit
    through, E[(S - X)+] = S - g (1 - exp(-S/g)) for a run S and exponential gaps X of mean g, and it saves the rows that wait for the
    device `elsewhere` the fixed cost of one run.
    """
    run_ns, line = latency.expect(rows), latency.line
    saved = run_ns - gap_ns * (1 - math.exp(-run_ns / gap_ns)) + line.alpha_ns * elsewhere
    return saved > _MARGIN * rows * (gap_ns + line.beta_ns)


def worth_splitting(rows: int, lanes: int, gap_ns: float, latency: Speed, full: int) -> bool:
    """Tell whether rows end earlier when divided over idle lanes with cores of their own.

    It costs a fixed cost per further lane, at the price of lane time in rows: those that arrive during it, lambda alpha / (1 - rho).
    """
    part = math.ceil(rows / lanes)
    alpha_ns = latency.line.alpha_ns
    load = min(_MOST_LOAD, latency.expect(full) / full / lanes / gap_ns)
    price = alpha_ns / gap_ns / (1 - load)
    return rows * (latency.expect(rows) - latency.expect(part)) > (lanes - 1) * alpha_ns * price
