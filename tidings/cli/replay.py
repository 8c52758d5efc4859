"""tidings replay: a customer's history and state as of an instant or an event, step by step."""

from datetime import datetime
from pathlib import Path

import click
from msgspec import to_builtins

from audit.changes import changes
from audit.replay import BY, By, Replayed, replay
from audit.ruling import RecordedShelf
from audit.standing import Standing, standing
from domain.customer import Customer
from domain.errors import NotFound
from domain.tally import by_day
from tidings.authoring import rules_of
from tidings.cli.moments import check_lived
from tidings.cli.person import person_options, seen_in
from tidings.cli.reading import AnyHistory, Source, archive_option, opened
from tidings.cli.replay_shown import Shown, show
from tidings.cli.terminal import Instant, Terminal, common_options
from tidings.sanctions import Person


@click.command("replay")
@click.argument("customer")
@click.option("--as-of", type=Instant(), help="As of this instant (default: now).")
@click.option(
    "--time",
    "clock",
    type=click.Choice(BY),
    default="recorded",
    show_default=True,
    help="With --as-of: what was on record then, or also what had happened by then and was told later.",
)
@click.option("--at-version", type=click.IntRange(1), metavar="N", help="Right after this event.")
@click.option("--from-version", type=click.IntRange(1), metavar="N", help="Tell the events from this one on.")
@click.option("--next", "step", flag_value=1, type=int, help="One event later than named.")
@click.option("--previous", "step", flag_value=-1, type=int, help="One event earlier than named.")
@click.option("--diff", "with_changes", is_flag=True, help="What each event changed in the state.")
@archive_option
@person_options
@common_options
def command(
    terminal: Terminal,
    customer: str,
    as_of: datetime | None,
    clock: By,
    at_version: int | None,
    from_version: int | None,
    step: int | None,
    with_changes: bool,
    archive: Path | None,
    person: Person,
) -> None:
    """Everything that happened to a customer and was decided about them, and the state that it makes."""
    if as_of is not None and at_version is not None:
        raise click.UsageError("--as-of and --at-version name two places; give one of them")
    if clock == "business" and (as_of is None or step is not None):
        raise click.UsageError("--time business belongs to --as-of, without --next or --previous")
    source = Source.named(terminal, archive)
    with opened(source) as history:
        replayed = _replayed(history, customer, as_of, clock, at_version)
        if step is not None:
            at_version = len(replayed.history) + step
            replayed = replay(history, customer, version=at_version)
        if as_of is not None:
            check_lived(history, replayed.partition, as_of, begun=clock == "recorded")
        stands = _standing(history, replayed, None if at_version is not None else as_of)
    seen_in(terminal, person, source, "replay", [customer])
    first = from_version or at_version or 1
    differences = list(changes(customer, replayed.history, as_of=as_of)) if with_changes else None
    events = [to_builtins(event) for event in replayed.history]
    if differences is not None:
        events = [
            event | {"changes": to_builtins(made)} for event, made in zip(events, differences, strict=True)
        ]
    place = len(replayed.history)
    told: dict[str, object] = {
        "customer": customer,
        "as_of": as_of,
        "time": clock,
        "at_version": at_version,
        "previous": place - 1 if place > 1 else None,
        "next": place + 1 if place < replayed.last_version else None,
        "last_version": replayed.last_version,
        "events": [event for event in events if event["version"] >= first],
        "state": _state(replayed.customer),
        "standing": to_builtins(stands),
    }
    terminal.json(told)
    show(terminal, Shown(replayed, stands, first, differences, stepping=at_version is not None))


def _replayed(
    history: AnyHistory, customer: str, as_of: datetime | None, by: By, version: int | None
) -> Replayed:
    try:
        return replay(history, customer, as_of=as_of, by=by, version=version)
    except NotFound:
        near = history.similar_subjects(customer)
        raise NotFound("customer.unknown", customer=customer, near=near) from None


def _standing(history: AnyHistory, replayed: Replayed, as_of: datetime | None) -> Standing:
    """How the customer stands then, or at the last event that was replayed."""
    customer = replayed.customer
    at = as_of or customer.clock_at
    shelf = RecordedShelf(history, replayed.partition, replayed.stored, rules_of(history.rulebooks()))
    book = shelf.at(at)
    policy = None if book is None else book.rules.policy
    return standing(customer, at=at, policy=policy, ruling=book.ruling if book else None)


def _state(customer: Customer) -> dict[str, object]:
    """The state with its counts by day written out."""
    told: dict[str, object] = to_builtins(customer)
    for name, tallies in (("fact_days", customer.fact_days), ("message_days", customer.message_days)):
        told[name] = {kind: to_builtins(by_day(tally)) for kind, tally in tallies.items()}
    return told
