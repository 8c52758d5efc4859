"""How a customer stands at an instant, told without what would name them."""

from collections.abc import Iterator
from datetime import date, datetime

from msgspec import Struct

from audit.ruling import Ruling
from domain.assets import latest_assets
from domain.caps import Cap
from domain.catalogue import ChannelName, Purpose
from domain.clock import local_day
from domain.consent import Word
from domain.customer import Customer
from domain.enrolment import expiry_timer, waiting_timer
from domain.holding import Holding
from domain.message import Message
from domain.policy import Policy


class CapCount(Struct, frozen=True):
    """A cap of the policy of then: what was ``used`` in its days, by day, and what is ``left`` today.

    ``free_on`` is the first day on which one more may be handed over; None for never.
    """

    cap: str
    purposes: tuple[Purpose, ...]
    channels: tuple[ChannelName, ...]
    at_most: int
    in_days: int
    used: int
    left: int
    days: dict[date, int]
    free_on: date | None


class Inside(Struct, frozen=True):
    """A passage that goes on: at ``step``, till ``until`` at the latest where it waits (aware UTC)."""

    enrolment: str
    journey: str
    version: int
    key: str
    step: str
    visits: dict[str, int]
    until: datetime | None
    expires_at: datetime | None
    held_since: datetime | None


class Underway(Struct, frozen=True):
    """A message that has not ended: requested, deferred, sending or postponed."""

    message: str
    journey: str
    step: str
    template: str
    purpose: Purpose
    channels: tuple[ChannelName, ...]
    status: str
    requested_at: datetime
    until: datetime | None


class WakeUp(Struct, frozen=True):
    """A pending wake-up, and the version of the event that planned it."""

    timer: str
    due_at: datetime
    planned_by: int


class Standing(Struct, frozen=True):
    """Everything that decisions look at, but for names, addresses and the birth date.

    ``channels`` are those of which an address is known; ``dead`` and ``opted_out`` those of them to whose
    address nothing may go. Consents cite the event that they come from.
    """

    at: datetime
    version: int
    registered_at: datetime | None
    since: date | None
    gone: bool
    language: str
    zone: str
    region: str
    birth_date_known: bool
    channels: tuple[str, ...]
    dead: tuple[str, ...]
    opted_out: tuple[str, ...]
    consents: tuple[Word, ...]
    care_holds: tuple[str, ...]
    risk_level: int | None
    risk_valid_until: date | None
    holdings: dict[str, Holding]
    assets: str | None
    profile: dict[str, str | int | bool]
    segments: dict[str, str]
    caps: list[CapCount]
    enrolments: list[Inside]
    messages: list[Underway]
    tasks: dict[str, str]
    timers: list[WakeUp]
    rules: Ruling | None


def standing(customer: Customer, *, at: datetime, policy: Policy | None, ruling: Ruling | None) -> Standing:
    """How the customer stands at ``at`` (aware UTC); caps as ``policy``, that of then, counts them."""
    assets = latest_assets(customer.balances)
    addresses = {name: customer.addresses[name] for name in sorted(customer.addresses)}
    return Standing(
        at=at,
        version=customer.version,
        registered_at=customer.registered_at,
        since=customer.since,
        gone=customer.gone,
        language=customer.language,
        zone=customer.zone,
        region=customer.region,
        birth_date_known=customer.birth_date is not None,
        channels=tuple(addresses),
        dead=tuple(name for name, to in addresses.items() if to in customer.dead_addresses),
        opted_out=tuple(name for name, to in addresses.items() if to in customer.opted_out),
        consents=customer.consents,
        care_holds=customer.care_holds,
        risk_level=customer.risk_level,
        risk_valid_until=customer.risk_valid_until,
        holdings=customer.holdings,
        assets=None if assets is None else f"{assets:f}",
        profile=customer.profile,
        segments=customer.segments,
        caps=[_counted(cap, customer, at) for cap in (policy.caps if policy else ())],
        enrolments=list(_inside(customer)),
        messages=[_underway(name, message) for name, message in customer.messages.items()],
        tasks={name: task.escalate_to for name, task in customer.tasks.items()},
        timers=_ahead(customer),
        rules=ruling,
    )


def _counted(cap: Cap, customer: Customer, at: datetime) -> CapCount:
    today = local_day(at, customer.zone)
    days = dict(cap.days_of(customer.sends, today))
    used = sum(days.values())
    return CapCount(
        cap=cap.name,
        purposes=cap.purposes,
        channels=cap.channels,
        at_most=cap.at_most,
        in_days=cap.in_days,
        used=used,
        left=max(0, cap.at_most - used),
        days=days,
        free_on=cap.free_from(customer.sends, today),
    )


def _inside(customer: Customer) -> Iterator[Inside]:
    for name, state in customer.enrolments.items():
        wait = customer.timers.get(waiting_timer(name))
        expiry = customer.timers.get(expiry_timer(name))
        yield Inside(
            enrolment=name,
            journey=state.journey,
            version=state.version,
            key=state.key,
            step=state.step,
            visits=state.visits,
            until=wait.due_at if wait else None,
            expires_at=expiry.due_at if expiry else None,
            held_since=state.held.since if state.held else None,
        )


def _underway(name: str, message: Message) -> Underway:
    status, until = "requested", None
    if message.sending is not None:
        status = "sending"
    elif message.deferred_until is not None:
        status, until = "deferred", message.deferred_until
    elif message.postponed is not None:
        status, until = "postponed", message.postponed.until
    request = message.request
    return Underway(
        message=name,
        journey=request.journey,
        step=request.step,
        template=request.template,
        purpose=request.purpose,
        channels=request.channels,
        status=status,
        requested_at=message.requested_at,
        until=until,
    )


def _ahead(customer: Customer) -> list[WakeUp]:
    """The pending wake-ups, the one that is due first first."""
    timers = sorted(customer.timers.items(), key=lambda item: (item[1].due_at, item[0]))
    return [WakeUp(name, timer.due_at, timer.version) for name, timer in timers]
