"""What leads a customer into a journey: a fact, or a wake-up whose time has come."""

from datetime import timedelta

from domain import events
from domain.clock import local_day
from domain.enrolment import enrolment_id, expiry_timer
from domain.events import Values
from journeys import admission
from journeys.admission import fact_key
from journeys.conditions import holds
from journeys.definition import EnterOnBirthday, EnterOnFact, EnterOnMaturity, EnterOnSilence, Journey
from journeys.leaving import leave_all
from journeys.turn import Call, Told, Turn, values_of
from journeys.walking import advance

# A fact that is told later than this starts no journey: what it would lead to has lost its sense.
TOLD_LATE = timedelta(days=7)


def enter_on_fact(turn: Turn, journey: Journey, told: Told) -> None:
    """This fact may lead into this journey."""
    enter, fact = journey.enter, told.fact
    assert isinstance(enter, EnterOnFact)  # noqa: S101 - the rulebook's index holds no other
    entry: Values = {"fact": fact.id, **values_of(fact, enter.values)}
    if enter.when is not None and not holds(enter.when, turn.customer, entry=entry):
        return
    key = fact_key(fact)
    late = turn.now - told.occurred_at
    if late > TOLD_LATE:
        _refuse(turn, journey, key, "told_late", {"days_late": late.days, "days_allowed": TOLD_LATE.days})
    else:
        enter_journey(turn, journey, key=key, entry=entry, depth=told.depth)


def enter_called(turn: Turn, call: Call) -> None:
    """Another journey asks to let the customer into one; nothing happens where that is not in force."""
    journey = turn.rules.journeys.get(call.journey)
    if journey is not None:
        turn.because = call.version
        enter_journey(turn, journey, key=call.key, entry=call.entry, depth=call.depth)


def wake(turn: Turn, name: str, timer: str) -> None:
    """A wake-up of the journey ``name``: an entry whose time may have come."""
    journey = turn.rules.journeys.get(name)
    if journey is None:
        return
    # A wake-up that another version planned, with another way to enter, starts nothing.
    simple = timer == admission.entry_timer(name)
    match journey.enter:
        case EnterOnBirthday() as enter if simple:
            _enter_on_birthday(turn, journey, enter)
        case EnterOnMaturity() if not simple:
            entry = admission.maturity_entry(turn.customer, timer)
            if entry is not None:
                enter_journey(turn, journey, key=entry[0], entry=entry[1])
        case EnterOnSilence() if simple:
            _enter_on_silence(turn, journey)
        case _:
            pass


def _enter_on_birthday(turn: Turn, journey: Journey, enter: EnterOnBirthday) -> None:
    birth_date, calendars = turn.customer.birth_date, turn.rules.calendars
    if birth_date is not None:
        today = local_day(turn.now, turn.customer.zone)
        key, entry = admission.birthday_entry(birth_date, enter, today, calendars=calendars)
        enter_journey(turn, journey, key=key, entry=entry)
    later = turn.now + timedelta(microseconds=1)
    if plan := admission.birthday_plan(turn.customer, journey, calendars=calendars, now=later):
        turn.record(events.TimersPlanned(due=plan, reason="birthday"))


def _enter_on_silence(turn: Turn, journey: Journey) -> None:
    enter = journey.enter
    assert isinstance(enter, EnterOnSilence)  # noqa: S101 - matched by the caller
    due_at = admission.silence_due(turn.customer, journey)
    if due_at is None:
        return
    if due_at > turn.now:
        plan = {admission.entry_timer(journey.journey): due_at}
        turn.record(events.TimersPlanned(due=plan, reason="not_silent"))
        return
    last_at = admission.silence_key(turn.customer.last_at[enter.of])
    enter_journey(turn, journey, key=last_at, entry={"last_at": last_at, "days": enter.days})


def enter_journey(turn: Turn, journey: Journey, *, key: str, entry: Values, depth: int = 0) -> None:
    """Let the customer in, or record the first rule that stands against it."""
    for rule, values in admission.refusals(turn.customer, journey, key=key, depth=depth, now=turn.now):
        _refuse(turn, journey, key, rule, values)
        return
    if journey.reentry.inside == "replace":
        leave_all(turn, journey.journey, reason="superseded")
    enrolment = enrolment_id(turn.customer.subject, journey=journey.journey, key=key)
    cause = turn.record(
        events.EnrolmentStarted(
            enrolment=enrolment,
            journey=journey.journey,
            version=journey.version,
            key=key,
            entry=entry,
            depth=depth,
        )
    )
    if journey.expires_days is not None:
        over_at = turn.now + timedelta(days=journey.expires_days)
        turn.record(
            events.TimersPlanned(due={expiry_timer(enrolment): over_at}, reason="expiry"), cause=cause
        )
    advance(turn, enrolment, journey, journey.steps[0].step, cause=cause)


def _refuse(turn: Turn, journey: Journey, key: str, rule: str, values: Values) -> None:
    refused = events.AdmissionRefused(
        journey=journey.journey, version=journey.version, key=key, rule=rule, values=values
    )
    turn.record(refused)
