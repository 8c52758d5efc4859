"""The command line: one file a command, loaded when it is asked for."""

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from itertools import pairwise

import click

from domain.errors import NotFound, TidingsError
from tidings.cli.terminal import Terminal, common_options
from tidings.wording import LANGUAGES, Wording

_MOST_NEAR = 5
COMMANDS = {
    "init": "init",
    "import": "importing",
    "broadcast": "broadcast",
    "run": "running",
    "serve": "serve",
    "worker": "worker",
    "journeys": "journeys",
    "segments": "segments",
    "templates": "templates",
    "approvals": "approvals",
    "messages": "messages",
    "tasks": "tasks",
    "audience": "audience",
    "replay": "replay",
    "why": "why",
    "audit": "audit",
    "keys": "keys",
    "refused": "refused",
    "retention": "retention",
    "hold": "hold",
    "rebuild": "rebuild",
    "archive": "archive",
    "demo": "demo",
}


class _Commands(click.Group):
    """Loads a command's module when it is asked for, so that none pays for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"tidings.cli.{COMMANDS[cmd_name]}")
        command = module.command
        assert isinstance(command, click.Command)  # noqa: S101 - every module of this package has one
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = get_close_matches(args[0], COMMANDS, n=1)
        if args[0] not in COMMANDS and near:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@common_options
def commands(terminal: Terminal) -> None:
    """Customer journeys and care for banks: decided, sent, and explained for years.

    Every command takes --store URL (or TIDINGS_STORE), --outbox FOLDER, --lang and --json.
    """


def run(arguments: Sequence[str]) -> int:
    """Run a command; gives the exit code: 0 done, 1 refused or check failed, 2 usage."""
    for argument in arguments:
        if not _is_text(argument):
            sys.stderr.write(f"tidings: {argument!r} is no text in UTF-8\n")
            return 2
    try:
        outcome = commands.main(list(arguments), prog_name="tidings", standalone_mode=False)
    except TidingsError as error:
        _tell(error, arguments)
        return 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except OSError as error:
        # Standard output itself: everything else tells its own place.
        sys.stderr.write(f"tidings: {error.strerror}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return outcome if isinstance(outcome, int) else 0


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _tell(error: TidingsError, arguments: Sequence[str]) -> None:
    wording = Wording(_language(arguments))
    told = wording.tell(error.code, error.values)
    if isinstance(error, NotFound) and error.near:
        told += " " + wording.tell("did_you_mean", {"near": ", ".join(_nearest(error))})
    sys.stderr.write(f"tidings: {told}\n")


def _nearest(error: NotFound) -> tuple[str, ...]:
    """Of many names those that are written alike; all where none is."""
    if len(error.near) <= _MOST_NEAR:
        return error.near
    asked = [str(value) for value in error.values.values()]
    alike = [name for word in asked for name in get_close_matches(word, error.near, cutoff=0.5)]
    return tuple(dict.fromkeys(alike)) or error.near


def _language(arguments: Sequence[str]) -> str:
    for option, value in pairwise(arguments):
        if option == "--lang":
            return value
    given = [argument[7:] for argument in arguments if argument.startswith("--lang=")]
    return (given or [os.environ.get("TIDINGS_LANG", LANGUAGES[0])])[0]
