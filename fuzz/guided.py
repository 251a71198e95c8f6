"""Cases that follow the coverage of our code: atheris, whose mutations alternate with our own, which keep the form."""

import sys
from random import Random

import atheris
import target
from judge import BUILD, Judge


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
    options = [f"-runs={cases}", f"-max_total_time={min(int(seconds), 10**7)}", f"-seed={seed + 1}", "-timeout=10", "-rss_limit_mb=4096"]
    options += ["-max_len=20000", "-print_final_stats=1", "-verbosity=1", f"-artifact_prefix={BUILD / 'findings'}/{name}-"]
    atheris.Setup([sys.argv[0], *options, str(found), str(target.CORPUS / name)], case, custom_mutator=mutate)
    judge.watchdog.start()
    atheris.Fuzz()
    return 0
