"""`penstock bench`."""

import sys
from pathlib import Path
from typing import Final

import click

from penstock.cli.options import USAGE

_FORMS: Final = ".json, .xml (JUnit), .md, .hgrm, .svg or .html"
_MISSING: Final = "penstock bench needs packages that are not installed: pip install 'penstock[bench]'"


@click.command()
@click.argument("url")
@click.option("--model", required=True, metavar="NAME[@REF]", help="The model to ask, or a version or alias of it.")
@click.option(
    "--protocol",
    type=click.Choice(["http-json", "http-binary", "grpc", "grpc-stream"]),
    help="How tensors travel. [default: http-json for http://, grpc for grpc://]",
)
@click.option("--rate", metavar="N|A..B", help="Open loop: requests per second, or a ramp from A to B. [default: 100]")
@click.option(
    "--arrivals", type=click.Choice(["constant", "poisson"]), default="constant", show_default=True, help="How an open loop spaces them."
)
@click.option("--replay", type=click.Path(path_type=Path), metavar="FILE", help="Open loop: arrivals in seconds, one number a line.")
@click.option("--concurrency", type=click.IntRange(1), metavar="N", help="Closed loop: N requests under way at any time.")
@click.option(
    "--duration", metavar="TIME", help="How long is measured: 30s, 2m, 500ms. [default: 10s; 250ms a round beside a baseline's URL]"
)
@click.option("--warmup", metavar="TIME", help="How long the load runs before that. [default: a fifth of the duration, 1s at most]")
@click.option("--processes", type=click.IntRange(0), default=0, metavar="N", help="Processes that ask. [default: half the cores]")
@click.option(
    "--max-outstanding", type=click.IntRange(1), default=2000, show_default=True, help="Requests under way in an open loop, at most."
)
@click.option("--rows", type=click.IntRange(1), default=1, show_default=True, help="Rows of each request.")
@click.option("--shape", "shapes", multiple=True, metavar="NAME=D1,D2", help="The whole shape of an input whose schema leaves more free.")
@click.option(
    "--payload", type=click.Path(path_type=Path), metavar="FILE", help="Requests to send: JSON, JSON lines, or perf_analyzer's data."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random tensors and the Poisson arrivals.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header, or metadata, of each request.")
@click.option("--deadline-ms", type=click.IntRange(1, 300_000), metavar="MS", help="How long the server may take for each request.")
@click.option(
    "--threshold", "thresholds", multiple=True, metavar="EXPR", help="A limit, such as 'p(99)<20ms'; exit code 1 if it is broken."
)
@click.option("--sweep", is_flag=True, help="Look for the highest rate that keeps every threshold, beginning at --rate.")
@click.option(
    "--rounds", type=click.IntRange(1), metavar="N", help="How often the run is repeated. [default: 1; 40 beside a baseline's URL]"
)
@click.option("--baseline", metavar="FILE|URL", help="Compare with an earlier run's JSON, or with another server, measured in turn.")
@click.option(
    "--tolerance",
    "tolerances",
    multiple=True,
    metavar="[FIGURE=]PERCENT",
    help="How much worse than the baseline is allowed. [default: 10%; rps and cpu_us 3%]",
)
@click.option(
    "--server-pid", "pids", type=click.IntRange(1), multiple=True, metavar="PID", help="A process of the server: its CPU time is counted."
)
@click.option(
    "--baseline-pid", "baseline_pids", type=click.IntRange(1), multiple=True, metavar="PID", help="A process of the baseline's server."
)
@click.option(
    "--output", "outputs", type=click.Path(path_type=Path), multiple=True, metavar="FILE", help=f"Write the result; by suffix: {_FORMS}."
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole result as one JSON object.")
def bench(url: str, outputs: tuple[Path, ...], as_json: bool, **options: object) -> None:
    """Load a server and judge it: a load generator and a gate for CI.

    URL is http://HOST:PORT or grpc://HOST:PORT. The loop is open unless --concurrency is given: requests are sent when they
    are due, and their latency counts from that moment, whether or not the server (or this generator) was slow before.

    \b
    Thresholds compare a figure (<, <=, >, >=, ==, !=) with a number:
      p(N), avg, min, max   latencies, in ms unless written with us or s
      error_rate            the share of requests that failed
      rate                  the share of requests that were sent, of those due
      rps                   successful answers per second
      cpu_us                the server's CPU time per answer, with --server-pid

    \b
    Exit codes: 0 all is kept; 1 a threshold is broken, or the baseline is better; 2 usage, or nothing to measure;
    3 the measurement is invalid: the generator fell behind or was CPU-bound.

    \b
    Examples:
      penstock bench http://127.0.0.1:8080 --model iris --rate 500 --threshold 'p(99)<20ms' --threshold 'error_rate<0.001'
      penstock bench grpc://127.0.0.1:8081 --model iris --concurrency 32 --duration 30s --output result.json --output plot.svg
      penstock bench http://127.0.0.1:8080 --model iris --sweep --threshold 'p(99)<20ms'
      penstock bench http://new:8080 --model iris --concurrency 16 --baseline http://old:8080
    """
    # What the generator needs is an extra, and takes a while to import; --help needs none of it.
    try:
        from penstock.bench.gate import carry_out, exit_code  # noqa: PLC0415 - see above
        from penstock.bench.plan import CannotMeasure  # noqa: PLC0415 - see above
        from penstock.bench.progress import watching  # noqa: PLC0415 - see above
        from penstock.bench.report.files import FORMS, json, write  # noqa: PLC0415 - see above
        from penstock.bench.report.text import text  # noqa: PLC0415 - see above
        from penstock.cli.bench_plan import gate_of  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        raise _usage(f"{_MISSING} ({error.name} is missing)") from error
    for path in outputs:
        if path.suffix not in FORMS:
            raise click.BadParameter(f"{str(path)!r} has no suffix that says what to write; use {_FORMS}", param_hint="--output")
        if not path.parent.is_dir():
            raise click.BadParameter(f"{str(path)!r} is in a directory that does not exist", param_hint="--output")
    try:
        result = carry_out(gate_of(url, options), watching)
        click.echo(json(result) if as_json else text(result), nl=False)
        for path in outputs:
            write(result, path)
    except (CannotMeasure, OSError) as error:
        raise _usage(str(error)) from error
    sys.exit(exit_code(result))


def _usage(message: str) -> click.exceptions.Exit:
    click.echo(message, err=True)
    return click.exceptions.Exit(USAGE)
