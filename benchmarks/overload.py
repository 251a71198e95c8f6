"""What a server does with more than it can: `python benchmarks/overload.py [SECONDS]`, two minutes with the 6 seconds of each load.

A network of convolutions takes 5 to 20 ms for an image. At 1.5, 2, 5 and 10 times the peak: goodput, which should hold; the p99 of
refusals and of the admitted; and how long after the overload, at half the peak, answers are as quick again as before it (F42 of the faults:
less than two seconds). The server has one core and the generator another: on the same one, what ten times the peak takes to be asked
for would be missing where it is answered.
"""

import statistics
import sys
from typing import Final, NamedTuple

from adaptive import SLO_MS, goodput, offered, question, write_model
from bound import Bound, judge
from harness import Server, cores, environment, pinned, serving
from open_loop import Answer, OpenLoop, poisson, quantile

_TIMES: Final = (1.5, 2.0, 5.0, 10.0)
_SECONDS, _CALM_S, _WINDOW_S = 6.0, 4.0, 0.25
_AS_BEFORE: Final = 1.25
_STARTS: Final = range(int((_CALM_S - 1) / _WINDOW_S) + 1)
_PEAKS: Final = 3


class Seen(NamedTuple):
    """What became of one overload."""

    goodput: float
    refused_p99_ms: float
    admitted_p99_ms: float
    recovered_s: float
    others: int
    """Answers that were neither given nor refused."""


def peak(server: Server, seconds: float) -> float:
    """Return the answers per second that come within the target, at a fifth more than what is about the best of rising rates.

    Measured for as long as each overload: answers that come after the last request count, and in two seconds they are a tenth more.
    """
    best, rate = 0.0, 5.0
    while rate < 20_000:
        seen = goodput(offered(server, rate, 2.0, int(rate)), 2.0)
        if seen < 0.8 * best:
            break
        best, rate = max(best, seen), rate * 1.6
    return statistics.median(goodput(offered(server, 1.2 * best, seconds, seed), seconds) for seed in range(_PEAKS))


def overloaded(server: Server, rate: float, calm: float, seconds: float, usual_s: float) -> Seen:
    """Ask for so much for so long, then at the calm rate; `usual_s` is the median of the slowest second at that rate before."""
    asked = question()
    arrivals = poisson(rate, seconds, 5) + [seconds + at for at in poisson(calm, _CALM_S, 6)]
    answers = OpenLoop(server.http, lambda _: asked).run(arrivals)
    during = [answer for answer in answers if answer.due_s < seconds]
    after = [answer for answer in answers if answer.due_s >= seconds]
    admitted = [1000 * answer.took_s for answer in during if answer.status == 200]
    refused = [1000 * answer.took_s for answer in during if answer.status == 429]
    return Seen(
        goodput(during, seconds),
        quantile(refused, 0.99),
        quantile(admitted, 0.99),
        recovered_s(after, seconds, usual_s),
        len(during) - len(admitted) - len(refused),
    )


def recovered_s(after: list[Answer], end_s: float, usual_s: float) -> float:
    """Return from when on, after the end of the overload, the answers of any second are as quick as usual; the whole calm if never.

    Of a second, not of a quarter: at half of the peak, too, chance brings quarters that are slower.
    """
    late = [start for start, took_s in enumerate(_medians_s(after, end_s)) if took_s > _AS_BEFORE * usual_s]
    if late and late[-1] == _STARTS[-1]:
        return _CALM_S
    return (late[-1] + 1) * _WINDOW_S if late else 0.0


def _medians_s(answers: list[Answer], begin_s: float) -> list[float]:
    """Return the median of each second of a calm, seconds that overlap; infinite where most were refused."""
    took = [(answer.due_s - begin_s, answer.came_s) for answer in answers]
    return [statistics.median([s for at, s in took if 0 <= at - start * _WINDOW_S < 1] or [float("inf")]) for start in _STARTS]


def main() -> int:
    """Measure and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else _SECONDS
    core, other = cores()
    print(f"target {SLO_MS} ms; server on core {core}, generator on {other}\n{environment()}", flush=True)
    bounds: list[Bound] = []
    with serving(core, write_model, f"models.image.slo_ms={SLO_MS}") as server, pinned(other):
        offered(server, 20, 2.0, 1)
        best = peak(server, seconds)
        usual_s = max(_medians_s(offered(server, best / 2, _CALM_S, 2), 0.0))
        print(f"peak goodput {best:,.0f}/s; median of the slowest second at half of it {1000 * usual_s:.1f} ms", flush=True)
        for times in _TIMES:
            seen = overloaded(server, times * best, best / 2, seconds, usual_s)
            bounds += [
                Bound(
                    f"{times:g} times: goodput",
                    [seen.goodput / best],
                    0.9,
                    " of the peak",
                    at_least=True,
                    beside=f"{seen.others} other ends",
                ),
                Bound(f"{times:g} times: p99 of refusals", [seen.refused_p99_ms], 20, " ms"),
                Bound(f"{times:g} times: p99 of the admitted", [seen.admitted_p99_ms], SLO_MS, " ms"),
                Bound(f"{times:g} times: as before after", [seen.recovered_s], 2, " s"),
            ]
    return judge(bounds)


if __name__ == "__main__":
    sys.exit(main())
