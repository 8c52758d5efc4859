"""What every command shares: its common options, and how it shows tables, progress and JSON."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from domain.clock import from_micros
from tidings.settings import Settings
from tidings.wording import LANGUAGES, Wording

_PIPED_WIDTH = 200
YEARS = range(1900, 2201)
F = TypeVar("F", bound=Callable[..., Any])
Advance = Callable[[int], None]


class Terminal:
    """Where a command writes: results to stdout, progress and complaints to stderr."""

    def __init__(self, settings: Settings, *, as_json: bool, names_store: bool = False) -> None:
        """``names_store``: whether the command line itself names the store."""
        self.settings = settings
        self.names_store = names_store
        self.as_json = as_json
        self.wording = Wording(settings.language)
        width = None if sys.stdout.isatty() else _PIPED_WIDTH
        self._out = Console(file=sys.stdout, highlight=False, width=width, soft_wrap=width is not None)
        self._err = Console(file=sys.stderr, highlight=False)

    def tell(self, code: str, **values: object) -> None:
        """A sentence of the catalogue, for people only."""
        if not self.as_json:
            self._out.print(Text(printable(self.wording.tell(code, values))))

    def write(self, text: str = "", *, style: str | None = None) -> None:
        """A line as it is, for people only."""
        if not self.as_json:
            self._out.print(Text(printable(text), style=style or ""))

    def complain(self, text: str) -> None:
        """A line on stderr, whatever the form of the output."""
        sys.stderr.write(f"{printable(text)}\n")

    def json(self, value: object) -> None:
        """The one JSON document on stdout, if it was asked for."""
        if self.as_json:
            sys.stdout.write(msgspec.json.encode(value, order="deterministic").decode() + "\n")

    def table(self, code: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table with headings from the catalogue (``code.column``); numbers stand right."""
        if self.as_json:
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for index, column in enumerate(columns):
            numeric = bool(rows) and all(isinstance(row[index], int) for row in rows)
            heading = self.wording.tell(f"{code}.{column}")
            table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        self._out.print(table)

    @contextmanager
    def progress(self, code: str, total: int | None) -> Iterator[Advance]:
        """A bar on a terminal's stderr while the block runs; the block tells how far it is."""
        if self.as_json or not sys.stderr.isatty():
            yield lambda done: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._err, transient=True) as bar:
            task = bar.add_task(self.wording.tell(code), total=total)
            yield lambda done: bar.update(task, completed=done)


class Instant(click.ParamType[datetime]):
    """An ISO 8601 instant with its offset, as ``2026-05-03T09:00:00+02:00``."""

    name = "ISO"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The instant, aware UTC; fails as a usage error."""
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no ISO 8601 instant such as 2026-05-03T09:00:00+02:00", param, ctx)
        if at.tzinfo is None:
            self.fail(f"{value!r} has no offset; write 2026-05-03T09:00:00+02:00 or ...Z", param, ctx)
        if at.year not in YEARS:
            self.fail(f"{value!r} lies outside the years {YEARS.start} to {YEARS.stop - 1}", param, ctx)
        return at.astimezone(UTC)


def common_options(command: F) -> F:
    """Adds --store, --outbox, --lang and --json, and gives the command its Terminal first."""

    @click.option("--store", metavar="URL", help="The store, e.g. sqlite:///tidings.db (the default).")
    @click.option("--outbox", metavar="FOLDER", help="The sandbox's folder (default: outbox).")
    @click.option("--lang", "language", type=click.Choice(LANGUAGES), help="Language of the output.")
    @click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
    @click.pass_context
    @wraps(command)
    def with_terminal(
        ctx: click.Context,
        /,
        *args: Any,
        store: str | None,
        outbox: str | None,
        language: str | None,
        as_json: bool,
        **kwargs: Any,
    ) -> Any:
        above: dict[str, Any] = ctx.obj or {}
        given = {
            "store": store or above.get("store"),
            "outbox": outbox or above.get("outbox"),
            "language": language or above.get("language"),
        }
        as_json = as_json or bool(above.get("as_json"))
        ctx.obj = {**given, "as_json": as_json}
        settings = Settings.read(os.environ, **given)
        terminal = Terminal(settings, as_json=as_json, names_store=given["store"] is not None)
        return command(terminal, *args, **kwargs)

    return with_terminal  # type: ignore[return-value]


def shown(micros: int | None) -> str:
    """An instant of the store for people: UTC, to the minute."""
    return "" if micros is None else from_micros(micros).strftime("%Y-%m-%d %H:%MZ")


def _cell(value: object) -> Text:
    """A cell as it is: never read as markup, and what cannot be printed is shown as its code."""
    if value is None:
        return Text()
    if isinstance(value, int) and not isinstance(value, bool):
        return Text(f"{value:,}")
    return Text(printable(str(value)))


def printable(text: str) -> str:
    """The text with control, direction and unpaired characters written out, so that it cannot mislead."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text)
