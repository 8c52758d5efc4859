"""A customer's state: a fold of their events, never the truth itself.

``evolve`` is pure and total: every event that can be stored is folded, in the order of its version.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from domain import catalogue as facts
from domain import events
from domain.assets import Balances, MonthEnd, closed, with_balance
from domain.catalogue import ChannelName
from domain.clock import EPOCH, local_day, month_number
from domain.consent import Word, remember
from domain.enrolment import Enrolment, waiting_timer
from domain.events import Event
from domain.holding import Holding
from domain.message import Message

# A moment of a wall clock can come again within a day or so when the customer changes zones.
KEYS_KEPT = timedelta(days=3)
V = TypeVar("V")


class Timer(Struct, frozen=True, gc=False):
    """A pending wake-up; ``version`` is that of the event that set it, which becomes the firing's cause."""

    due_at: datetime
    version: int


class Entry(Struct, frozen=True, gc=False):
    """When a journey was last entered (aware UTC), and by which keys of late, each with its instant."""

    at: datetime
    keys: dict[str, datetime]


class Customer(Struct, frozen=True):
    """Everything that decisions may look at. ``clock_at`` never goes back (aware UTC)."""

    subject: str
    version: int = 0
    clock_at: datetime = EPOCH
    registered_at: datetime | None = None
    gone: bool = False
    birth_date: date | None = None
    given_name: str = ""
    family_name: str = ""
    language: str = "en"
    zone: str = "UTC"
    region: str = ""
    addresses: dict[ChannelName, str] = {}
    dead_addresses: tuple[str, ...] = ()
    consents: tuple[Word, ...] = ()
    care_holds: tuple[str, ...] = ()
    risk_level: int | None = None
    holdings: dict[str, Holding] = {}
    balances: Balances = {}
    last_at: dict[str, datetime] = {}
    timers: dict[str, Timer] = {}
    enrolments: dict[str, Enrolment] = {}
    entered: dict[str, Entry] = {}
    messages: dict[str, Message] = {}

    @property
    def next_timer(self) -> tuple[datetime, str] | None:
        """The wake-up that is due first; names decide between equal instants."""
        if not self.timers:
            return None
        return min((timer.due_at, name) for name, timer in self.timers.items())

    @property
    def active(self) -> bool:
        """Whether anything may be decided about this customer at all."""
        return self.registered_at is not None and not self.gone


def evolve(customer: Customer, event: Event) -> Customer:
    """The customer after the event, whose version must be the next one."""
    moved = _fold(customer, event)
    clock_at = customer.clock_at if customer.clock_at > event.recorded_at else event.recorded_at
    if event.cause:
        return replace(moved, version=event.version, clock_at=clock_at)
    last_at = customer.last_at
    known = last_at.get(event.kind)
    if known is None or known < event.occurred_at:
        last_at = {**last_at, event.kind: event.occurred_at}
    return replace(moved, version=event.version, clock_at=clock_at, last_at=last_at)


def folded(subject: str, history: Iterable[Event]) -> Customer:
    """The customer that a history, told from its beginning, makes."""
    customer = Customer(subject)
    for event in history:
        customer = evolve(customer, event)
    return customer


def _fold(customer: Customer, event: Event) -> Customer:
    """What the event's body changes; the commonest kinds stand first."""
    match event.body:
        case facts.TransactionPosted():
            return customer
        case facts.BalanceRecorded() as body:
            return _balance(customer, body, event)
        case events.TimerFired(timer=name):
            return replace(customer, timers=_without(customer.timers, name))
        case events.TimersPlanned() as body:
            timers = {name: timer for name, timer in customer.timers.items() if name not in body.dropped}
            # By name: a stored body has its mappings sorted, one just decided has not.
            for name, due_at in sorted(body.due.items()):
                timers[name] = Timer(due_at, event.version)
            return replace(customer, timers=timers)
        case events.EnrolmentStarted() as body:
            return _entered(customer, body, event)
        case events.EnrolmentWaiting() as body:
            moved = _at_step(customer, body.enrolment, body.step)
            timer = Timer(body.until, event.version)
            return replace(moved, timers={**moved.timers, waiting_timer(body.enrolment): timer})
        case events.EnrolmentEnded(enrolment=enrolment):
            return replace(
                customer,
                enrolments=_without(customer.enrolments, enrolment),
                timers=_without(customer.timers, waiting_timer(enrolment)),
            )
        case events.BranchTaken() | events.TaskCreated() | events.TaskSuppressed() as body:
            return _at_step(customer, body.enrolment, body.step)
        case events.MessageRequested() as body:
            moved = _at_step(customer, body.enrolment, body.step)
            message = Message(body, event.version)
            return replace(moved, messages={**moved.messages, body.message: message})
        case events.MessageSending(message=name) as body:
            message = replace(
                customer.messages[name],
                sending=body,
                sending_version=event.version,
                sending_at=event.recorded_at,
            )
            return replace(customer, messages={**customer.messages, name: message})
        case (
            events.MessageSuppressed(message=name)
            | events.MessageAccepted(message=name)
            | events.MessageRejected(message=name)
            | events.MessageUnknown(message=name)
        ):
            return replace(customer, messages=_without(customer.messages, name))
        case _:
            return _fold_rare_fact(customer, event)


