"""tidings refused: what was not taken in, to be looked at, mended, told again, or removed when it is old."""

from datetime import timedelta
from itertools import islice
from pathlib import Path

import click

from domain.errors import InputRefused
from stores.letters import Letter, Letters
from tidings.bootstrap import bootstrap, wall_clock
from tidings.cli.person import ordered, person_options
from tidings.cli.terminal import Terminal, common_options
from tidings.mending import Retried, retry
from tidings.sanctions import Person

_PATH = click.Path(path_type=Path)


@click.group("refused")
def command() -> None:
    """What was refused: facts and callbacks that could not be taken in, for a while."""


@command.command("list")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Rows on a terminal.")
@person_options
@common_options
def list_command(terminal: Terminal, limit: int, person: Person) -> None:
    """Every letter, the newest first. JSON lists all of them."""
    letters = Letters(bootstrap(terminal.settings).engine)
    if terminal.as_json:
        terminal.json([_told(letter) for letter in letters.all()])
        return
    rows = [
        (letter.number, f"{letter.refused_at:%Y-%m-%d %H:%MZ}", letter.origin, letter.place, _why(letter))
        for letter in islice(letters.all(), limit)
    ]
    if not rows:
        terminal.tell("refused.none")
        return
    terminal.table("refused", ["number", "refused_at", "origin", "place", "reason"], rows)
    if (total := letters.count()) > limit:
        terminal.tell("messages.more", shown=limit, total=f"{total:,}")


@command.command("show")
@click.argument("number", type=click.IntRange(1))
@person_options
@common_options
def show_command(terminal: Terminal, number: int, person: Person) -> None:
    """One letter with what was refused, as it came."""
    (letter,) = Letters(bootstrap(terminal.settings).engine).find([number])
    terminal.json(_told(letter))
    terminal.write(f"{letter.refused_at:%Y-%m-%d %H:%MZ} {letter.origin}, {letter.place}")
    terminal.write(_why(letter))
    terminal.write(_text(letter) or terminal.wording.tell("refused.nothing_kept", {"number": number}))


@command.command("retry")
@click.argument("numbers", metavar="NUMBER...", type=click.IntRange(1), nargs=-1, required=True)
@click.option("--with", "mended", type=_PATH, metavar="FILE", help="Tell this CloudEvent in its place.")
@person_options
@common_options
@click.pass_context
def retry_command(
    ctx: click.Context, terminal: Terminal, numbers: tuple[int, ...], mended: Path | None, person: Person
) -> None:
    """Tell letters again; those that are taken go. Exit 1 where one is refused again."""
    if mended is not None and len(numbers) > 1:
        raise click.UsageError("--with stands in the place of one letter")
    tidings = bootstrap(terminal.settings)
    content = None if mended is None else _content(mended)
    letters = Letters(tidings.engine).find(numbers)
    ordered(terminal, person, "refused retry", numbers=", ".join(map(str, numbers)))
    done = [retry(tidings, letter, mended=content, at=wall_clock()) for letter in letters]
    terminal.json([{"number": each.number, "outcome": each.outcome} for each in done])
    for each in done:
        _tell(terminal, each)
    if any(each.refusal for each in done):
        ctx.exit(1)


@command.command("clean")
@click.option(
    "--days",
    type=click.IntRange(0),
    help="Keep so many days (default: TIDINGS_REFUSED_DAYS, 30).",
)
@person_options
@common_options
def clean_command(terminal: Terminal, days: int | None, person: Person) -> None:
    """Remove old letters, and destroy the keys that sealed nothing else."""
    tidings = bootstrap(terminal.settings)
    kept = tidings.settings.refused_days if days is None else days
    ordered(terminal, person, "refused clean", days=kept)
    removed = Letters(tidings.engine).clean(wall_clock() - timedelta(days=kept))
    terminal.json({"removed": removed})
    terminal.tell("refused.cleaned", number=f"{removed:,}", days=kept)


def _tell(terminal: Terminal, retried: Retried) -> None:
    if retried.refusal is None:
        terminal.tell(f"refused.{retried.outcome}", number=retried.number)
        return
    why = terminal.wording.tell(retried.refusal.code, retried.refusal.values)
    terminal.complain(terminal.wording.tell("refused.again", {"number": retried.number, "reason": why}))


def _told(letter: Letter) -> dict[str, object]:
    return {
        "number": letter.number,
        "refused_at": letter.refused_at,
        "origin": letter.origin,
        "place": letter.place,
        "code": letter.code,
        "reason": letter.reason,
        "raw": _text(letter),
    }


def _why(letter: Letter) -> str:
    return f"{letter.code}: {letter.reason}" if letter.reason else letter.code


def _text(letter: Letter) -> str:
    return "" if letter.raw is None else letter.raw.decode(errors="backslashreplace").rstrip("\n")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputRefused("import.unreadable", path=str(path), reason=error.strerror or error) from error
