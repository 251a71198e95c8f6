"""Triton's dynamic batcher (triton-inference-server/core, src/dynamic_batch_scheduler.cc, read in the design's section 1.1).

Greedy is its default, a delay of 0: a free instance takes what there is. With a delay and preferred sizes it runs the largest
preferred size that is reachable, and else waits until the oldest row has waited for the delay, at any load. Its queue's timeout
action is REJECT at the deadline, which favours it: by default it has no timeout.
"""

from typing import Final

from simulator.policy import Queue, Setup


class Greedy(Queue):
    """Takes what there is up to the largest batch, at once."""


class Delayed(Queue):
    """Waits for a preferred size until the oldest row has waited for the delay: a tenth of the objective here."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.delay_ns: Final = setup.slo_ns // 10
        self.preferred: Final = sorted({max(1, self.max_rows // 2), self.max_rows}, reverse=True)

    def ready(self, now_ns: int) -> int:
        """Return the largest preferred size that is there, or everything after the delay."""
        for size in self.preferred:
            if self.waiting >= size:
                return size
        head = self.head()
        return self.max_rows if head is not None and now_ns >= head.arrival_ns + self.delay_ns else 0

    def next_wakeup(self, now_ns: int) -> int | None:  # noqa: ARG002 - due at a fixed instant
        """Wake when the oldest row has waited for the delay."""
        head = self.head() if self.free else None
        return None if head is None else head.arrival_ns + self.delay_ns
