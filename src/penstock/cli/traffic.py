"""`penstock traffic`."""

import click

from penstock.cli.traffic_promote import promote, rollback
from penstock.cli.traffic_rollout import rollout
from penstock.cli.traffic_set import set_route, shadow
from penstock.cli.traffic_shadows import shadows
from penstock.cli.traffic_show import show


@click.group()
def traffic() -> None:
    """Divide a model's traffic among its versions, on a running server.

    \b
    Example:
      penstock traffic set fraud --canary b=challenger:5
    """


traffic.add_command(show)
traffic.add_command(set_route)
traffic.add_command(shadow)
traffic.add_command(shadows)
traffic.add_command(promote)
traffic.add_command(rollback)
traffic.add_command(rollout)
