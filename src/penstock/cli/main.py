"""The command `penstock`."""

import sys

import click

from penstock import __version__
from penstock.cli.bench import bench
from penstock.cli.check import check
from penstock.cli.events import events
from penstock.cli.keys import keys
from penstock.cli.models import models
from penstock.cli.options import USAGE
from penstock.cli.payloads import payloads
from penstock.cli.serve import serve
from penstock.cli.traffic import traffic
from penstock.cli.tune import tune
from penstock.domain.start import StartError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="penstock")
def commands() -> None:
    """Serve versioned ONNX models over HTTP and gRPC.

    \b
    Example:
      penstock serve --registry ./registry --model digits
    """


commands.add_command(serve)
commands.add_command(check)
commands.add_command(tune)
commands.add_command(bench)
commands.add_command(models)
commands.add_command(keys)
commands.add_command(traffic)
commands.add_command(payloads)
commands.add_command(events)


def main() -> None:
    """Run the command line and leave the process with its exit code."""
    try:
        commands(prog_name="penstock")
    except StartError as error:  # of whatever a command has imported
        click.echo(str(error), err=True)
        sys.exit(USAGE)
