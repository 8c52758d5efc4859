"""What leads a customer into a journey: a fact, a request, or a wake-up whose time has come."""

from datetime import datetime, timedelta

from domain import events
from domain.catalogue import JourneyRequested
from domain.enrolment import enrolment_id, expiry_timer
from domain.events import Event, Values
from journeys import admission, planning
from journeys.admission import fact_key
from journeys.conditions import holds
from journeys.definition import (
    EnterOnFact,
    EnterOnMaturity,
    EnterOnRequest,
    EnterOnSegment,
    EnterOnSilence,
    Journey,
)
from journeys.experiments import is_held_out
from journeys.leaving import leave_all
from journeys.occasions import entry_timer, occasions
from journeys.turn import Call, Told, Turn, values_of
from journeys.walking import advance

# A fact that is told later than this starts no journey: what it would lead to has lost its sense.
TOLD_LATE = timedelta(days=7)


def enter_on_fact(turn: Turn, journey: Journey, told: Told) -> None:
    """This fact, which may be a request, may lead into this journey."""
    enter, fact = journey.enter, told.fact
    if isinstance(enter, EnterOnRequest):
        if isinstance(fact, JourneyRequested) and fact.journey == journey.journey:
            _enter_on_request(turn, journey, enter, fact, told)
        return
    assert isinstance(enter, EnterOnFact)  # noqa: S101 - the rulebook's index holds no other
    entry: Values = {"fact": fact.id, **values_of(fact, enter.values)}
    if _fits(turn, journey, entry) and not _is_late(turn, journey, told):
        enter_journey(turn, journey, key=fact_key(fact), entry=entry, depth=told.depth)


def enter_called(turn: Turn, call: Call) -> None:
    """Another journey asks to let the customer into one; nothing happens where that is not in force."""
    journey = turn.rules.journeys.get(call.journey)
    if journey is not None:
        turn.because = call.version
        enter_journey(turn, journey, key=call.key, entry=call.entry, depth=call.depth)


def wake(turn: Turn, name: str, fired: events.TimerFired) -> None:
    """A wake-up of the journey ``name``: an entry whose time may have come."""
    journey = turn.rules.journeys.get(name)
    if journey is None:
        return
    match journey.enter:
        case EnterOnSilence():
            # A wake-up that another version planned, with another way to enter, starts nothing.
            if fired.timer == entry_timer(name):
                _enter_on_silence(turn, journey)
        case EnterOnFact() | EnterOnRequest() | EnterOnSegment():
            pass
        case _:
            _enter_on_occasion(turn, journey, fired)


def _enter_on_request(
    turn: Turn, journey: Journey, enter: EnterOnRequest, request: JourneyRequested, told: Told
) -> None:
    """Somebody waits for the answer, so each reason against it is recorded."""
    key = fact_key(request)
    entry: Values = {**request.values, "fact": request.id, "requested_by": request.requested_by}
    if _is_late(turn, journey, told):
        return
    if request.values.keys() != set(enter.values):
        differing = {
            "missing": ", ".join(name for name in enter.values if name not in request.values),
            "undeclared": ", ".join(sorted(request.values.keys() - set(enter.values))),
        }
        _refuse(turn, journey, key, "request_values", {**differing})
    elif not _fits(turn, journey, entry):
        _refuse(turn, journey, key, "condition", entry)
    else:
        enter_journey(turn, journey, key=key, entry=entry, depth=told.depth)


def _enter_on_occasion(turn: Turn, journey: Journey, fired: events.TimerFired) -> None:
    """The moment of a day: whose it is follows from the customer's state; then comes the next one."""
    ahead = occasions(turn.customer, journey, calendars=turn.rules.calendars, not_before=fired.due_at)
    occasion = ahead.get(fired.timer)
    if occasion is not None and occasion.due_at == fired.due_at and _fits(turn, journey, occasion.entry):
        enter_journey(turn, journey, key=occasion.key, entry=occasion.entry, covers=occasion.covers)
    # The moments of single contracts are all planned from the beginning.
    if not isinstance(journey.enter, EnterOnMaturity) or journey.enter.merge_days is not None:
        turn.plan(planning.dated_again(turn.customer, journey, turn.rules, fired_at=fired.due_at))


