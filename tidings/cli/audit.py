"""tidings audit: checks on what was recorded, each a command of its own."""

import click

from tidings.cli import proving, verifying


@click.group("audit")
def command() -> None:
    """Checks on what was recorded."""


command.add_command(verifying.command)
proving.add_to(command)