def _fold_rare_fact(customer: Customer, event: Event) -> Customer:
    match event.body:
        case facts.CustomerRegistered() | facts.CustomerChanged() as body:
            return _described(customer, body, event)
        case facts.CustomerMerged() | facts.CustomerErased():
            return replace(customer, gone=True)
        case facts.ConsentGranted() | facts.ConsentWithdrawn() as body:
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
        case facts.HoldingOpened() as body:
            holding = Holding(body.kind, body.product or "", body.matures_on)
            return replace(customer, holdings={**customer.holdings, body.holding: holding})
        case facts.HoldingChanged(holding=name) as body if name in customer.holdings:
            holding = customer.holdings[name]
            holding = Holding(
                holding.kind, body.product or holding.product, body.matures_on or holding.matures_on
            )
            return replace(customer, holdings={**customer.holdings, name: holding})
        case facts.HoldingClosed(holding=name):
            return replace(customer, holdings=_without(customer.holdings, name))
        case facts.AccountClosed(account=name):
            month = month_number(local_day(event.occurred_at, customer.zone))
            balances = closed(customer.balances, name, month=month, at=event.occurred_at)
            return replace(customer, balances=balances)
        case facts.RiskAssessed(level=level):
            return replace(customer, risk_level=level)
        case facts.CareHoldPlaced(reason=reason) if reason not in customer.care_holds:
            return replace(customer, care_holds=(*customer.care_holds, reason))
        case facts.CareHoldLifted(reason=reason):
            return replace(customer, care_holds=tuple(r for r in customer.care_holds if r != reason))
        case facts.ContactBounced() | facts.ContactComplained() as body:
            if body.address in customer.dead_addresses:
                return customer
            return replace(customer, dead_addresses=(*customer.dead_addresses, body.address))
        case _:
            return customer


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


def _balance(customer: Customer, body: facts.BalanceRecorded, event: Event) -> Customer:
    month = month_number(local_day(event.occurred_at, customer.zone))
    balance = MonthEnd(month, body.amount, body.currency or "", event.occurred_at)
    return replace(customer, balances=with_balance(customer.balances, body.account, balance))


def _entered(customer: Customer, body: events.EnrolmentStarted, event: Event) -> Customer:
    enrolment = Enrolment(body.journey, body.version, body.key, body.entry)
    now = event.recorded_at
    last = customer.entered.get(body.journey)
    recent = {key: at for key, at in last.keys.items() if now - at <= KEYS_KEPT} if last else {}
    return replace(
        customer,
        enrolments={**customer.enrolments, body.enrolment: enrolment},
        entered={**customer.entered, body.journey: Entry(now, {**recent, body.key: now})},
    )


def _at_step(customer: Customer, enrolment_id: str, step: str) -> Customer:
    enrolment = customer.enrolments[enrolment_id]
    visits = {**enrolment.visits, step: enrolment.visits.get(step, 0) + 1}
    moved = replace(enrolment, step=step, visits=visits)
    return replace(customer, enrolments={**customer.enrolments, enrolment_id: moved})


def _without(mapping: dict[str, V], name: str) -> dict[str, V]:
    return {key: value for key, value in mapping.items() if key != name}
