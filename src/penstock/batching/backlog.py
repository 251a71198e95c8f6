"""What waits, in numbers."""

from penstock.batching.job import Job, Party


class Part:
    """What of a backlog is one party's."""

    __slots__ = ("cost", "jobs", "rows", "size_bytes", "weight")

    def __init__(self, weight: float) -> None:
        self.weight = weight
        """The party's weight as it began to wait."""
        self.jobs = 0
        self.rows = 0
        self.size_bytes = 0
        self.cost = 0

    def count(self, job: Job, sign: int) -> None:
        """Add a job, or take it away."""
        self.jobs += sign
        self.rows += sign * job.rows
        self.size_bytes += sign * job.size_bytes
        self.cost += sign * job.cost


class Backlog:
    """Jobs, rows and bytes that have been taken in and do not run yet."""

    __slots__ = ("cost", "cost_of", "jobs", "parts", "rows", "size_bytes", "weight")

    def __init__(self) -> None:
        self.jobs = 0
        self.rows = 0
        self.size_bytes = 0
        self.cost = 0
        """Elements of all rows; the rows where nothing is padded."""
        self.cost_of = [0, 0, 0]
        """The same by priority."""
        self.parts: dict[Party, Part] = {}
        """What is whose, of those parties of whom anything waits."""
        self.weight = 0.0
        """The weights of these parties."""

    def add(self, job: Job) -> None:
        """Count a job that begins to wait."""
        self.jobs += 1
        self.rows += job.rows
        self.size_bytes += job.size_bytes
        self.cost += job.cost
        self.cost_of[job.priority] += job.cost
        if job.party is not None:
            self._add(job, job.party)

    def remove(self, job: Job) -> None:
        """Count a job that waits no more."""
        self.jobs -= 1
        self.rows -= job.rows
        self.size_bytes -= job.size_bytes
        self.cost -= job.cost
        self.cost_of[job.priority] -= job.cost
        if job.party is not None:
            self._remove(job, job.party)

    def ahead(self, priority: int) -> int:
        """Return the cost of what is served before a newcomer of that priority, about."""
        return self.cost if priority else self.cost_of[0]

    def part_of(self, party: Party) -> tuple[Part, float]:
        """Return what is a party's, and which part of the whole it is due: all of it, where nobody else waits."""
        part = self.parts.get(party)
        if part is None:
            return Part(party.weight), party.weight / (self.weight + party.weight)
        return part, 1.0 if len(self.parts) == 1 else part.weight / self.weight

    def _add(self, job: Job, party: Party) -> None:
        part = self.parts.get(party)
        if part is None:
            part = self.parts[party] = Part(party.weight)
            self.weight += part.weight
        part.count(job, 1)

    def _remove(self, job: Job, party: Party) -> None:
        part = self.parts[party]
        part.count(job, -1)
        if not part.jobs:
            del self.parts[party]
            self.weight = self.weight - part.weight if self.parts else 0.0
