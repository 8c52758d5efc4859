"""--by and --reason, for commands whose order is recorded."""

import click

from tidings.cli.terminal import F

_LONGEST = 200


def order_options(command: F) -> F:
    """Adds --by (required) and --reason, of 1 to 200 printable characters."""
    by = click.option(
        "--by", required=True, metavar="NAME", callback=_checked, help="Who you are; it is recorded."
    )
    reason = click.option(
        "--reason", default="", metavar="TEXT", callback=_checked, help="Why; it is recorded: name nobody."
    )
    return by(reason(command))


def _checked(_ctx: click.Context, option: click.Parameter, value: str) -> str:
    least = 1 if option.required else 0
    if not least <= len(value.strip()) <= _LONGEST or not value.isprintable():
        raise click.BadParameter(f"{least} to {_LONGEST} printable characters")
    return value.strip()
