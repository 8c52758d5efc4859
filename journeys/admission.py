"""Who enters a journey, and when somebody must be looked at: plans of wake-ups, and refusals of entry.

A plan is worked out from the customer's state alone, so planning twice changes nothing.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta

import msgspec

from domain.calendars import Calendar
from domain.catalogue import Fact
from domain.clock import at_local, first_at_local, local_day, next_anniversary
from domain.customer import Customer
from domain.enrolment import enrolment_id
from domain.events import Values
from domain.lunar import LunarMonths
from journeys.definition import (
    EnterOnBirthday,
    EnterOnMaturity,
    EnterOnSilence,
    Journey,
    Moved,
    time_of,
)

# How many journeys may let somebody into the next one: those that call each other in a round end so.
MOST_DEPTH = 5
_INSTANT = re.compile(r"[0-9-]{10}T[0-9:.]+\+00:00")
_MATURITY = "enter:{journey}:{holding}:{offset}"
Plan = dict[str, datetime]
Calendars = Mapping[str, Calendar]


def entry_timer(journey: str) -> str:
    """The name of the wake-up for a journey that a customer can wait for only once at a time."""
    return f"enter:{journey}"


def journey_of_timer(timer: str) -> str | None:
    """The journey whose entry this wake-up is for; None for a wake-up of another sort."""
    parts = timer.split(":", 2)
    return parts[1] if parts[0] == "enter" else None


def birthday_plan(customer: Customer, journey: Journey, *, calendars: Calendars, now: datetime) -> Plan:
    """The next birthday, not before ``now``; {} where its calendar knows no next one."""
    enter = journey.enter
    assert isinstance(enter, EnterOnBirthday)  # noqa: S101 - the rulebook's index holds no other
    if customer.birth_date is None:
        return {}
    born, at, zone = customer.birth_date, time_of(enter.at), customer.zone
    due_at: datetime | None
    if enter.calendar is None:
        due_at = next_anniversary(born, not_before=now, at=at, zone=zone, leap_day=enter.leap_day)
    else:
        lunar, rule = _lunar(enter, calendars), enter.leap_month
        due_at = (
            lunar.next_birthday(born, not_before=now, at=at, zone=zone, leap_month=rule) if lunar else None
        )
    return {entry_timer(journey.journey): due_at} if due_at else {}


def birthday_entry(
    born: date, enter: EnterOnBirthday, today: date, *, calendars: Calendars
) -> tuple[str, Values]:
    """Key and values of the enrolment that a birthday starts; years are those of its calendar."""
    lunar = _lunar(enter, calendars)
    if lunar and lunar.covers(born) and lunar.covers(today):
        return today.isoformat(), {"age": lunar.age_on(born, today)}
    return today.isoformat(), {"age": today.year - born.year}


def maturity_plan(customer: Customer, journey: Journey, *, calendars: Calendars, now: datetime) -> Plan:
    """Every moment around a contract's last day that is still ahead, for all contracts."""
    enter = journey.enter
    assert isinstance(enter, EnterOnMaturity)  # noqa: S101 - the rulebook's index holds no other
    plan: Plan = {}
    for name, holding in customer.holdings.items():
        if holding.kind not in enter.kinds or holding.matures_on is None:
            continue
        for offset in enter.offsets:
            day = moved_day(holding.matures_on + timedelta(days=offset), enter.moved, calendars)
            due_at = at_local(day, time_of(enter.at), customer.zone)
            if due_at >= now:
                plan[_MATURITY.format(journey=journey.journey, holding=name, offset=offset)] = due_at
    return plan


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


def maturity_entry(customer: Customer, timer: str) -> tuple[str, Values] | None:
    """Key and values of the enrolment that a maturity's wake-up starts; None where the contract is gone."""
    _, _, rest = timer.split(":", 2)
    name, _, offset = rest.rpartition(":")
    holding = customer.holdings.get(name)
    if holding is None or holding.matures_on is None:
        return None
    matures_on = holding.matures_on.isoformat()
    values: Values = {
        "holding": name,
        "kind": holding.kind,
        "product": holding.product,
        "matures_on": matures_on,
        "offset_days": int(offset),
    }
    return f"{name}:{matures_on}:{offset}", values


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


def _lunar(enter: EnterOnBirthday, calendars: Calendars) -> LunarMonths | None:
    calendar = calendars.get(enter.calendar) if enter.calendar else None
    return calendar.lunar if calendar else None


def moved_day(day: date, moved: Moved | None, calendars: Calendars) -> date:
    """The day, or the working day that it is moved to."""
    calendar = calendars.get(moved.calendar) if moved else None
    if moved is None or calendar is None or calendar.working is None:
        return day
    # A contract may mature years after the last that is decreed: a provisional day is mended by adoption.
    if moved.to == "before":
        return calendar.working.on_or_before(day, beyond="weekday")
    return calendar.working.on_or_after(day, beyond="weekday")
