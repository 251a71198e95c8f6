"""`penstock payloads`."""

import click

from penstock.cli.payloads_delete import delete
from penstock.cli.payloads_export import export
from penstock.cli.payloads_feedback import feedback
from penstock.cli.payloads_query import query
from penstock.cli.payloads_schema import schema
from penstock.cli.payloads_stats import stats
from penstock.cli.payloads_tail import tail


@click.group()
def payloads() -> None:
    """Look at recorded inputs and answers, export and delete them, without a server; bring the truth about them to one.

    \b
    Example:
      penstock payloads tail fraud
    """


payloads.add_command(tail)
payloads.add_command(stats)
payloads.add_command(schema)
payloads.add_command(query)
payloads.add_command(export)
payloads.add_command(feedback)
payloads.add_command(delete)
