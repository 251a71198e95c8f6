"""What waits, in numbers."""

from penstock.batching.job import Job


class Backlog:
    """Jobs, rows and bytes that have been taken in and do not run yet."""

    __slots__ = ("cost", "cost_of", "jobs", "rows", "size_bytes")

    def __init__(self) -> None:
        self.jobs = 0
        self.rows = 0
        self.size_bytes = 0
        self.cost = 0
        """Elements of all rows; the rows where nothing is padded."""
        self.cost_of = [0, 0, 0]
        """The same by priority."""

    def add(self, job: Job) -> None:
        """Count a job that begins to wait."""
        self.jobs += 1
        self.rows += job.rows
        self.size_bytes += job.size_bytes
        self.cost += job.cost
        self.cost_of[job.priority] += job.cost

    def remove(self, job: Job) -> None:
        """Count a job that waits no more."""
        self.jobs -= 1
        self.rows -= job.rows
        self.size_bytes -= job.size_bytes
        self.cost -= job.cost
        self.cost_of[job.priority] -= job.cost

    def ahead(self, priority: int) -> int:
        """Return the cost of what is served before a newcomer of that priority, about."""
        return self.cost if priority else self.cost_of[0]
