"""Which wake-ups a customer's entries need: set, moved or dropped, told as the decision that does it.

Pure. A decision is given only where something changes, so that what is planned already costs no event.
"""

from collections.abc import Callable
from datetime import datetime

from domain.customer import Customer
from domain.events import TimersPlanned
from journeys import admission
from journeys.definition import EnterOnSilence, Journey
from journeys.rulebook import Rules


def birthdays(customer: Customer, journey: Journey, *, now: datetime) -> TimersPlanned | None:
    """What brings the journey's wake-up to the customer's next birthday."""
    return _brought(customer, journey, admission.birthday_plan, now=now, reason="birthday")


def maturities(customer: Customer, journey: Journey, *, now: datetime) -> TimersPlanned | None:
    """What brings the journey's wake-ups to the moments around the customer's contracts."""
    return _brought(customer, journey, admission.maturity_plan, now=now, reason="maturity")


def silence(customer: Customer, journey: Journey, *, now: datetime) -> TimersPlanned | None:
    """Nothing while a wake-up is pending: it looks again when it fires, so facts stay cheap."""
    if admission.entry_timer(journey.journey) in customer.timers or _is_inside(customer, journey):
        return None
    plan = admission.silence_plan(customer, journey, now=now)
    return TimersPlanned(due=plan, reason="silence") if plan else None


def silence_again(customer: Customer, ended: Journey, rules: Rules, *, now: datetime) -> TimersPlanned | None:
    """After an enrolment, a fact that came during it counts, even if there was silence for long since."""
    journey = rules.journeys.get(ended.journey)
    if journey is None or not isinstance(journey.enter, EnterOnSilence):
        return None
    due_at = admission.silence_due(customer, journey)
    timer = admission.entry_timer(journey.journey)
    if due_at is None or timer in customer.timers or _has_entered(customer, journey):
        return None
    return TimersPlanned(due={timer: max(due_at, now)}, reason="silence")


def _brought(
    customer: Customer,
    journey: Journey,
    plan_of: Callable[..., admission.Plan],
    *,
    now: datetime,
    reason: str,
) -> TimersPlanned | None:
    """What brings the journey's pending wake-ups to what the state asks for."""
    prefix = admission.entry_timer(journey.journey)
    pending = {
        name: timer.due_at
        for name, timer in customer.timers.items()
        if name == prefix or name.startswith(f"{prefix}:")
    }
    return _change(pending, plan_of(customer, journey, now=now), reason=reason)


def _change(pending: admission.Plan, wanted: admission.Plan, *, reason: str) -> TimersPlanned | None:
    """The way from the wake-ups that are pending to those that are wanted."""
    due = {name: due_at for name, due_at in wanted.items() if pending.get(name) != due_at}
    dropped = tuple(sorted(pending.keys() - wanted.keys()))
    return TimersPlanned(due=due, dropped=dropped, reason=reason) if due or dropped else None


def _is_inside(customer: Customer, journey: Journey) -> bool:
    return any(state.journey == journey.journey for state in customer.enrolments.values())


def _has_entered(customer: Customer, journey: Journey) -> bool:
    """Whether the silence since the customer's last such fact has led into the journey before."""
    assert isinstance(journey.enter, EnterOnSilence)  # noqa: S101 - asked of silences only
    last = customer.entered.get(journey.journey)
    return last is not None and customer.last_at[journey.enter.of].isoformat() in last.keys
