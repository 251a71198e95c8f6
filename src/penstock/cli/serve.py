"""`penstock serve`."""

import sys
from pathlib import Path

import click

from penstock.cli.options import Start, with_start


@click.command()
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Written once all listeners are open and every wanted version is ready or failed: pid and addresses in JSON.",
)
@with_start
def serve(start: Start, ready_file: Path | None) -> None:
    """Serve models until SIGTERM or SIGINT, then drain.

    Settings come from defaults, then the TOML file, then the environment (PENSTOCK_SERVER__HTTP_PORT=9000), then
    flags; the last one wins.

    \b
    Examples:
      penstock serve --registry ./registry
      penstock serve --config penstock.toml --model digits@champion --http-port 0 --set defaults.slo_ms=50
    """
    # The server brings ONNX Runtime and gRPC along, which take most of a second to import; --help needs neither.
    from penstock.server import serve as serve_models  # noqa: PLC0415 - see above

    sys.exit(serve_models(start.loaded.settings, start.wanted, ready_file))
