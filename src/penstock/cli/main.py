"""The command `penstock`."""

from typing import Any

import click

from penstock import __version__
from penstock.cli.bench import bench
from penstock.cli.check import check
from penstock.cli.events import events
from penstock.cli.keys import keys
from penstock.cli.models import models
from penstock.cli.models_registry import leave
from penstock.cli.options import USAGE
from penstock.cli.payloads import payloads
from penstock.cli.serve import serve
from penstock.cli.traffic import traffic
from penstock.cli.tune import tune
from penstock.domain.start import StartError


class _Commands(click.Group):
    """Commands of which each that cannot start says why in a line."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it
        """Run the one that is asked for."""
        try:
            return super().invoke(ctx)
        except StartError as error:
            leave(str(error), USAGE)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
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
    commands(prog_name="penstock")
