"""Whose turn it is among the parties that wait in one queue: who has had least for its weight.

Start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queueing", 1996): while two parties wait, what they get differs by no
more than a request of each over their weights, however much one of them asks for; what nobody else wants costs nobody anything.
"""

import heapq
from typing import Final

from penstock.batching.job import Job, Party
from penstock.batching.line import Line


class Turns:
    """What each party has had of one queue lately, per weight."""

    __slots__ = ("_had", "_now")

    def __init__(self) -> None:
        self._had: dict[Party | None, float] = {}
        self._now = 0.0

    @property
    def had_any(self) -> bool:
        """Whether there is anything to forget."""
        return bool(self._had)

    def joined(self, party: Party, credit: float = 0.0) -> None:
        """Let a party begin to wait: it is owed nothing for the time in which it did not, beyond the credit."""
        least = self._now - credit / party.weight
        self._had[party] = max(self._had.get(party, least), least)

    def had(self, party: Party | None) -> float:
        """Return what a party has had; the least comes next."""
        return self._had.get(party, self._now)

    def served(self, job: Job) -> None:
        """Charge a party for a job of its."""
        had = self.had(job.party)
        self._now = max(self._now, had)  # a party with credit is behind
        self._had[job.party] = had + _charge(job)

    def returned(self, job: Job) -> None:
        """Take back a charge: the job was not started after all."""
        self._had[job.party] = self.had(job.party) - _charge(job)

    def rest(self) -> None:
        """Forget everything: nobody waits."""
        self._had.clear()
        self._now = 0.0


def _charge(job: Job) -> float:
    return max(1, job.cost) / (1.0 if job.party is None else job.party.weight)


class FairLine(Line):
    """A line for each party, as one: its head is the first job of the party whose turn it is."""

    __slots__ = ("_heads", "_lines", "_turns")

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns: Final = turns
        self._lines: dict[Party | None, Line] = {}
        self._heads: list[tuple[float, int, Party | None]] = []
        """One entry for each line: what its party had when it was entered, and the number of the job that it was entered for."""

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def push(self, job: Job) -> None:
        """Take a job in."""
        line = self._lines.get(job.party)
        if line is None:
            line = self._lines[job.party] = Line()
            heapq.heappush(self._heads, (self._turns.had(job.party), job.number, job.party))
        line.push(job)

    def head(self) -> Job | None:
        """Return the first job of the party whose turn it is."""
        heads = self._heads
        while heads:
            entered, number, party = heads[0]
            job, had = self._lines[party].head(), self._turns.had(party)
            if job is None:
                heapq.heappop(heads)
                del self._lines[party]
            elif had > entered:  # it was served meanwhile, here or from another line
                heapq.heapreplace(heads, (had, number, party))
            else:
                return job
        return None

    @property
    def turn(self) -> float:
        """What the party of the head has had."""
        return self._heads[0][0] if self._heads else 0.0

    def pop(self) -> Job:
        """Remove and return what `head` has returned."""
        job = self._lines[self._heads[0][2]].pop()
        self._turns.served(job)
        return job

    def clear(self) -> None:
        """Drop everything."""
        self._lines.clear()
        self._heads.clear()

    def sweep(self) -> None:
        """Drop what no longer waits."""
        for line in self._lines.values():
            line.sweep()
