"""tidings audit: checks on what was recorded, each a command of its own."""

import click

from tidings.cli import proving, verifying
from tidings.cli.accesses import accesses_command, changes_command
from tidings.cli.erasing import erase_command
from tidings.cli.evidence import command as evidence_command
from tidings.cli.exporting import export_command


@click.group("audit")
def command() -> None:
    """Checks on what was recorded."""


command.add_command(verifying.command)
command.add_command(accesses_command)
command.add_command(changes_command)
command.add_command(evidence_command)
proving.add_to(command)
command.add_command(export_command)
command.add_command(erase_command)
