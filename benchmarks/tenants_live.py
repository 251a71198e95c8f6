"""What a tenant notices of a greedy one on a live server: `python benchmarks/tenants_live.py [PAIRS]`, a minute and a half with five pairs.

A network of convolutions, whose rows take their time each: the kind of model that `tenants.py` simulates last. The light tenant asks for
30 % of the peak, one image at a time, at random instants; the greedy one for ten times as much. Rounds alone and beside it, in turn first;
the first second of each does not count, as the queue fills. Wanted: a p99 of at most 1.3 times that alone, and no refusal. The server has
one core and the generator another: on the same one, the light tenant would wait for what the greedy one's requests take to be sent.
"""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

from adaptive import SLO_MS, question, write_model
from bound import Bound, judge
from harness import ROOT, cores, environment, load_file, pinned
from open_loop import Answer, OpenLoop, poisson, quantile

from penstock.security.keys import Key, KeysFile, digest_of

_LIGHT, _TIMES, _MOST = 0.3, 10, 1.3
_ROUND_S, _BEGUN_S, _PAIRS = 6.0, 1.0, 5
_SECRETS: Final = {"light": "psk_light", "greedy": "psk_greedy"}
Server = Any  # tests/clients/server_process.py is loaded by its path


def asked_by(server: Server, rates: dict[str, float], seconds: float, seed: int) -> dict[str, list[Answer]]:
    """Return the answers to each tenant's Poisson arrivals at its rate."""
    image = question()
    asked = {who: image._replace(headers=image.headers | {"authorization": f"Bearer {secret}"}) for who, secret in _SECRETS.items()}
    due = sorted((at, who) for place, (who, rate) in enumerate(rates.items()) for at in poisson(rate, seconds, 2 * seed + place))
    answers = OpenLoop(server.http, lambda number: asked[due[number][1]]).run([at for at, _ in due])
    who_at = dict(due)
    return {who: [answer for answer in answers if who_at[answer.due_s] == who] for who in rates}


def peak(server: Server) -> float:
    """Return the answers per second of a tenant that asks for more than the server can do."""
    best, rate = 0.0, 10.0
    while True:
        (answers,) = asked_by(server, {"greedy": rate}, 2.0, 1).values()
        seen = sum(answer.status == 200 for answer in answers) / 2.0
        if seen < 0.7 * rate:
            return max(best, seen)
        best, rate = max(best, seen), rate * 1.6


def one_round(server: Server, rates: dict[str, float], seed: int) -> tuple[float, int, float]:
    """Return the light tenant's p99 in ms, how many of its requests were not answered, and the answers per second of both."""
    told = {
        who: [answer for answer in answers if answer.due_s >= _BEGUN_S] for who, answers in asked_by(server, rates, _ROUND_S, seed).items()
    }
    light = [1000 * answer.took_s for answer in told["light"] if answer.status == 200]
    served = sum(answer.status == 200 for answers in told.values() for answer in answers)
    return quantile(light, 0.99), len(told["light"]) - len(light), served / (_ROUND_S - _BEGUN_S)


def main() -> int:
    """Measure and print."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else _PAIRS
    processes = load_file("server_process", ROOT / "tests" / "clients" / "server_process.py")
    print(environment(), flush=True)
    core, other = cores()
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name, ExitStack() as stack:
        home = Path(name)
        write_model(home / "models")
        keys = [Key(name=who, sha256=digest_of(secret), scopes=["predict"]) for who, secret in _SECRETS.items()]
        (home / "keys.json").write_bytes(KeysFile(keys).written())
        (home / "keys.json").chmod(0o600)
        (home / "state").mkdir()  # where a server without keys would put its token; one with keys leaves it to us
        (home / "state" / "admin.token").write_text(_SECRETS["light"])
        settings = f"models.image.slo_ms={SLO_MS}", f"security.keys_file={home / 'keys.json'}"
        with pinned(core):
            server = stack.enter_context(processes.running(home / "models", home, *settings))
        stack.enter_context(pinned(other))
        best = peak(server)
        alone, beside = {"light": _LIGHT * best}, {"light": _LIGHT * best, "greedy": _TIMES * _LIGHT * best}
        seen: dict[int, list[tuple[float, int, float]]] = {0: [], 1: []}
        for seed in range(pairs):
            for which in (0, 1) if seed % 2 else (1, 0):
                seen[which].append(one_round(server, (alone, beside)[which], seed))
    ratios = [with_it[0] / without[0] for with_it, without in zip(seen[1], seen[0], strict=True)]
    told = f"p99 {median(p99 for p99, _, _ in seen[0]):.1f} ms alone, {median(p99 for p99, _, _ in seen[1]):.1f} ms beside it"
    told += f"; peak {best:,.0f}/s, both {median(served for _, _, served in seen[1]):,.0f}/s"
    refused = sum(lost for _, lost, _ in seen[1])
    return judge([Bound("beside a greedy tenant", ratios, _MOST, " times", beside=told), Bound("refused there", [refused], 0, " requests")])


if __name__ == "__main__":
    sys.exit(main())
