"""tidings journeys start: customers enter a journey because somebody asks for it."""

from datetime import datetime
from uuid import uuid4

import click

from domain.errors import InputRefused, NotFound
from tidings.bootstrap import Tidings, bootstrap, wall_clock
from tidings.cli.person import person_options
from tidings.cli.terminal import Instant, Terminal, common_options
from tidings.importing.reading import take_in
from tidings.sanctions import Person
from tidings.starting import requested_values, requests

_LONGEST = 200


@click.command("start")
@click.argument("name")
@click.option(
    "--customer", "customers", metavar="ID", multiple=True, required=True, help="Who; may be given again."
)
@click.option(
    "--value", "pairs", metavar="NAME=VALUE", multiple=True, help="A value that the entry declares."
)
@click.option("--id", "ident", metavar="ID", help="Names the request: with the same time it counts once.")
@click.option("--time", "at", type=Instant(), help="When it is asked for (default: now).")
@person_options
@common_options
def start_command(
    terminal: Terminal,
    name: str,
    customers: tuple[str, ...],
    pairs: tuple[str, ...],
    ident: str | None,
    at: datetime | None,
    person: Person,
) -> None:
    """Ask that customers enter a journey that is entered by request; the next run decides on it.

    Nobody is asked for where any customer, the journey or a value is not known.
    """
    tidings, now = bootstrap(terminal.settings), wall_clock()
    values = requested_values(tidings.in_force().rules, name, _values(pairs))
    _check_known(tidings, customers)
    asked = {"id": ident or str(uuid4()), "by": person.name, "reason": person.reason or None}
    for field, text in asked.items():
        if text is not None and not 0 < len(text) <= _LONGEST - len("start/"):
            raise InputRefused("start.text", field=field, longest=_LONGEST - len("start/"))
    told = requests(
        name,
        customers,
        values,
        ident=str(asked["id"]),
        requested_by=str(asked["by"]),
        reason=person.reason or None,
        at=at or now,
        now=now,
    )
    taken = take_in(told, tidings.inbox, origin="start", at=now, progress=lambda _: None)
    if taken.refused:
        refusal = taken.refusals[0]
        raise InputRefused(refusal.code, **refusal.values)
    counts = {"accepted": taken.accepted, "repeated": taken.repeated}
    terminal.json({"journey": name, "id": asked["id"], **counts})
    terminal.tell("start.done", journey=name, **counts)


def _values(pairs: tuple[str, ...]) -> dict[str, str]:
    given: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name in given or len(value) > _LONGEST:
            raise InputRefused("start.value", found=pair[:60])
        given[name] = value
    return given


def _check_known(tidings: Tidings, customers: tuple[str, ...]) -> None:
    history = tidings.history
    for customer in customers:
        if history.find(customer) is None:
            raise NotFound("customer.unknown", customer=customer, near=history.similar_subjects(customer))
