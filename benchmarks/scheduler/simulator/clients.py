"""Closed-loop clients: each asks again as soon as it has an answer, without thinking."""

from typing import Final

from simulator.row import MS, Row
from simulator.simulation import Simulation

_AFTER_REFUSAL_NS: Final = 10 * MS


class Clients:
    """So many clients of one simulation, until the horizon; one that is refused comes back after 10 ms."""

    def __init__(self, simulation: Simulation, clients: int, slo_ns: int, horizon_ns: int) -> None:
        self._simulation: Final = simulation
        self._slo_ns: Final = slo_ns
        self._horizon_ns: Final = horizon_ns
        simulation.finished = self.heard
        for _ in range(clients):
            simulation.at(0, self.ask)

    def ask(self) -> None:
        """Let a new row arrive now."""
        simulation = self._simulation
        now = simulation.now_ns
        row = Row(len(simulation.rows), now, now + self._slo_ns, now + self._slo_ns)
        simulation.rows.append(row)
        simulation.arrive(row)

    def heard(self, row: Row, now_ns: int) -> None:
        """Ask again."""
        if now_ns < self._horizon_ns:
            self._simulation.at(now_ns if row.finish_ns else now_ns + _AFTER_REFUSAL_NS, self.ask)
