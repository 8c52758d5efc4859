"""Which wake-ups a customer's entries need: set, moved or dropped, told as the decision that does it.

Pure. A decision is given only where something changes, so that what is planned already costs no event.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from domain.clock import first_at_local
from domain.customer import Customer
from domain.events import TimersPlanned
from journeys import admission
from journeys.definition import (
    EnterOnFact,
    EnterOnRequest,
    EnterOnSegment,
    EnterOnSilence,
    Journey,
    time_of,
)
from journeys.occasions import entry_timer
from journeys.rulebook import Rules


def dated(customer: Customer, journey: Journey, rules: Rules, *, now: datetime) -> TimersPlanned | None:
    """What brings the journey's wake-ups to the days that its entry names."""
    wanted = admission.dated_plan(customer, journey, calendars=rules.calendars, now=now)
    return _change(_pending(customer, journey), wanted, reason=_reason(journey))


def dated_again(
    customer: Customer, journey: Journey, rules: Rules, *, fired_at: datetime
) -> TimersPlanned | None:
    """What is planned after a wake-up that fired: what comes next, beside all that is still pending."""
    pending = _pending(customer, journey)
    wanted = _ahead(customer, journey, rules, pending, now=fired_at)
    return _change(pending, wanted, reason=_reason(journey))


def silence(customer: Customer, journey: Journey, *, now: datetime) -> TimersPlanned | None:
    """Nothing while a wake-up is pending: it looks again when it fires, so facts stay cheap."""
    if entry_timer(journey.journey) in customer.timers or _is_inside(customer, journey):
        return None
    plan = admission.silence_plan(customer, journey, now=now)
    if not plan or _has_entered(customer, journey):
        return None
    return TimersPlanned(due=plan, reason="silence")


def silence_again(customer: Customer, ended: Journey, rules: Rules, *, now: datetime) -> TimersPlanned | None:
    """After an enrolment, a fact that came during it counts, even if there was silence for long since."""
    journey = rules.journeys.get(ended.journey)
    if journey is None or not isinstance(journey.enter, EnterOnSilence):
        return None
    due_at = admission.silence_due(customer, journey)
    timer = entry_timer(journey.journey)
    if due_at is None or timer in customer.timers or _has_entered(customer, journey):
        return None
    return TimersPlanned(due={timer: max(due_at, now)}, reason="silence")


def adopted(customer: Customer, rules: Rules, *, now: datetime) -> Iterator[TimersPlanned]:
    """What brings every pending wake-up of an entry to what these rules ask for, by journeys' names.

    Everything up to and including ``now`` has been lived through: what is planned anew lies after it, and
    what is pending for this very instant stays, unless the journey is not entered in this way any more.
    """
    if not customer.active:
        return
    pending = _entries(customer)
    for name in sorted(pending.keys() | rules.timed.keys()):
        known = pending.get(name, {})
        reason, wanted = _wanted(customer, rules.journeys.get(name), rules, known, now=now)
        if plan := _change(known, wanted, reason=reason):
            yield plan


def _entries(customer: Customer) -> dict[str, admission.Plan]:
    """The pending wake-ups of entries by journey; those of waits belong to who is inside."""
    pending: dict[str, admission.Plan] = {}
    for timer, state in customer.timers.items():
        journey = admission.journey_of_timer(timer)
        if journey is not None:
            pending.setdefault(journey, {})[timer] = state.due_at
    return pending


def _wanted(
    customer: Customer, journey: Journey | None, rules: Rules, pending: admission.Plan, *, now: datetime
) -> tuple[str, admission.Plan]:
    """The reason for a plan, and the wake-ups that the journey should have."""
    if journey is None:
        return "replaced", {}
    match journey.enter:
        case EnterOnSilence() as enter:
            return "silence", _silence_ahead(customer, journey, enter, pending, now=now)
        case EnterOnFact() | EnterOnRequest() | EnterOnSegment():
            return "replaced", {}
        case _:
            return _reason(journey), _ahead(customer, journey, rules, pending, now=now)


def _ahead(
    customer: Customer, journey: Journey, rules: Rules, pending: admission.Plan, *, now: datetime
) -> admission.Plan:
    """The moments after ``now``, and the one that is now where it is still pending."""
    plan_of = partial(admission.dated_plan, customer, journey, calendars=rules.calendars)
    plan = plan_of(now=now + timedelta(microseconds=1))
    if now in pending.values():
        due_now = plan_of(now=now)
        plan |= {name: at for name, at in due_now.items() if pending.get(name) == at}
    return plan


def _silence_ahead(
    customer: Customer, journey: Journey, enter: EnterOnSilence, pending: admission.Plan, *, now: datetime
) -> admission.Plan:
    """An early wake-up stays, since it looks again; one that is too late for these rules comes forward.

    A silence that was long enough before these rules came leads nobody in, except who is waited for.
    """
    timer = entry_timer(journey.journey)
    due_at = admission.silence_due(customer, journey)
    known = pending.get(timer)
    if due_at is None or _has_entered(customer, journey):
        return {}
    if known is not None:
        if due_at <= now:
            due_at = first_at_local(now, days=0, at=time_of(enter.at), zone=customer.zone)
        return {timer: min(known, due_at)}
    if due_at <= now or _is_inside(customer, journey):
        return {}
    return {timer: due_at}


def _pending(customer: Customer, journey: Journey) -> admission.Plan:
    """The journey's wake-ups that have not fired."""
    prefix = entry_timer(journey.journey)
    return {
        name: timer.due_at
        for name, timer in customer.timers.items()
        if name == prefix or name.startswith(f"{prefix}:")
    }


def _reason(journey: Journey) -> str:
    """Why wake-ups are planned: the name of the sort of entry."""
    return str(journey.enter.__struct_config__.tag)


def _change(pending: admission.Plan, wanted: admission.Plan, *, reason: str) -> TimersPlanned | None:
    """The way from the wake-ups that are pending to those that are wanted."""
    due = {name: due_at for name, due_at in wanted.items() if pending.get(name) != due_at}
    dropped = tuple(sorted(pending.keys() - wanted.keys()))
    return TimersPlanned(due=due, dropped=dropped, reason=reason) if due or dropped else None


def _is_inside(customer: Customer, journey: Journey) -> bool:
    return any(state.journey == journey.journey for state in customer.enrolments.values())


def _has_entered(customer: Customer, journey: Journey) -> bool:
    """Whether the silence since the customer's last such fact has led into the journey, or may have.

    Keys are remembered for some days and for the last entry. Where that came by another version in
    another way, and after the fact, the silence may have led in before; no enrolment begins twice.
    """
    assert isinstance(journey.enter, EnterOnSilence)  # noqa: S101 - asked of silences only
    last, last_at = customer.entered.get(journey.journey), customer.last_at.get(journey.enter.of)
    if last is None or last_at is None:
        return False
    if admission.silence_key(last_at) in last.keys:
        return True
    newest = max(last.keys, key=lambda key: (last.keys[key], key))
    return last_at <= last.at and not admission.is_silence_key(newest)
