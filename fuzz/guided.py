"""Cases that follow the coverage of our code: atheris, whose mutations alternate with our own, which keep the form."""

import sys
from random import Random
from typing import Final

import atheris
import target
from judge import BUILD, Judge

_WAITS_S: Final = 120
"""A case that waits for something; the watchdog ends one that computes much earlier, and does not mind a busy machine."""


def run(name: str, cases: int, seconds: float, seed: int) -> int:
    """Run until a promise is broken, or the cases or seconds are over; does not return, as libFuzzer ends the process."""
    with atheris.instrument_imports(include=["penstock"]):
        chosen = target.load(name)
    judge = Judge(chosen)

    def case(data: bytes) -> None:
        judge(data)

    def mutate(data: bytes, most: int, number: int) -> bytes:
        rng = Random(number)
        changed = chosen.mutate(data, rng) if rng.random() < 0.5 else atheris.Mutate(data, most)
        return bytes(changed[:most])

    found = BUILD / "corpus" / name
    found.mkdir(parents=True, exist_ok=True)
    options = [
        f"-runs={cases}",
        f"-max_total_time={min(int(seconds), 10**7)}",
        f"-seed={seed + 1}",
        f"-timeout={_WAITS_S}",
        "-rss_limit_mb=4096",
    ]
    options += ["-max_len=20000", "-print_final_stats=1", "-verbosity=1", f"-artifact_prefix={BUILD / 'findings'}/{name}-"]
    atheris.Setup([sys.argv[0], *options, str(found), str(target.CORPUS / name)], case, custom_mutator=mutate)
    judge.watchdog.start()
    atheris.Fuzz()
    return 0
