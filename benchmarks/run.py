"""Runs every benchmark and prints a table: `python benchmarks/run.py [--write]`, about three minutes.

The server has a core of its own, and the generator another. With `--write`, the table also becomes
docs/benchmarks/data-plane.md.
"""

import argparse
import datetime as dt
from typing import Final

import access_log
import bare_run
import connections
import grpc_infer
import http_image
import http_infer
import idle
import json_tensor
import long_run
import one_client
from harness import CONNECTIONS, ROOT, ROUND_S, ROUNDS, Row, cores, environment, pinned, serving_mlp
from http_load import WITHOUT_WRK, WRK

PAGE: Final = ROOT / "docs" / "benchmarks" / "data-plane.md"
_PAGE: Final = """# What a request costs

Written on {day} by `.venv/bin/python benchmarks/run.py --write`; `make bench` prints the same. A 64-128-10 perceptron and an
input of 64 floats, {connections} connections, the server pinned to one core and the generator ({generator}) to another;
medians of {rounds} rounds of {seconds:.0f} s. CPU is user and system time of the whole server process. Other machines give
other figures: compare the ratios. Where the load average was high, other programs took part of both cores.

{environment}

{table}
"""


def measure() -> list[Row]:
    """Return the rows of all benchmarks."""
    rows = idle.measure()
    server_core, generator_core = cores()
    with serving_mlp(server_core) as server:
        bare = bare_run.bare_run(server.model)
        rows += bare_run.measure(bare)
        with pinned(generator_core):
            costs, seen = http_infer.measure(server, bare)
            rows += seen
            rows += one_client.measure(server, bare)
            rows += grpc_infer.measure(server, bare)
    with pinned(generator_core):
        rows += connections.measure()
        rows += access_log.measure()
        rows += http_image.measure()
        rows += long_run.measure(costs["binary"].cpu_us - bare.cpu_us)
    return rows + json_tensor.measure()


def table(rows: list[Row]) -> str:
    """Return the rows in Markdown, with columns that line up in a terminal too."""
    lines = [("What", "Measured / budget", "", "Beside it"), *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    ruled = [lines[0], tuple("-" * max(3, width) for width in widths), *lines[1:]]
    return "\n".join(
        "| " + " | ".join(cell.ljust(max(3, width)) for cell, width in zip(line, widths, strict=True)) + " |" for line in ruled
    )


def _cells(row: Row) -> tuple[str, ...]:
    budget = "" if row.budget is None else f" / {'>=' if row.at_least else '<='} {_number(row.budget)}"
    kept = "" if row.budget is None else ("ok" if row.within else "OVER")
    return row.what, f"{_number(row.measured)}{budget} {row.unit}", kept, row.beside


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help=f"also write {PAGE.relative_to(ROOT)}")
    arguments = parser.parse_args()
    machine, (server_core, generator_core) = environment(), cores()
    print(machine)
    print(f"server on core {server_core}, generator on core {generator_core}", flush=True)
    if server_core == generator_core:
        print("there is only one core: the two share it, which makes every figure worse")
    if not WRK:
        print(WITHOUT_WRK)
    text = table(measure())
    print(f"\n{text}")
    if arguments.write:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        day = dt.datetime.now(dt.UTC).date()
        generator = "wrk, for gRPC grpc.aio" if WRK else "Python"
        PAGE.write_text(
            _PAGE.format(
                day=day, connections=CONNECTIONS, generator=generator, rounds=ROUNDS, seconds=ROUND_S, environment=machine, table=text
            )
        )
        print(f"\nwritten to {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