def _enter_on_silence(turn: Turn, journey: Journey) -> None:
    enter = journey.enter
    assert isinstance(enter, EnterOnSilence)  # noqa: S101 - matched by the caller
    due_at = admission.silence_due(turn.customer, journey)
    if due_at is None:
        return
    if due_at > turn.now:
        plan = {entry_timer(journey.journey): due_at}
        turn.record(events.TimersPlanned(due=plan, reason="not_silent"))
        return
    last_at = admission.silence_key(turn.customer.last_at[enter.of])
    entry: Values = {"last_at": last_at, "days": enter.days}
    if _fits(turn, journey, entry):
        enter_journey(turn, journey, key=last_at, entry=entry)


def enter_on_segment(
    turn: Turn, journey: Journey, change: Event, *, occurred_at: datetime, depth: int
) -> None:
    """The change of a class, just recorded of what happened at ``occurred_at``, may lead in."""
    enter, body = journey.enter, change.body
    assert isinstance(enter, EnterOnSegment)  # noqa: S101 - the rulebook's index holds no other
    assert isinstance(body, events.SegmentEntered | events.SegmentLeft)  # noqa: S101 - asked of changes only
    before, found = body.before, body.into if isinstance(body, events.SegmentEntered) else None
    was, now_is = (name is not None and name in (enter.classes or (name,)) for name in (before, found))
    leads = {"entered": now_is and not was, "left": was and not now_is, "changed": was or now_is}
    entry: Values = {"segment": body.segment, "class": found or "", "before": before or ""}
    if not leads[enter.on] or not _fits(turn, journey, entry):
        return
    turn.because, key = change.version, f"{body.segment}:{change.version}"
    late = turn.now - occurred_at
    if late > TOLD_LATE:
        _refuse(turn, journey, key, "told_late", {"days_late": late.days, "days_allowed": TOLD_LATE.days})
    else:
        enter_journey(turn, journey, key=key, entry=entry, depth=depth)


def enter_journey(
    turn: Turn, journey: Journey, *, key: str, entry: Values, depth: int = 0, covers: tuple[str, ...] = ()
) -> None:
    """Let the customer in, or record the first rule that stands against it."""
    if (closed := turn.rules.closed.get(journey.journey)) is not None:
        _refuse(turn, journey, key, closed, {})
        return
    for rule, values in admission.refusals(turn.customer, journey, key=key, depth=depth, now=turn.now):
        _refuse(turn, journey, key, rule, values)
        return
    enrolment = enrolment_id(turn.customer.subject, journey=journey.journey, key=key)
    goal_days = journey.goal.within_days if journey.goal else None
    if journey.holdout is not None and is_held_out(journey, turn.customer.subject):
        turn.record(
            events.EnrolmentHeldOut(
                enrolment=enrolment,
                journey=journey.journey,
                version=journey.version,
                key=key,
                entry=entry,
                percent=journey.holdout.percent,
                covers=covers,
                goal_days=goal_days,
            )
        )
        return
    if journey.reentry.inside == "replace":
        leave_all(turn, journey.journey, reason="superseded")
    cause = turn.record(
        events.EnrolmentStarted(
            enrolment=enrolment,
            journey=journey.journey,
            version=journey.version,
            key=key,
            entry=entry,
            depth=depth,
            covers=covers,
            goal_days=goal_days,
        )
    )
    if journey.expires_days is not None:
        over_at = turn.now + timedelta(days=journey.expires_days)
        turn.record(
            events.TimersPlanned(due={expiry_timer(enrolment): over_at}, reason="expiry"), cause=cause
        )
    advance(turn, enrolment, journey, journey.steps[0].step, cause=cause)


def _fits(turn: Turn, journey: Journey, entry: Values) -> bool:
    """Whether the entry's own condition holds; who does not fit is not refused, since nobody asked."""
    when = journey.enter.when
    return when is None or holds(when, turn.customer, entry=entry)


def _is_late(turn: Turn, journey: Journey, told: Told) -> bool:
    """Whether the fact was told too late, which is recorded."""
    late = turn.now - told.occurred_at
    if late <= TOLD_LATE:
        return False
    values: Values = {"days_late": late.days, "days_allowed": TOLD_LATE.days}
    _refuse(turn, journey, fact_key(told.fact), "told_late", values)
    return True


def _refuse(turn: Turn, journey: Journey, key: str, rule: str, values: Values) -> None:
    refused = events.AdmissionRefused(
        journey=journey.journey, version=journey.version, key=key, rule=rule, values=values
    )
    turn.record(refused)
