"""Why a day that is known ahead led nobody in: the wrong one, told late, a condition, or still to come."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec.structs import replace

from audit.life import Answer, Life, Window
from audit.unmet import Asked, unmet
from domain.clock import at_local, local_day
from domain.customer import Customer
from domain.events import EnrolmentHeldOut, EnrolmentStarted, Event, TimerFired
from domain.holding import occasion_of
from journeys.admission import journey_of_timer
from journeys.definition import (
    EnterOnAnniversary,
    EnterOnBirthday,
    EnterOnMaturity,
    Journey,
    time_of,
)
from journeys.occasions import Occasion, moved_day, occasions
from journeys.rulebook import Rules

_A_YEAR_AND_MORE = timedelta(days=400)
Found = dict[str, Occasion]


def firings(life: Life, journey: str, window: Window) -> list[Event]:
    """The wake-ups of a journey's entry that came in the window."""
    return [
        event
        for event in life.inside(window)
        if isinstance(event.body, TimerFired) and journey_of_timer(event.body.timer) == journey
    ]


def of_dates(life: Life, journey: Journey, rules: Rules, window: Window) -> Iterator[Answer]:
    """Why the journey's days led to no entry in the window. ``rules`` are those in force then."""
    fired = firings(life, journey.journey, window)
    if fired:
        for event in fired:
            yield _of_firing(life, event, journey)
        return
    begin, end = life.before(window.begin), life.before(window.end)
    unknown = _unknown(life, end, journey)
    if unknown is not None:
        yield unknown
        return
    wanted = _within(end, journey, rules, window)
    gone = _within(begin, journey, rules, window).keys() - wanted.keys()
    together = list(_told_together(life, end, journey, rules, window))
    if together:
        yield from together
    elif wanted:
        for timer, occasion in wanted.items():
            yield _not_fired(life, timer, occasion, journey, rules, window)
    elif gone:
        yield _told(life, journey, "moved", _around(end, journey, rules, window))
    else:
        yield _told(life, journey, "not_the_day", _around(end, journey, rules, window))


def _of_firing(life: Life, event: Event, journey: Journey) -> Answer:
    """What came of a wake-up after which nothing was recorded: it is asked again what its moment led to."""
    assert isinstance(event.body, TimerFired)  # noqa: S101 - asked of wake-ups only
    book = life.shelf.of(event.version)
    in_force = book.rules.journeys.get(journey.journey) if book else None
    if book is None or in_force is None:
        return life.reckoned(event, _answer(journey, "not_in_force", {}))
    customer, due_at = life.asked_at(event), event.body.due_at
    ahead = occasions(customer, in_force, calendars=book.rules.calendars, not_before=due_at)
    occasion = ahead.get(event.body.timer)
    if occasion is None and (unknown := _unknown(life, customer, in_force)) is not None:
        return life.reckoned(event, unknown)
    if occasion is None or occasion.due_at != due_at:
        values: dict[str, object] = {"next_at": occasion.due_at} if occasion else {}
        return life.reckoned(event, _answer(in_force, "moved", values))
    when = in_force.enter.when
    asked = Asked(customer, occasion.entry)
    if when is None or asked.holds(when):
        return life.reckoned(event, _answer(in_force, "unexplained", {**occasion.entry}))
    answer = Answer(
        journey=in_force.journey,
        version=in_force.version,
        reason="condition",
        basis="reckoned",
        values={**occasion.entry},
        unmet=unmet(when, asked),
    )
    return life.reckoned(event, answer)


def _unknown(life: Life, customer: Customer, journey: Journey) -> Answer | None:
    """What the day would follow from, where that is not known."""
    match journey.enter:
        case EnterOnBirthday() if customer.birth_date is None:
            reason = "birth_date_unknown" if life.erased_at is None else "data_erased"
            return _told(life, journey, reason, {})
        case EnterOnMaturity(kinds=kinds):
            if any(h.kind in kinds and h.matures_on is not None for h in customer.holdings.values()):
                return None
            return _told(life, journey, "no_contract", {"kinds": ", ".join(kinds)})
        case EnterOnAnniversary(of="contract", kinds=kinds):
            if any(holding.kind in (kinds or ()) for holding in customer.holdings.values()):
                return None
            return _told(life, journey, "no_contract", {"kinds": ", ".join(kinds or ())})
        case _:
            return None


