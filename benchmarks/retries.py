"""Clients that try again at once on every refusal: `python benchmarks/retries.py [--seconds 5]`, a minute.

A model whose runs take milliseconds is asked at four times what it answers before its queue grows; the clients of every other round
send each refused request again at once, up to ten times. Goodput, answers per second, is to be within 5 % of that without retries: a
refusal may cost no more than a small part of an answer.
"""

import argparse
import asyncio
import statistics
from collections import Counter
from typing import Final

from faults import capacity, question, serve
from harness import environment
from open_loop import Asked, OpenLoop, poisson

ROUNDS: Final = 3
_TRIES: Final = 10
_LOAD: Final = 4
_REFUSED: Final = 429


class Impatient(OpenLoop):
    """Sends a refused request again at once."""

    def __init__(self, address: str, tries: int) -> None:
        super().__init__(address, question)
        self._tries = tries
        self.sent = 0

    async def _exchange(self, asked: Asked) -> tuple[int, bytes]:
        for _ in range(self._tries):
            self.sent += 1
            status, body = await super()._exchange(asked)
            if status != _REFUSED:
                break
            await asyncio.sleep(0)
        return status, body


def goodput(address: str, rate: float, seconds: float, tries: int) -> float:
    """Return the answers per second."""
    loop = Impatient(address, tries)
    answers = loop.run(poisson(rate, seconds, 5))
    told = Counter(answer.status for answer in answers)
    took_s = max(answer.due_s + answer.took_s for answer in answers)
    print(f"{tries:2} tries: {told[200] / took_s:,.0f}/s answered, {loop.sent / took_s:,.0f}/s sent, statuses {dict(told)}", flush=True)
    return told[200] / took_s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    print(environment())
    with serve() as server:
        best = capacity(server)
        print(f"capacity {best:,.0f}/s")
        found = [
            goodput(server.http, _LOAD * best, arguments.seconds, _TRIES) / goodput(server.http, _LOAD * best, arguments.seconds, 1)
            for _ in range(ROUNDS)
        ]
    print(f"goodput with retries: median {statistics.median(found):.2f}x of that without (at least 0.95)")


if __name__ == "__main__":
    main()
