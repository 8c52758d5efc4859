"""The fold: what each event makes of a customer's state.

``evolve`` is pure and total: every event that can be stored is folded, in the order of its version.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from domain import catalogue as facts
from domain import events
from domain.assets import MonthEnd, closed, with_balance
from domain.caps import counted, key_of, uncounted
from domain.catalogue import ChannelName
from domain.clock import local_day, month_number
from domain.consent import Word, remember
from domain.customer import Customer, Entry, Timer
from domain.enrolment import Enrolment, waiting_timer
from domain.events import Event, type_of
from domain.holding import Holding
from domain.message import Message, deferral_timer, message_of_timer

# Names what ``evolve`` makes of a history: raised with every change of its meaning, so that snapshots that an
# earlier version left behind are not taken for a customer's state.
FOLD = 1
# A moment of a wall clock can come again within a day or so when the customer changes zones.
KEYS_KEPT = timedelta(days=3)
V = TypeVar("V")


def evolve(customer: Customer, event: Event) -> Customer:
    """The customer after the event, whose version must be the next one."""
    fold = _FOLDS.get(type(event.body))
    moved = customer if fold is None else fold(customer, event.body, event)
    clock_at = customer.clock_at if customer.clock_at > event.recorded_at else event.recorded_at
    if event.cause or type(event.body) is events.RulebookAdopted:
        return replace(moved, version=event.version, clock_at=clock_at)
    return heard(moved, event.kind, occurred_at=event.occurred_at, clock_at=clock_at)


def heard(customer: Customer, kind: str, *, occurred_at: datetime, clock_at: datetime) -> Customer:
    """The customer one version later, who knows when a fact of this kind last happened and no more of it."""
    last_at = customer.last_at
    known = last_at.get(kind)
    if known is None or known < occurred_at:
        last_at = {**last_at, kind: occurred_at}
    return replace(customer, version=customer.version + 1, clock_at=clock_at, last_at=last_at)


@cache
def is_only_heard(kind: str) -> bool:
    """Whether a fact of this kind changes nothing but when one last happened: its body need not be read."""
    return type_of(kind) not in _FOLDS


def folded(customer: Customer, history: Iterable[Event]) -> Customer:
    """The customer after these events, which follow the version that they are at."""
    for event in history:
        customer = evolve(customer, event)
    return customer


# What the body of each type changes. A table, not one long match: the way to the last type is as short as
# that to the first.


def _timer_fired(customer: Customer, body: events.TimerFired, event: Event) -> Customer:
    messages = customer.messages
    message = messages.get(message_of_timer(body.timer) or "")
    if message is not None:
        due = replace(message, deferred_until=None, due_version=event.version)
        messages = {**messages, message.request.message: due}
    return replace(customer, timers=_without(customer.timers, body.timer), messages=messages)


def _timers_planned(customer: Customer, body: events.TimersPlanned, event: Event) -> Customer:
    timers = {name: timer for name, timer in customer.timers.items() if name not in body.dropped}
    # By name: a stored body has its mappings sorted, one just decided has not.
    for name, due_at in sorted(body.due.items()):
        timers[name] = Timer(due_at, event.version)
    return replace(customer, timers=timers)


def _enrolment_started(customer: Customer, body: events.EnrolmentStarted, event: Event) -> Customer:
    enrolment = Enrolment(body.journey, body.version, body.key, body.entry)
    now = event.recorded_at
    last = customer.entered.get(body.journey)
    recent = {key: at for key, at in last.keys.items() if now - at <= KEYS_KEPT} if last else {}
    return replace(
        customer,
        enrolments={**customer.enrolments, body.enrolment: enrolment},
        entered={**customer.entered, body.journey: Entry(now, {**recent, body.key: now})},
    )


def _enrolment_waiting(customer: Customer, body: events.EnrolmentWaiting, event: Event) -> Customer:
    timer = Timer(body.until, event.version)
    return replace(
        customer,
        enrolments=_at_step(customer.enrolments, body.enrolment, body.step),
        timers={**customer.timers, waiting_timer(body.enrolment): timer},
    )


def _enrolment_ended(customer: Customer, body: events.EnrolmentEnded, _: Event) -> Customer:
    messages = customer.messages
    if body.reason != "end":
        messages = {
            name: replace(message, ended=body.reason)
            if message.deferred_until and message.request.enrolment == body.enrolment
            else message
            for name, message in messages.items()
        }
    return replace(
        customer,
        messages=messages,
        enrolments=_without(customer.enrolments, body.enrolment),
        timers=_without(customer.timers, waiting_timer(body.enrolment)),
    )


def _step_taken(
    customer: Customer, body: events.BranchTaken | events.TaskCreated | events.TaskSuppressed, _: Event
) -> Customer:
    return replace(customer, enrolments=_at_step(customer.enrolments, body.enrolment, body.step))


def _message_requested(customer: Customer, body: events.MessageRequested, event: Event) -> Customer:
    return replace(
        customer,
        enrolments=_at_step(customer.enrolments, body.enrolment, body.step),
        messages={
            **customer.messages,
            body.message: Message(body, event.version, event.recorded_at, event.version),
        },
    )


def _message_deferred(customer: Customer, body: events.MessageDeferred, event: Event) -> Customer:
    message = replace(customer.messages[body.message], deferred_until=body.until)
    return replace(
        customer,
        messages={**customer.messages, body.message: message},
        timers={**customer.timers, deferral_timer(body.message): Timer(body.until, event.version)},
    )


def _message_sending(customer: Customer, body: events.MessageSending, event: Event) -> Customer:
    message = customer.messages[body.message]
    day = local_day(event.recorded_at, customer.zone)
    key = key_of(day, purpose=message.request.purpose, channel=body.channel)
    message = replace(
        message,
        sending=body,
        sending_version=event.version,
        sending_at=event.recorded_at,
        counted_as=key,
    )
    return replace(
        customer,
        messages={**customer.messages, body.message: message},
        sends=counted(customer.sends, key),
    )


def _message_ended(customer: Customer, body: events.MessageSuppressed | events.Outcome, _: Event) -> Customer:
    return replace(customer, messages=_without(customer.messages, body.message))


def _message_rejected(customer: Customer, body: events.MessageRejected, _: Event) -> Customer:
    key = customer.messages[body.message].counted_as if body.message in customer.messages else None
    sends = customer.sends if key is None else uncounted(customer.sends, key)
    return replace(customer, messages=_without(customer.messages, body.message), sends=sends)


def _described(
    customer: Customer, body: facts.CustomerRegistered | facts.CustomerChanged, event: Event
) -> Customer:
    given: dict[ChannelName, str | None] = {"email": body.email, "sms": body.phone, "push": body.device}
    addresses = {**customer.addresses, **{name: to for name, to in given.items() if to is not None}}
    return replace(
        customer,
        registered_at=customer.registered_at
        or (event.recorded_at if isinstance(body, facts.CustomerRegistered) else None),
        birth_date=body.birth_date or customer.birth_date,
        given_name=customer.given_name if body.given_name is None else body.given_name,
        family_name=customer.family_name if body.family_name is None else body.family_name,
        language=body.language or customer.language,
        zone=body.zone or customer.zone,
        region=body.region or customer.region,
        addresses={name: to for name, to in addresses.items() if to},
    )


def _left(customer: Customer, _: facts.CustomerMerged | facts.CustomerErased, __: Event) -> Customer:
    return replace(customer, gone=True)


def _consented(
    customer: Customer, body: facts.ConsentGranted | facts.ConsentWithdrawn, event: Event
) -> Customer:
    word = Word(
        purpose=body.purpose,
        channel=body.channel,
        topic=body.topic,
        granted=isinstance(body, facts.ConsentGranted),
        said_at=event.occurred_at,
        provenance=body.provenance,
        version=event.version,
    )
    return replace(customer, consents=remember(customer.consents, word))


def _holding_opened(customer: Customer, body: facts.HoldingOpened, _: Event) -> Customer:
    holding = Holding(body.kind, body.product or "", body.matures_on)
    return replace(customer, holdings={**customer.holdings, body.holding: holding})


def _holding_changed(customer: Customer, body: facts.HoldingChanged, _: Event) -> Customer:
    known = customer.holdings.get(body.holding)
    if known is None:
        return customer
    holding = Holding(known.kind, body.product or known.product, body.matures_on or known.matures_on)
    return replace(customer, holdings={**customer.holdings, body.holding: holding})


def _holding_closed(customer: Customer, body: facts.HoldingClosed, _: Event) -> Customer:
    return replace(customer, holdings=_without(customer.holdings, body.holding))


def _balance_recorded(customer: Customer, body: facts.BalanceRecorded, event: Event) -> Customer:
    month = month_number(local_day(event.occurred_at, customer.zone))
    balance = MonthEnd(month, body.amount, body.currency or "", event.occurred_at)
    return replace(customer, balances=with_balance(customer.balances, body.account, balance))


def _account_closed(customer: Customer, body: facts.AccountClosed, event: Event) -> Customer:
    month = month_number(local_day(event.occurred_at, customer.zone))
    balances = closed(customer.balances, body.account, month=month, at=event.occurred_at)
    return replace(customer, balances=balances)


def _risk_assessed(customer: Customer, body: facts.RiskAssessed, _: Event) -> Customer:
    return replace(customer, risk_level=body.level, risk_valid_until=body.valid_until)


def _care_hold_placed(customer: Customer, body: facts.CareHoldPlaced, _: Event) -> Customer:
    if body.reason in customer.care_holds:
        return customer
    return replace(customer, care_holds=(*customer.care_holds, body.reason))


def _care_hold_lifted(customer: Customer, body: facts.CareHoldLifted, _: Event) -> Customer:
    return replace(customer, care_holds=tuple(r for r in customer.care_holds if r != body.reason))


def _address_died(
    customer: Customer, body: facts.ContactBounced | facts.ContactComplained, _: Event
) -> Customer:
    if body.address in customer.dead_addresses:
        return customer
    return replace(customer, dead_addresses=(*customer.dead_addresses, body.address))


_FOLDS: dict[type[Struct], Callable[[Customer, Any, Event], Customer]] = {
    events.TimerFired: _timer_fired,
    events.TimersPlanned: _timers_planned,
    events.EnrolmentStarted: _enrolment_started,
    events.EnrolmentWaiting: _enrolment_waiting,
    events.EnrolmentEnded: _enrolment_ended,
    events.BranchTaken: _step_taken,
    events.TaskCreated: _step_taken,
    events.TaskSuppressed: _step_taken,
    events.MessageRequested: _message_requested,
    events.MessageDeferred: _message_deferred,
    events.MessageSending: _message_sending,
    events.MessageSuppressed: _message_ended,
    events.MessageAccepted: _message_ended,
    events.MessageRejected: _message_rejected,
    events.MessageUnknown: _message_ended,
    facts.CustomerRegistered: _described,
    facts.CustomerChanged: _described,
    facts.CustomerMerged: _left,
    facts.CustomerErased: _left,
    facts.ConsentGranted: _consented,
    facts.ConsentWithdrawn: _consented,
    facts.HoldingOpened: _holding_opened,
    facts.HoldingChanged: _holding_changed,
    facts.HoldingClosed: _holding_closed,
    facts.BalanceRecorded: _balance_recorded,
    facts.AccountClosed: _account_closed,
    facts.RiskAssessed: _risk_assessed,
    facts.CareHoldPlaced: _care_hold_placed,
    facts.CareHoldLifted: _care_hold_lifted,
    facts.ContactBounced: _address_died,
    facts.ContactComplained: _address_died,
}


def _at_step(enrolments: dict[str, Enrolment], name: str, step: str) -> dict[str, Enrolment]:
    enrolment = enrolments[name]
    visits = {**enrolment.visits, step: enrolment.visits.get(step, 0) + 1}
    return {**enrolments, name: replace(enrolment, step=step, visits=visits)}


def _without(mapping: dict[str, V], name: str) -> dict[str, V]:
    """The mapping without this name; the very same one where it is not in it."""
    if name not in mapping:
        return mapping
    return {key: value for key, value in mapping.items() if key != name}
