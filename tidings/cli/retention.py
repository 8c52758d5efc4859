"""tidings retention: how long facts keep their bodies, and removing those that are older."""

from collections import Counter
from datetime import datetime

import click
from msgspec import to_builtins

from domain.fold import is_only_heard
from domain.retention import removable
from tidings import retention
from tidings.bootstrap import bootstrap, wall_clock
from tidings.cli.person import person_options
from tidings.cli.terminal import Instant, Terminal, common_options
from tidings.sanctions import Person


@click.group("retention")
def command() -> None:
    """How long facts keep what they say, by kind; the chain over them holds for ever."""


@command.command("show")
@common_options
def show_command(terminal: Terminal) -> None:
    """The rules in force, and the kinds that can have one."""
    tidings = bootstrap(terminal.settings)
    rules = retention.rules(tidings.engine)
    terminal.json({"rules": [to_builtins(rule) for rule in rules], "kinds": removable()})
    if rules:
        rows = [(r.kind, r.days, f"{r.since:%Y-%m-%d %H:%MZ}", r.by, r.reason) for r in rules]
        terminal.table("retention", ["kind", "for_days", "since", "by", "reason"], rows)
    else:
        terminal.tell("retention.no_rules")
    terminal.tell("retention.kinds", kinds=", ".join(removable()))


@command.command("set")
@click.argument("kind")
@click.option("--days", type=int, help="Keep what such facts say for so many days (1 to 36525).")
@click.option("--forever", is_flag=True, help="Keep it as long as the store: no rule.")
@person_options
@common_options
def set_command(terminal: Terminal, kind: str, days: int | None, forever: bool, person: Person) -> None:
    """Keep what facts of one kind say for so long; nothing goes before the rules are applied."""
    if (days is None) != forever or days == 0:
        raise click.UsageError("give --days with a number from 1 on, or --forever")
    engine = bootstrap(terminal.settings).engine
    new = retention.set_rule(engine, kind, days or 0, by=person.name, reason=person.reason, at=wall_clock())
    terminal.json({"kind": kind, "days": days, "new": new})
    code = "retention.forever" if forever else "retention.set"
    terminal.tell(code if new else "retention.already", kind=kind, days=days)
    if new and not forever and not is_only_heard(kind):
        terminal.tell("retention.rests", kind=kind)


@command.command("apply")
@click.option("--as-of", type=Instant(), help="Count days back from here (default: the store's clock).")
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@person_options
@common_options
def apply_command(terminal: Terminal, as_of: datetime | None, dry_run: bool, person: Person) -> None:
    """Remove what facts say that are older than their rule, but for customers under a legal hold."""
    tidings = bootstrap(terminal.settings)
    as_of = as_of or tidings.audience.clock()
    if dry_run:
        due = retention.would_go(tidings, as_of=as_of)
        kinds = dict(sorted(sum((found.kinds for found in due.values()), Counter()).items()))
    else:
        with terminal.progress("retention.progress", None) as advance:
            applied = retention.apply(
                tidings, as_of=as_of, by=person.name, reason=person.reason, at=wall_clock(), progress=advance
            )
        kinds = dict(applied.kinds)
    number = sum(kinds.values())
    terminal.json({"as_of": as_of, "removed": 0 if dry_run else number, "kinds": kinds})
    code = "retention.would_go" if dry_run else "retention.done"
    terminal.tell(code, number=f"{number:,}", as_of=f"{as_of:%Y-%m-%d %H:%MZ}")
    if kinds:
        terminal.table("retention", ["kind", "number"], list(kinds.items()))
