"""Who else joins a run of padded rows: neighbouring buckets, where one run ends sooner than two."""

from collections.abc import Callable

from penstock.batching.buckets import worth_joining
from penstock.batching.job import Job
from penstock.batching.latency import LatencyModel
from penstock.batching.queues import Queues


def joined(jobs: list[Job], queues: Queues, latency: LatencyModel, cap: Callable[[int], int]) -> list[Job]:
    """Return the jobs of one bucket with those taken from others, the nearest bucket first. `cap` returns a full batch's rows by length.

    A job without rows neither joins nor is joined.
    """
    rows, length = sum([job.rows for job in jobs]), jobs[0].key.length
    for other, line, head in queues.neighbours(jobs[0].key) if rows else ():
        longest = max(length, other)
        more = min(line.rows, cap(longest) - rows)
        if 0 < head.rows <= more and worth_joining(rows, length, more, other, latency):
            guests = queues.take(line, more, together=True)
            jobs = [*jobs, *guests]
            rows, length = rows + sum([job.rows for job in guests]), longest
    return jobs
