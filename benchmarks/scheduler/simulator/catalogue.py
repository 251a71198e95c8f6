"""Every policy by name, with how it is made."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from simulator.baselines import bentoml, clipper, deadlines, fixed, oracle, tensorflow, triton
from simulator.policy import Policy, Setup
from simulator.shipped import Shipped

Make = Callable[[Setup, np.random.Generator], Policy]

OURS: Final = "Penstock"
ALONE: Final = "no batching"
TUNED: Final = "size + timeout, tuned"
BOUND: Final = "bound"
SMDP: Final = "SMDP optimum"


def _tuned(_setup: Setup, _random: np.random.Generator) -> Policy:
    raise NotImplementedError("its size and timeout are chosen for each workload: see tuning.py")


POLICIES: Final[Mapping[str, Make]] = {
    OURS: lambda setup, _: Shipped(setup),
    ALONE: lambda setup, _: fixed.Alone(setup),
    TUNED: _tuned,
    "Triton, greedy": lambda setup, _: triton.Greedy(setup),
    "Triton, delay": lambda setup, _: triton.Delayed(setup),
    "TF shared": lambda setup, _: tensorflow.Shared(setup),
    "TF adaptive": tensorflow.Adaptive,
    "Clipper, AIMD": lambda setup, _: clipper.Aimd(setup),
    "Clipper, deadline": lambda setup, _: clipper.DeadlineTimesThroughput(setup),
    "BentoML": lambda setup, _: bentoml.Cork(setup),
    "Nexus": lambda setup, _: deadlines.Nexus(setup),
    "Flex": lambda setup, _: deadlines.Flex(setup),
    "Symphony, deferred": lambda setup, _: deadlines.Symphony(setup),
    "Symphony, gate": lambda setup, _: deadlines.BetaLambda(setup),
    SMDP: lambda setup, _: oracle.ControlLimit(setup),
}
