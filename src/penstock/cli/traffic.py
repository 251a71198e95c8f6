"""`penstock traffic`."""

import click

from penstock.cli.traffic_rollout import rollout


@click.group()
def traffic() -> None:
    """Divide a model's traffic among its versions.

    \b
    Example:
      penstock traffic rollout start fraud challenger --watch
    """


traffic.add_command(rollout)
