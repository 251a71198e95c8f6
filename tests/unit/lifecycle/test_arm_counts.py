"""What an arm has done since the last look."""

from penstock.domain.request import InferenceRequest
from penstock.domain.ticket import Ticket
from penstock.lifecycle.arm_counts import ArmCounts
from penstock.telemetry.statistics import SPREAD_EDGES_NS, VersionStatistics


def end(statistics: VersionStatistics, arm: str, status: str, time_ns: int = 1_000_000) -> None:
    """Let a prediction end."""
    ticket = Ticket(InferenceRequest("http", "m", "", []), None, lambda _: None, lambda: 0)  # type: ignore[arg-type]
    ticket.arm, ticket.timeline.total_ns = arm, time_ns
    if status == "OK":
        statistics.answered([ticket])
    else:
        statistics.failed(ticket, status)


def test_span_has_what_ended_since_the_last_look_in_that_arm() -> None:
    """Sorted by the gates that look at it."""
    statistics, counts = VersionStatistics(), ArmCounts("b")
    end(statistics, "b", "MODEL_FAILED")
    counts.begin(statistics)
    for status in ("OK", "OK", "MODEL_FAILED", "OVERLOADED", "DEADLINE_EXCEEDED", "INVALID_ARGUMENT", "CANCELLED"):
        end(statistics, "b", status)
    end(statistics, "pinned", "INTERNAL")

    span = counts.span(statistics)

    assert span.ends == sum(span.times) == 7
    assert {gate: count for gate, count in span.bad.items() if count} == {"errors": 1, "refusals": 2, "rejections": 1}
    assert counts.span(statistics).ends == 0


def test_times_fall_into_buckets_of_a_tenth() -> None:
    """Fine enough for the tails."""
    statistics, counts = VersionStatistics(), ArmCounts("stable")
    counts.begin(statistics)
    end(statistics, "stable", "OK", 20_000_000)

    (place,) = [place for place, count in enumerate(counts.span(statistics).times) if count]

    assert SPREAD_EDGES_NS[place - 1] < 20_000_000 <= SPREAD_EDGES_NS[place] < 22_000_000


def test_files_that_were_loaded_anew_count_from_zero() -> None:
    """A reload brings new statistics under the same number."""
    before, after, counts = VersionStatistics(), VersionStatistics(), ArmCounts("stable")
    end(before, "stable", "OK")
    counts.begin(before)
    end(after, "stable", "OK")
    end(after, "stable", "OK")

    assert counts.span(after).ends == 2
