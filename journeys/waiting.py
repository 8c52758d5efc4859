"""Until when a step waits: on the customer's wall clock, by calendars, or for a length of time."""

from datetime import date, datetime, timedelta

from domain.clock import WEEKDAYS, at_local, first_at_local, local_day
from domain.events import Values
from journeys.definition import Await, Delay, Wait, WaitUntil, time_of
from journeys.occasions import Calendars, moved_day

_DAY = timedelta(days=1)


def due_at(
    step: Wait | Delay | WaitUntil | Await, entry: Values, *, zone: str, calendars: Calendars, now: datetime
) -> datetime:
    """When the wait that begins ``now`` is over at the latest (aware UTC); not before ``now``."""
    match step:
        case Delay():
            return now + timedelta(hours=step.hours, minutes=step.minutes)
        case WaitUntil():
            return _on_day(step, entry, zone=zone, calendars=calendars, now=now)
        case Await(within_hours=int(hours)):
            return now + timedelta(hours=hours)
        case Await():
            at = time_of(step.at or "00:00")
            return first_at_local(now, days=step.within_days or 0, at=at, zone=zone)
        case Wait():
            return _on_fitting_day(step, zone=zone, calendars=calendars, now=now)


def _on_day(step: WaitUntil, entry: Values, *, zone: str, calendars: Calendars, now: datetime) -> datetime:
    day = step.on or _day(entry.get(step.value or ""))
    if day is None:
        return now
    day = moved_day(day + timedelta(days=step.offset_days), step.moved, calendars)
    return max(now, at_local(day, time_of(step.at), zone))


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _on_fitting_day(step: Wait, *, zone: str, calendars: Calendars, now: datetime) -> datetime:
    """The first ``at`` after so many days, or working days, that lies on a day that fits."""
    at = time_of(step.at)
    calendar = calendars.get(step.working) if step.working else None
    working = calendar.working if calendar else None
    if working is None:
        found = first_at_local(now, days=step.days, at=at, zone=zone)
    else:
        day = working.add_working_days(local_day(now, zone), step.days, beyond="weekday")
        found = at_local(day, at, zone)
        if found < now:
            found = at_local(day + _DAY, at, zone)
    day = fitting = local_day(found, zone)
    if working is not None:
        fitting = working.on_or_after(day, beyond="weekday")
    elif step.weekdays is not None:
        while WEEKDAYS[fitting.weekday()] not in step.weekdays:
            fitting += _DAY
    return found if fitting == day else at_local(fitting, at, zone)