def _not_fired(
    life: Life, timer: str, occasion: Occasion, journey: Journey, rules: Rules, window: Window
) -> Answer:
    """Why a moment in the window woke nobody."""
    end = life.before(window.end)
    values: dict[str, object] = {"due_at": occasion.due_at, "reached": life.reached, **occasion.entry}
    if occasion.due_at > life.reached:
        return life.reckoned(life.planned(end, timer), _answer(journey, "still_to_come", values))
    known = _known_since(life, occasion, journey, rules, window)
    if known is None or known.recorded_at < occasion.due_at:
        # Known in time, and yet not waited for: the rules came to the customer later.
        book = life.shelf.at(occasion.due_at - timedelta(microseconds=1))
        if book is None or journey.journey not in book.rules.journeys:
            return _told(life, journey, "in_force_too_late", values)
        return _told(life, journey, "not_waited_for", values)
    told = {**values, "told": known.kind, "told_at": known.recorded_at}
    return life.reckoned(known, _answer(journey, "told_too_late", told))


def _told_together(
    life: Life, customer: Customer, journey: Journey, rules: Rules, window: Window
) -> Iterator[Answer]:
    """Contracts whose own moment lies in the window, and that an earlier enrolment of several told of."""
    enter = journey.enter
    if not isinstance(enter, EnterOnMaturity):
        return
    for event in life.history:
        body = event.body
        if not isinstance(body, EnrolmentStarted | EnrolmentHeldOut) or body.journey != journey.journey:
            continue
        for name in body.covers if event.recorded_at < window.begin else ():
            held = customer.holdings.get(name)
            offset = body.entry.get("offset_days")
            if held is None or held.matures_on is None or not isinstance(offset, int):
                continue
            occasion = occasion_of(journey.journey, matures_on=held.matures_on, offset=offset)
            day = moved_day(held.matures_on + timedelta(days=offset), enter.moved, rules.calendars)
            due_at = at_local(day, time_of(enter.at), customer.zone)
            if occasion in held.told and window.has(due_at):
                values: dict[str, object] = {"holding": name, "with": str(body.entry.get("holding"))}
                yield life.recorded(event, _answer(journey, "told_together", {**values, "due_at": due_at}))


def _known_since(
    life: Life, occasion: Occasion, journey: Journey, rules: Rules, window: Window
) -> Event | None:
    """The event in the window since which the moment is known; None where it was known before."""
    if _has(life.before(window.begin), occasion, journey, rules, window):
        return None
    for event in life.inside(window):
        if event.cause == 0 and _has(life.after(event.version), occasion, journey, rules, window):
            return event
    return None


def _has(customer: Customer, occasion: Occasion, journey: Journey, rules: Rules, window: Window) -> bool:
    return any(found.key == occasion.key for found in _within(customer, journey, rules, window).values())


def _within(customer: Customer, journey: Journey, rules: Rules, window: Window) -> Found:
    """The moments in the window that this state asks for."""
    if not customer.active:
        return {}
    found = occasions(customer, journey, calendars=rules.calendars, not_before=window.begin)
    return {timer: occasion for timer, occasion in found.items() if occasion.due_at < window.end}


def _around(customer: Customer, journey: Journey, rules: Rules, window: Window) -> dict[str, object]:
    """The last moment before the window and the first one after it, as far as the customer has any."""
    told: dict[str, object] = {}
    before = _latest(customer, journey, rules, window.begin)
    ahead = occasions(customer, journey, calendars=rules.calendars, not_before=window.end)
    after = min(ahead.values(), key=lambda found: found.due_at, default=None)
    for name, found in (("last", before), ("next", after)):
        if found is not None:
            told[f"{name}_day"] = local_day(found.due_at, customer.zone).isoformat()
            told[f"{name}_at"] = found.due_at
    if isinstance(journey.enter, EnterOnBirthday):
        rule = journey.enter.leap_day if journey.enter.calendar is None else journey.enter.leap_month
        told |= {"calendar": journey.enter.calendar or "gregorian", "rule": rule}
    return told


def _latest(customer: Customer, journey: Journey, rules: Rules, before: datetime) -> Occasion | None:
    """The last of the moments in somewhat more than a year before an instant."""
    since, latest = before - _A_YEAR_AND_MORE, None
    # What was told of already was a moment all the same.
    holdings = {name: replace(holding, told=()) for name, holding in customer.holdings.items()}
    customer = replace(customer, holdings=holdings)
    while True:
        found = occasions(customer, journey, calendars=rules.calendars, not_before=since)
        past = [occasion for occasion in found.values() if occasion.due_at < before]
        if not past:
            return latest
        latest = max(past, key=lambda occasion: occasion.due_at)
        since = latest.due_at + timedelta(microseconds=1)


def _told(life: Life, journey: Journey, reason: str, values: dict[str, object]) -> Answer:
    return life.reckoned(None, _answer(journey, reason, values))


def _answer(journey: Journey, reason: str, values: dict[str, object]) -> Answer:
    return Answer(
        journey=journey.journey, version=journey.version, reason=reason, basis="reckoned", values=values
    )
