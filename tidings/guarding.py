"""Guards journeys: one whose messages bounce or are complained about too often is paused by itself.

Mailbox providers judge a sender by the share of complaints and dead addresses, and soon refuse all that it
sends; a wrong list or a wrong text must be stopped before somebody comes to work.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Literal

from msgspec import Meta, Struct

from domain.clock import to_micros
from journeys.rulebook import Rules
from stores.database import customer_partitions, reading
from stores.returns import Returned, returned
from tidings.bootstrap import Tidings
from tidings.changing import control_of, set_state

GUARD = "guard"
Count = Annotated[int, Meta(ge=1)]
Word = Literal["bounced", "complained"]


class Limit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At this ``percent`` of what was handed over in the last ``hours`` the journey is paused.

    It counts from so many sends, and so many that came back, on: few messages say little.
    """

    word: Word
    hours: Count
    percent: Annotated[float, Meta(gt=0, le=100)]
    least_sends: Count
    least: Count


class Guarding(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits. Providers ask for complaints below 0.1 % and never 0.3 %, and for few dead addresses.

    Source: Google, "Email sender guidelines", and Yahoo, "Sender Best Practices" (both since February 2024).
    """

    limits: tuple[Limit, ...] = (
        Limit(word="complained", hours=1, percent=1.0, least_sends=200, least=5),
        Limit(word="complained", hours=24, percent=0.3, least_sends=1000, least=10),
        Limit(word="bounced", hours=1, percent=10.0, least_sends=200, least=20),
        Limit(word="bounced", hours=24, percent=5.0, least_sends=1000, least=50),
    )


class Alarm(Struct, frozen=True):
    """A journey came half-way to a limit (``warning``), or reached it and was paused (``paused``)."""

    journey: str
    level: Literal["warning", "paused"]
    limit: Limit
    sends: int
    count: int

    @property
    def percent(self) -> float:
        """The share that came back."""
        return round(100 * self.count / self.sends, 2)

    @property
    def reason(self) -> str:
        """The figures, as they are recorded with the order to pause."""
        limit = self.limit
        return (
            f"{limit.word}: {self.count} of {self.sends} ({self.percent} %) "
            f"in {limit.hours} h; limit {limit.percent} %"
        )


def watch(tidings: Tidings, at: datetime, guarding: Guarding | None = None) -> list[Alarm]:
    """Look at what came back by ``at`` (aware UTC), and pause each journey that reached a limit, once.

    Gives those that were paused now, and warnings for those that run and are half-way to a limit.
    """
    tidings.ledger.catch_up()
    limits = (guarding or Guarding()).limits
    rules: Rules | None = None
    alarms: dict[str, Alarm] = {}
    for alarm in _alarms(tidings, limits, at):
        if rules is None:
            # Nothing is read of the rules as long as all is well.
            rules = tidings.in_force().rules
        found = _since_it_was_ordered(tidings, rules, alarm, at)
        former = alarms.get(alarm.journey)
        if found is not None and (former is None or former.level == "warning"):
            alarms[alarm.journey] = found if former is None or found.level == "paused" else former
    return [alarm for alarm in alarms.values() if alarm.level == "warning" or _pause(tidings, alarm, at)]


def _alarms(tidings: Tidings, limits: tuple[Limit, ...], at: datetime) -> Iterator[Alarm]:
    """For each limit the journeys that are at least half-way to it."""
    for hours in sorted({limit.hours for limit in limits}):
        counted = _returned(tidings, at - timedelta(hours=hours), at)
        for limit in limits:
            if limit.hours == hours:
                for journey in sorted(counted):
                    alarm = judged(journey, limit, counted[journey])
                    if alarm is not None:
                        yield alarm


def judged(journey: str, limit: Limit, found: Returned) -> Alarm | None:
    """What the figures mean by one limit; None where they are less than half-way to it."""
    count = found.bounced if limit.word == "bounced" else found.complained
    if found.sends < limit.least_sends:
        return None
    share = count / found.sends
    if count >= limit.least and share >= limit.percent / 100:
        return Alarm(journey, "paused", limit, found.sends, count)
    if 2 * count >= limit.least and 2 * share >= limit.percent / 100:
        return Alarm(journey, "warning", limit, found.sends, count)
    return None


def _since_it_was_ordered(tidings: Tidings, rules: Rules, alarm: Alarm, at: datetime) -> Alarm | None:
    """The alarm by what left since somebody let the journey run again; None where it does not run."""
    control = control_of(rules, alarm.journey)
    if control is None:
        return alarm
    if control.state in ("paused", "ended"):
        return None
    if control.at is None or control.at <= at - timedelta(hours=alarm.limit.hours):
        return alarm
    counted = _returned(tidings, control.at, at, journey=alarm.journey)
    found = counted.get(alarm.journey)
    return None if found is None else judged(alarm.journey, alarm.limit, found)


def _returned(
    tidings: Tidings, after: datetime, upto: datetime, *, journey: str | None = None
) -> dict[str, Returned]:
    with reading(tidings.engine) as connection:
        partitions = customer_partitions(connection)
        return returned(connection, partitions, after=to_micros(after), upto=to_micros(upto), journey=journey)


def _pause(tidings: Tidings, alarm: Alarm, at: datetime) -> bool:
    return set_state(tidings.engine, alarm.journey, "paused", at=at, by=GUARD, reason=alarm.reason)
