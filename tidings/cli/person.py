"""Who gives a command, and why: --by and --reason of every command that changes or shows what counts."""

import os
from collections.abc import Mapping, Sequence
from functools import wraps
from getpass import getuser
from typing import Any

import click

from domain.errors import InputRefused
from tidings.cli.reading import Source
from tidings.cli.terminal import F, Terminal
from tidings.sanctions import Person

BY = "TIDINGS_BY"
REASON_REQUIRED = "TIDINGS_REASON_REQUIRED"
_LONGEST_NAME = 100
_LONGEST_REASON = 500
# Names that Tidings itself records: nobody may go by them.
_RESERVED = ("os:", "tidings", "guard", "program")


def person_options(command: F) -> F:
    """Adds --by and --reason, and gives the command its ``person``."""

    @click.option("--by", metavar="NAME", help="Who you are (TIDINGS_BY; else the system's user).")
    @click.option("--reason", metavar="TEXT", help="Why; it is recorded.")
    @wraps(command)
    def with_person(*args: Any, by: str | None, reason: str | None, **kwargs: Any) -> Any:
        return command(*args, person=person(by, reason, os.environ), **kwargs)

    return with_person  # type: ignore[return-value]


def person(by: str | None, reason: str | None, environment: Mapping[str, str]) -> Person:
    """The person that options and environment name, else the operating system's user as ``os:NAME``.

    Raises InputRefused for a name or reason that cannot be recorded, and for no reason where
    TIDINGS_REASON_REQUIRED asks for one.
    """
    given = by if by is not None else environment.get(BY) or None
    name = system_user() if given is None else given.strip()
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise InputRefused("person.name", found=name[:_LONGEST_NAME], longest=_LONGEST_NAME)
    if given is not None and name.casefold().startswith(_RESERVED):
        raise InputRefused("person.reserved", found=name)
    why = (reason or "").strip()
    if len(why) > _LONGEST_REASON or not why.isprintable():
        raise InputRefused("person.reason", longest=_LONGEST_REASON)
    if not why and environment.get(REASON_REQUIRED):
        raise InputRefused("person.reason_required", name=REASON_REQUIRED)
    return Person(name, why)


def system_user() -> str:
    """Whom the operating system runs this for; variables of the environment are not asked first."""
    try:
        from pwd import getpwuid

        return f"os:{getpwuid(os.getuid()).pw_name}"
    except ImportError:
        return f"os:{getuser()}"
    except KeyError:
        # A container may know no name for whom it runs as.
        return f"os:{os.getuid()}"


def seen(terminal: Terminal, person: Person, what: str, customers: Sequence[str]) -> None:
    """Record that the person is about to be shown personal data of these customers of the store.

    Nobody at all is not recorded. Raises StoreUnusable where it cannot be recorded: then show nothing.
    """
    if not customers:
        return
    # What it costs to import it, only commands pay that show somebody.
    from stores.database import connect
    from tidings.accesses import record_read
    from tidings.bootstrap import wall_clock

    record_read(
        connect(terminal.settings.store),
        by=person.name,
        why=person.reason,
        what=what,
        customers=customers,
        at=wall_clock(),
    )


def ordered(terminal: Terminal, person: Person, what: str, **details: object) -> None:
    """Record that the person orders something that changes the store and is no publication."""
    from stores.database import connect
    from tidings.accesses import record_operation
    from tidings.bootstrap import wall_clock

    record_operation(
        connect(terminal.settings.store),
        by=person.name,
        why=person.reason,
        what=what,
        details={name: str(value) for name, value in details.items()},
        at=wall_clock(),
    )


def seen_in(terminal: Terminal, person: Person, source: Source, what: str, customers: Sequence[str]) -> None:
    """The same for a source that may be an archive alone, which has no room for it: then that is told."""
    if source.archive is not None and not source.both:
        terminal.complain(terminal.wording.tell("access.archive_alone"))
    else:
        seen(terminal, person, what, customers)
