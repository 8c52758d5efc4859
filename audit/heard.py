"""Why no fact, request, silence or class led somebody in: it was never told, told late, or did not fit."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from audit.dated import firings
from audit.life import Answer, Life, Window, of_kind
from audit.unmet import Asked, unmet
from domain.catalogue import Fact, JourneyRequested
from domain.events import (
    AdmissionRefused,
    EnrolmentHeldOut,
    EnrolmentStarted,
    Event,
    FactEmitted,
    SegmentEntered,
    SegmentLeft,
    TimerFired,
    Values,
    Withheld,
)
from journeys.admission import silence_due, silence_key
from journeys.definition import (
    Condition,
    EnterOnFact,
    EnterOnSegment,
    EnterOnSilence,
    Journey,
)
from journeys.rulebook import Rules
from journeys.turn import values_of

_ENTRIES = EnrolmentStarted | EnrolmentHeldOut | AdmissionRefused


def of_facts(life: Life, journey: Journey, enter: EnterOnFact, window: Window) -> Iterator[Answer]:
    """Why no such fact led in."""
    told = list(of_kind(life.inside(window), enter.fact))
    if not told:
        yield _not_told(life, journey, enter.fact, window)
    for event in told:
        in_force = _in_force(life, journey, event)
        found = in_force.enter if in_force else None
        if in_force is None or not isinstance(found, EnterOnFact) or found.fact != enter.fact:
            yield life.reckoned(event, _answer(journey, "not_in_force", {}))
            continue
        if isinstance(event.body, Withheld):
            yield life.reckoned(event, _answer(in_force, "withheld", {}))
            continue
        entry = _entry_of(event, found.values)
        yield _not_fitting(life, event, in_force, found.when, entry)


def of_requests(life: Life, journey: Journey, window: Window) -> Iterator[Answer]:
    """Why no request led in; each one that came was answered on record."""
    asked = [
        event
        for event in life.inside(window)
        if isinstance(event.body, JourneyRequested) and event.body.journey == journey.journey
    ]
    if not asked:
        yield life.reckoned(None, _answer(journey, "not_requested", {}))
    for event in asked:
        yield life.reckoned(event, _answer(journey, "unexplained", {}))


def of_silences(life: Life, journey: Journey, enter: EnterOnSilence, window: Window) -> Iterator[Answer]:
    """Why no silence led in: there never was such a fact, the last one was too late, or it had led in."""
    customer = life.before(window.end)
    last_at = customer.last_at.get(enter.of)
    due_at = silence_due(customer, journey)
    if last_at is None or due_at is None:
        yield life.reckoned(None, _answer(journey, "never_happened", {"fact": enter.of}))
        return
    last = _told_at(life, enter.of, last_at, window.end)
    values = {"fact": enter.of, "last_at": last_at, "days": enter.days, "due_at": due_at}
    fired = firings(life, journey.journey, window)
    if due_at >= window.end:
        yield life.reckoned(last, _answer(journey, "not_silent", values))
    elif fired:
        for event in fired:
            yield _of_silence(life, event, journey)
    elif due_at > life.reached:
        yield life.reckoned(last, _answer(journey, "still_to_come", {**values, "reached": life.reached}))
    else:
        yield _silent_before(life, journey, last_at, values, window)


def _of_silence(life: Life, event: Event, journey: Journey) -> Answer:
    in_force = _in_force(life, journey, event)
    if in_force is None or not isinstance(in_force.enter, EnterOnSilence):
        return life.reckoned(event, _answer(journey, "not_in_force", {}))
    customer = life.asked_at(event)
    last_at, due_at = customer.last_at.get(in_force.enter.of), silence_due(customer, in_force)
    if last_at is None or due_at is None:
        return life.reckoned(event, _answer(in_force, "never_happened", {"fact": in_force.enter.of}))
    entry: Values = {"last_at": silence_key(last_at), "days": in_force.enter.days}
    if due_at > event.recorded_at:
        values = {"fact": in_force.enter.of, "last_at": last_at, "days": in_force.enter.days}
        last = _told_at(life, in_force.enter.of, last_at, event.recorded_at)
        return life.reckoned(last, _answer(in_force, "not_silent", {**values, "due_at": due_at}))
    return _not_fitting(life, event, in_force, in_force.enter.when, entry)


def _silent_before(
    life: Life, journey: Journey, last_at: datetime, values: dict[str, object], window: Window
) -> Answer:
    """What came of a silence that had been long enough before: it led in once, or was asked once."""
    key = silence_key(last_at)
    for event in reversed(life.between(last_at, window.end)):
        body = event.body
        if isinstance(body, _ENTRIES) and body.journey == journey.journey and body.key == key:
            return life.recorded(event, _answer(journey, "entered_before", values))
        if isinstance(body, TimerFired) and body.timer == f"enter:{journey.journey}":
            asked = _of_silence(life, event, journey)
            if asked.reason == "condition":
                return asked
    return life.reckoned(None, _answer(journey, "silent_before_rules", values))


def of_classes(
    life: Life, journey: Journey, enter: EnterOnSegment, rules: Rules, window: Window
) -> Iterator[Answer]:
    """Why no change of class led in."""
    changes = [
        event
        for event in life.inside(window)
        if isinstance(event.body, SegmentEntered | SegmentLeft) and event.body.segment == enter.segment
    ]
    if not changes:
        yield _same_class(life, journey, enter, rules, window)
    for event in changes:
        yield _of_change(life, event, journey)


def _same_class(life: Life, journey: Journey, enter: EnterOnSegment, rules: Rules, window: Window) -> Answer:
    """The class that the customer stayed in, and why they were not in the one that was asked for."""
    customer = life.before(window.end)
    segment = rules.segments.in_force.get(enter.segment)
    since = [
        event
        for event in life.between(life.history[0].recorded_at, window.end)
        if isinstance(event.body, SegmentEntered | SegmentLeft) and event.body.segment == enter.segment
    ]
    found = customer.segments.get(enter.segment)
    wanted = [
        part
        for part in (segment.classes if segment else ())
        if part.name in (enter.classes or (part.name,)) and part.name != found
    ]
    asked = Asked(customer, {})
    leaves = [leaf for part in wanted for leaf in unmet(part.when, asked)] if enter.on == "entered" else []
    answer = Answer(
        journey=journey.journey,
        version=journey.version,
        reason="same_class",
        basis="reckoned",
        values={"segment": enter.segment, "class": found or ""},
        unmet=leaves,
    )
    return life.reckoned(since[-1] if since else None, answer)


def _of_change(life: Life, event: Event, journey: Journey) -> Answer:
    body, in_force = event.body, _in_force(life, journey, event)
    assert isinstance(body, SegmentEntered | SegmentLeft)  # noqa: S101 - asked of changes only
    if in_force is None or not isinstance(in_force.enter, EnterOnSegment):
        return life.reckoned(event, _answer(journey, "not_in_force", {}))
    enter = in_force.enter
    found = body.into if isinstance(body, SegmentEntered) else None
    values: dict[str, object] = {
        "segment": body.segment,
        "class": found or "",
        "before": body.before or "",
        "because": body.reason,
    }
    entry: Values = {"segment": body.segment, "class": found or "", "before": body.before or ""}
    was, now_is = (name is not None and name in (enter.classes or (name,)) for name in (body.before, found))
    leads = {"entered": now_is and not was, "left": was and not now_is, "changed": was or now_is}
    if body.reason == "adopted":
        return life.reckoned(event, _answer(in_force, "class_by_rules", values))
    if not leads[enter.on]:
        return life.reckoned(event, _answer(in_force, "other_class", values))
    return _not_fitting(life, event, in_force, enter.when, entry)


def _not_told(life: Life, journey: Journey, fact: str, window: Window) -> Answer:
    """The fact that would lead in never came in these days; or it happened then and was told later."""
    for event in of_kind(life.history, fact):
        if window.has(event.occurred_at) and event.recorded_at >= window.end:
            values = {"fact": fact, "happened_at": event.occurred_at, "told_at": event.recorded_at}
            return life.reckoned(event, _answer(journey, "told_later", values))
    customer = life.before(window.end)
    last_at = customer.last_at.get(fact)
    last = None if last_at is None else _told_at(life, fact, last_at, window.end)
    values = {"fact": fact, **({"last_at": last_at} if last_at else {})}
    return life.reckoned(last, _answer(journey, "fact_not_told", values))


def _not_fitting(life: Life, event: Event, journey: Journey, when: Condition | None, entry: Values) -> Answer:
    """The condition of the entry, asked again of the state of that moment."""
    asked = Asked(life.asked_at(event), entry)
    if when is None or asked.holds(when):
        return life.reckoned(event, _answer(journey, "unexplained", {**entry}))
    answer = Answer(
        journey=journey.journey,
        version=journey.version,
        reason="condition",
        basis="reckoned",
        values={**entry},
        unmet=unmet(when, asked),
    )
    return life.reckoned(event, answer)


def _entry_of(event: Event, names: Sequence[str]) -> Values:
    """The entry values that the fact would have given."""
    body = event.body
    if isinstance(body, FactEmitted):
        return {"fact": body.id, **{name: body.data.get(name) for name in names}}
    assert isinstance(body, Fact)  # noqa: S101 - asked of facts only
    return {"fact": body.id, **values_of(body, names)}


def _told_at(life: Life, fact: str, happened_at: datetime, before: datetime) -> Event | None:
    """The event of a fact that happened at an instant, told before another."""
    for event in reversed(life.between(life.history[0].recorded_at, before)):
        if event.kind == fact and event.occurred_at == happened_at:
            return event
    return None


def _in_force(life: Life, journey: Journey, event: Event) -> Journey | None:
    """The journey by the rules under which the event was recorded."""
    book = life.shelf.of(event.version)
    return book.rules.journeys.get(journey.journey) if book else None


def _answer(journey: Journey, reason: str, values: dict[str, object]) -> Answer:
    return Answer(
        journey=journey.journey, version=journey.version, reason=reason, basis="reckoned", values=values
    )
