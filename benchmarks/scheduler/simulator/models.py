"""Several models on one device: a policy each, taking turns, as TensorFlow's shared scheduler serves its queues."""

from collections.abc import Callable, Sequence
from typing import Final

from simulator.policy import DROP, Decision, Policy
from simulator.row import Row


class TakingTurns:
    """A policy per model, each of which believes that the lanes are its own; a lane is given to the next in turn that wants one."""

    def __init__(self, make: Callable[[], Policy], lanes: int) -> None:
        self._make: Final = make
        self._free = lanes
        self._policies: Final[dict[int, Policy]] = {}
        self._turn: Final[list[int]] = []

    def arrive(self, row: Row, now_ns: int) -> bool:
        """Give the row to its model's policy."""
        if row.model not in self._policies:
            self._policies[row.model] = self._make()
            self._turn.append(row.model)
        return self._policies[row.model].arrive(row, now_ns)

    def cancel(self, row: Row, now_ns: int) -> None:
        """Tell the model's policy."""
        self._policies[row.model].cancel(row, now_ns)

    def done(self, lane: int, batch: list[Row], now_ns: int, failed: bool) -> Sequence[Row]:  # noqa: FBT001
        """Tell the model's policy that its lane is free."""
        self._free += 1
        return self._policies[batch[0].model].done(lane, batch, now_ns, failed)

    def tick(self, now_ns: int) -> list[Decision]:
        """Ask the models in turn; the one that runs a batch goes to the end of the line."""
        decisions: list[Decision] = []
        for model in list(self._turn):
            if not self._free:
                break
            decided = self._policies[model].tick(now_ns)
            decisions += decided
            ran = sum(lane != DROP for lane, _ in decided)
            if ran:
                self._free -= ran
                self._turn.remove(model)
                self._turn.append(model)
        return decisions

    def next_wakeup(self, now_ns: int) -> int | None:
        """Wake when the first of them wants it, while a lane is free."""
        if not self._free:
            return None
        wakes = [wake for policy in self._policies.values() if (wake := policy.next_wakeup(now_ns)) is not None]
        return min(wakes, default=None)
