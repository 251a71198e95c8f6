"""The workloads of the design's section 4.3, by name."""

from dataclasses import dataclass
from typing import Final

from simulator import arrivals
from simulator.arrivals import Process
from simulator.curves import Curve
from simulator.streams import Streams
from simulator.trace import Mix, Trace, drawn

_PLAIN: Final = Mix()


@dataclass(frozen=True)
class Workload:
    """When requests arrive and what they are like."""

    name: str
    process: Process = arrivals.poisson
    mix: Mix = _PLAIN

    def trace(self, curve: Curve, load: float, horizon_s: float, seed: int) -> Trace:
        """Draw a trace at a share of the curve's capacity; seeds and names alone choose the random numbers, not the load."""
        return drawn(
            self.process,
            self.mix,
            Streams(self.name, seed),
            rate=load * curve.capacity,
            horizon_s=horizon_s,
            slo_ns=curve.slo_ns,
            max_rows=curve.max_rows,
        )


MAIN: Final = (
    Workload("Poisson"),
    Workload("Gamma, CV 2", arrivals.gamma(2)),
    Workload("Gamma, CV 4", arrivals.gamma(4)),
    Workload("MMPP-2", arrivals.mmpp),
    Workload("on-off, 100 ms", arrivals.on_off),
    Workload("heavy-tailed rows", mix=Mix(heavy=True)),
    Workload("deadlines 20/50/200 ms", mix=Mix(budgets_ms=(20, 50, 200))),
    Workload("Azure-like", arrivals.azure_like),
)

POISSON: Final = MAIN[0]

OTHERS: Final = (
    Workload("Gamma, CV 6", arrivals.gamma(6)),
    Workload("ramp to 200 %", arrivals.shaped(arrivals.ramp)),
    Workload("Twitter-like", arrivals.twitter_like),
    Workload("no deadlines", mix=Mix(patient=True)),
    Workload("5 % cancels", mix=Mix(cancelled=0.05)),
    Workload("classes 80/20", mix=Mix(sheddable=0.2)),
    Workload("lognormal lengths", mix=Mix(lengths=True)),
)

STEP: Final = Workload("step 50, 150, 50 %", arrivals.shaped(arrivals.step))
POISON: Final = (
    Workload("0.1 % poison", mix=Mix(poison=0.001, patient=True)),
    Workload("1 % poison", mix=Mix(poison=0.01, patient=True)),
)
"""With callers who wait, so that deadlines leave room for the reruns."""
