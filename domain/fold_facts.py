"""What each fact makes of a customer's state."""

from collections.abc import Callable
from datetime import date
from typing import Any

from msgspec import Struct, UnsetType
from msgspec.structs import replace

from domain import catalogue as facts
from domain.assets import MonthEnd, closed, with_balance
from domain.catalogue import ChannelName
from domain.clock import local_day, month_number
from domain.consent import Word, remember
from domain.customer import Customer
from domain.enrolment import task_timer
from domain.events import Event
from domain.holding import Holding
from domain.mappings import without


def _described(
    customer: Customer, body: facts.CustomerRegistered | facts.CustomerChanged, event: Event
) -> Customer:
    given: dict[ChannelName, str | UnsetType | None] = {
        "email": body.email,
        "sms": body.phone,
        "push": body.device,
        "wechat": body.wechat,
    }
    addresses = {**customer.addresses, **{name: to for name, to in given.items() if isinstance(to, str)}}
    zone, registered = body.zone or customer.zone, isinstance(body, facts.CustomerRegistered)
    return replace(
        customer,
        registered_at=customer.registered_at or (event.recorded_at if registered else None),
        since=_earlier(customer.since, event, zone) if registered else customer.since,
        birth_date=body.birth_date or customer.birth_date,
        given_name=customer.given_name if body.given_name is None else body.given_name,
        family_name=customer.family_name if body.family_name is None else body.family_name,
        language=body.language or customer.language,
        zone=zone,
        region=body.region or customer.region,
        addresses={name: to for name, to in addresses.items() if to},
    )


def _earlier(since: date | None, event: Event, zone: str) -> date:
    day = local_day(event.occurred_at, zone)
    return day if since is None else min(since, day)


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


def _holding_opened(customer: Customer, body: facts.HoldingOpened, event: Event) -> Customer:
    known = customer.holdings.get(body.holding)
    opened_on = local_day(event.occurred_at, customer.zone)
    told = known.told if known else ()
    holding = Holding(body.kind, body.product or "", body.matures_on, opened_on, told)
    return replace(customer, holdings={**customer.holdings, body.holding: holding})


def _holding_changed(customer: Customer, body: facts.HoldingChanged, _: Event) -> Customer:
    known = customer.holdings.get(body.holding)
    if known is None:
        return customer
    holding = replace(
        known, product=body.product or known.product, matures_on=body.matures_on or known.matures_on
    )
    return replace(customer, holdings={**customer.holdings, body.holding: holding})


def _holding_closed(customer: Customer, body: facts.HoldingClosed, _: Event) -> Customer:
    return replace(customer, holdings=without(customer.holdings, body.holding))


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
    return replace(customer, dead_addresses=_with(customer.dead_addresses, body.address))


def _address_opted_out(customer: Customer, body: facts.ContactOptedOut, _: Event) -> Customer:
    return replace(customer, opted_out=_with(customer.opted_out, body.address))


def _address_opted_in(customer: Customer, body: facts.ContactOptedIn, _: Event) -> Customer:
    return replace(customer, opted_out=tuple(known for known in customer.opted_out if known != body.address))


def address_refused(customer: Customer, channel: ChannelName, address: str, refused: str) -> Customer:
    """The customer one of whose addresses a provider refused for good, or the owner of which opted out."""
    if refused == "opted_out":
        return replace(customer, opted_out=_with(customer.opted_out, address))
    if channel == "push":
        customer = without_device(customer, address)
    return replace(customer, dead_addresses=_with(customer.dead_addresses, address))


def _with(addresses: tuple[str, ...], address: str) -> tuple[str, ...]:
    return addresses if address in addresses else (*addresses, address)


def _device_registered(customer: Customer, body: facts.DeviceRegistered, _: Event) -> Customer:
    """The newest device is written to; it stands last, and of many the oldest is forgotten."""
    others = tuple(known for known in customer.devices if known != body.device)
    return replace(
        customer,
        devices=(*others, body.device)[-_DEVICES_KEPT:],
        addresses={**customer.addresses, "push": body.device},
        dead_addresses=tuple(dead for dead in customer.dead_addresses if dead != body.device),
    )


def _device_retired(customer: Customer, body: facts.DeviceRetired, _: Event) -> Customer:
    return without_device(customer, body.device)


def without_device(customer: Customer, device: str) -> Customer:
    """The customer without this device; the one that came before it is written to."""
    devices = tuple(known for known in customer.devices if known != device)
    addresses = dict(customer.addresses)
    if addresses.get("push") == device:
        del addresses["push"]
        if devices:
            addresses["push"] = devices[-1]
    return replace(customer, devices=devices, addresses=addresses)


def _task_done(customer: Customer, body: facts.TaskDone, _: Event) -> Customer:
    if body.task not in customer.tasks:
        return customer
    return replace(
        customer,
        tasks=without(customer.tasks, body.task),
        timers=without(customer.timers, task_timer(body.task)),
    )


# A person has a few devices; somebody who reinstalls an app every day must not make the state grow.
_DEVICES_KEPT = 10

OF_FACTS: dict[type[Struct], Callable[[Customer, Any, Event], Customer]] = {
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
    facts.TaskDone: _task_done,
    facts.ContactBounced: _address_died,
    facts.ContactComplained: _address_died,
    facts.ContactOptedOut: _address_opted_out,
    facts.ContactOptedIn: _address_opted_in,
    facts.DeviceRegistered: _device_registered,
    facts.DeviceRetired: _device_retired,
}
