"""Measures Penstock beside the servers that PyPI offers: `python benchmarks/run_peers.py [--write]`.

Every server serves the same ONNX file from one core, the generator has another. Each peer lives in an environment of its own,
which the first run installs (2.2 GB). A run takes about half an hour. With `--write`, the tables also become docs/benchmarks/peers.md.
"""

import argparse
import contextlib
import datetime as dt
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from harness import CONNECTIONS, ROOT, cores, environment
from http_load import WITHOUT_WRK, WRK
from peers.catalogue import PEERS, V2_WIRES
from peers.environments import install, version_of
from peers.models import MODELS, Model
from peers.report import OURS, failures, ratios, tables
from peers.rounds import Contender, Results, measure
from peers.serving import Served, serving_ours, serving_peer

PAGE: Final = ROOT / "docs" / "benchmarks" / "peers.md"
_PAGE: Final = """# Penstock beside other servers

Written on {day} by `{command}`. Every server serves the same
ONNX file on one core, with one thread inside ONNX Runtime and all its processes on that core. The generator (wrk, for gRPC h2load) has
another core and {connections} connections, with one request at a time on each. The figures are medians of {rounds} rounds of {seconds:g} s
or more. In each round the servers take turns: each is started anew, checked against the bare model and warmed up. CPU is the user and
system time, and memory the resident memory, of all processes of a server (pages that they share count in each). No request failed unless
the last section says so. Other machines give other figures: compare the ratios.

{environment}

{tables}

## What was asked for

On the perceptron of 64 floats over HTTP JSON, Penstock answers

{ratios}

## Settings

- Penstock: `defaults.threads=1`, and every other setting at its default (metrics and limits on, access log `errors`).
{settings}

JSON is the Open Inference Protocol's for Penstock, MLServer and KServe's server, and for the others a list of numbers per input. Over
HTTP binary the tensor's bytes are the body: for Penstock and KServe's server behind the protocol's JSON head, for LitServe as a file in a
form. gRPC is the Open Inference Protocol's with raw contents.

## What failed

{failures}
"""


def main() -> None:
    """Install, measure and print."""
    arguments = _arguments()
    machine, (server_core, generator_core) = environment(), cores()
    print(f"{machine}\nserver on core {server_core}, generator on core {generator_core}", flush=True)
    if server_core == generator_core:
        print("there is only one core: the two share it, which makes every figure worse")
    if not WRK:
        print(WITHOUT_WRK)
    contenders = [Contender(OURS, list(V2_WIRES), serving_ours), *map(_contender, arguments.peers)]
    with tempfile.TemporaryDirectory(prefix="penstock-models-") as name:
        models = {MODELS[model].write(Path(name, model)): MODELS[model] for model in arguments.models}
        results = measure(contenders, models, arguments.rounds, arguments.seconds)
    print(f"\n{tables(results, arguments.models)}\n\n{ratios(results)}\n{failures(results)}")
    if arguments.write:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(_page(arguments, machine, results))
        print(f"\nwritten to {PAGE.relative_to(ROOT)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peers", type=_names_of(PEERS), default=list(PEERS), help=f"some of {','.join(PEERS)}")
    parser.add_argument("--models", type=_names_of(MODELS), default=list(MODELS), help=f"some of {','.join(MODELS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a round asks at least")
    parser.add_argument("--write", action="store_true", help=f"also write {PAGE.relative_to(ROOT)}")
    return parser.parse_args()


def _names_of(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        if unknown := set(text.split(",")) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: not one of {', '.join(known)}")
        return [name for name in known if name in text.split(",")]

    return names


def _contender(name: str) -> Contender:
    """Return a peer, installed; one that cannot be installed fails when it is its turn, and stops nobody else."""
    peer = PEERS[name]
    try:
        serve = partial(serving_peer, peer, install(peer.package))
    except subprocess.CalledProcessError as error:
        serve = partial(_not_installed, f"it could not be installed: pip ended with {error.returncode}")
    return Contender(peer.title, list(peer.wires), serve)


@contextlib.contextmanager
def _not_installed(why: str, _model: Model, _file: Path) -> Iterator[Served]:
    raise RuntimeError(why)
    yield


def _page(arguments: argparse.Namespace, machine: str, results: Results) -> str:
    return _PAGE.format(
        day=dt.datetime.now(dt.UTC).date(),
        command=" ".join(["python", "benchmarks/run_peers.py", *sys.argv[1:]]),
        connections=CONNECTIONS,
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        environment=machine,
        tables=tables(results, arguments.models),
        ratios=ratios(results) or "(not measured)",
        settings="\n".join(map(_settings, arguments.peers)),
        failures=failures(results) or "Nothing.",
    )


def _settings(name: str) -> str:
    peer = PEERS[name]
    return f"- {peer.title} {version_of(peer.package)}: {peer.settings}."


if __name__ == "__main__":
    main()
