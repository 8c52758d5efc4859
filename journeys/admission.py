"""Who enters a journey, and when somebody must be looked at: plans of wake-ups, and refusals of entry.

A plan is worked out from the customer's state alone, so planning twice changes nothing.
"""

import re
from collections.abc import Iterator
from datetime import datetime

import msgspec

from domain.catalogue import Fact
from domain.clock import first_at_local, local_day
from domain.customer import Customer
from domain.enrolment import enrolment_id
from domain.events import Values
from journeys.definition import EnterOnSilence, Journey, time_of
from journeys.occasions import Calendars, entry_timer, occasions

# How many journeys may let somebody into the next one: those that call each other in a round end so.
MOST_DEPTH = 5
_INSTANT = re.compile(r"[0-9-]{10}T[0-9:.]+\+00:00")
Plan = dict[str, datetime]


def journey_of_timer(timer: str) -> str | None:
    """The journey whose entry this wake-up is for; None for a wake-up of another sort."""
    parts = timer.split(":", 2)
    return parts[1] if parts[0] == "enter" else None


def dated_plan(customer: Customer, journey: Journey, *, calendars: Calendars, now: datetime) -> Plan:
    """Every moment, not before ``now``, that the days of the journey's entry ask for."""
    found = occasions(customer, journey, calendars=calendars, not_before=now)
    return {timer: occasion.due_at for timer, occasion in found.items()}


def silence_plan(customer: Customer, journey: Journey, *, now: datetime) -> Plan:
    """When the silence will have lasted long enough, if nothing comes; {} where it has long lasted."""
    due_at = silence_due(customer, journey)
    return {entry_timer(journey.journey): due_at} if due_at is not None and due_at >= now else {}


def silence_due(customer: Customer, journey: Journey) -> datetime | None:
    """When the silence since the last such fact is, or was, long enough; None for who never had one."""
    enter = journey.enter
    assert isinstance(enter, EnterOnSilence)  # noqa: S101 - the rulebook's index holds no other
    last_at = customer.last_at.get(enter.of)
    if last_at is None:
        return None
    return first_at_local(last_at, days=enter.days, at=time_of(enter.at), zone=customer.zone)


def silence_key(last_at: datetime) -> str:
    """The key of an enrolment that a silence starts: the instant (aware UTC) since when it is silent."""
    return last_at.isoformat()


def is_silence_key(key: str) -> bool:
    """Whether a silence has started the enrolment of this key: no other entry's key is an instant in UTC."""
    return _INSTANT.fullmatch(key) is not None


def fact_key(fact: Fact) -> str:
    """The key of an enrolment that a fact starts: its source and id, told apart whatever they hold."""
    return msgspec.json.encode([fact.source, fact.id]).decode()


def refusals(
    customer: Customer, journey: Journey, *, key: str, depth: int = 0, now: datetime
) -> Iterator[tuple[str, Values]]:
    """Every rule that forbids entering now, with the values it saw; none means: come in."""
    enrolments = customer.enrolments
    if enrolments and enrolment_id(customer.subject, journey=journey.journey, key=key) in enrolments:
        yield "already_enrolled", {"key": key}
    if depth > MOST_DEPTH:
        yield "chain_too_long", {"depth": depth, "at_most": MOST_DEPTH}
    if journey.reentry.inside == "refuse":
        for enrolment in enrolments.values():
            if enrolment.journey == journey.journey:
                yield "still_inside", {"step": enrolment.step, "version": enrolment.version}
    last = customer.entered.get(journey.journey)
    if last is None:
        return
    if key in last.keys:
        yield "already_entered", {"key": key}
    days = (local_day(now, customer.zone) - local_day(last.at, customer.zone)).days
    if days < journey.reentry.after_days:
        yield (
            "reentry",
            {
                "last_entered_on": local_day(last.at, customer.zone).isoformat(),
                "days_since": days,
                "days_required": journey.reentry.after_days,
            },
        )
