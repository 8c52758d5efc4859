"""Whether a message may leave now: the policy's word, on the customer's state of this moment.

Rules that hold for every channel come first, then those of each channel in the order in which the step lists
them. Each refusal names its rule and the values that it saw.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta

from msgspec import UNSET, Struct

from domain.caps import Cap
from domain.catalogue import ChannelName, Purpose
from domain.clock import at_local, full_years, local_day
from domain.consent import latest_word
from domain.customer import Customer
from domain.events import MessageRequested, Values
from domain.ids import share_of
from domain.message import Message
from domain.policy import VALID_HOURS, ControlGroup, Policy
from domain.quiet import Calendars, quiet_until

_MIDNIGHT = time(0)
_PUT_OFF_AT_MOST = 20


class Allowed(Struct, frozen=True, gc=False):
    """The message may leave now, by this channel.

    ``consent`` is the version of the event with the customer's yes that it rests on; None without one.
    """

    channel: ChannelName
    consent: int | None = None


class Deferred(Struct, frozen=True, gc=False):
    """Not now, but at ``until`` (aware UTC) it is looked at again; ``rule`` by name and the values it saw."""

    channel: ChannelName
    until: datetime
    rule: str
    values: Values


class Forbidden(Struct, frozen=True, gc=False):
    """The message must not leave; ``rule`` by name and the values that it saw."""

    channel: ChannelName
    rule: str
    values: Values


Verdict = Allowed | Deferred | Forbidden
_Refusal = tuple[str, Values]


def judge(
    policy: Policy,
    customer: Customer,
    message: Message,
    *,
    calendars: Calendars,
    now: datetime,
    counts_doubt: bool,
) -> Verdict:
    """The first channel by which the message may leave, else when to look again, else why it must not.

    ``calendars`` by name are those of the rulebook. With ``counts_doubt`` others of which nobody knows
    whether they left count under the caps. A channel without an address says the least: its refusal is told
    only when every channel lacks one.
    """
    request = message.request
    channels = request.channels
    if message.in_doubt and message.postponed is not None:
        # Who may have it already must not get it by another way.
        channels = (message.postponed.channel,)
    refusal = next(_refusals(policy, customer, message, now), None)
    if refusal is not None:
        return Forbidden(channels[0], *refusal)
    verdicts: list[Verdict] = []
    for channel in channels:
        verdict = _by(policy, customer, message, channel, calendars, now, counts_doubt=counts_doubt)
        if isinstance(verdict, Allowed):
            return verdict
        verdicts.append(verdict)
    deferred = [verdict for verdict in verdicts if isinstance(verdict, Deferred)]
    if deferred:
        return min(deferred, key=lambda verdict: verdict.until)
    refused = [verdict for verdict in verdicts if isinstance(verdict, Forbidden)]
    telling = [verdict for verdict in refused if verdict.rule != "no_address"]
    return (telling or refused)[0]


def care_hold(policy: Policy, customer: Customer, *, purpose: Purpose) -> Values | None:
    """What a care hold that silences this purpose is seen to be; None where nothing is held."""
    if purpose in policy.care_hold_stops and customer.care_holds:
        return {"holds": ", ".join(customer.care_holds), "purpose": purpose}
    return None


def _refusals(policy: Policy, customer: Customer, message: Message, now: datetime) -> Iterator[_Refusal]:
    """What forbids the message by any channel."""
    request = message.request
    purpose = request.purpose
    if customer.gone:
        yield "customer_gone", {}
    if message.ended is not None:
        yield "journey_left", {"journey": request.journey, "reason": message.ended}
    held = care_hold(policy, customer, purpose=purpose)
    if held is not None:
        yield "care_hold", held
    group = policy.control_group
    if group is not None and purpose in group.purposes and _is_drawn(group, customer):
        yield "control_group", {"percent": group.percent, "purpose": purpose}
    yield from _age_refusals(policy, customer, purpose, now)
    yield from _suitability_refusals(customer, request, now)
    if request.due_at is not UNSET and (until := valid_until(policy, message)) < now:
        seen: Values = {"due_at": request.due_at.isoformat(), "valid_until": until.isoformat()}
        yield "paused_too_long", {"journey": request.journey, **seen}


def _is_drawn(group: ControlGroup, customer: Customer) -> bool:
    return share_of(group.salt, customer.subject) < group.percent / 100


def _age_refusals(policy: Policy, customer: Customer, purpose: Purpose, now: datetime) -> Iterator[_Refusal]:
    if customer.birth_date is None:
        return
    age = full_years(customer.birth_date, local_day(now, customer.zone))
    for limit in policy.ages:
        if purpose not in limit.purposes:
            continue
        if limit.at_least is not None and age < limit.at_least:
            yield "too_young", {"age": age, "at_least": limit.at_least, "purpose": purpose}
        if limit.at_most is not None and age > limit.at_most:
            yield "too_old", {"age": age, "at_most": limit.at_most, "purpose": purpose}


def _suitability_refusals(customer: Customer, request: MessageRequested, now: datetime) -> Iterator[_Refusal]:
    """A product is recommended to who was assessed for its risk, and as long as the assessment is valid.

    Source: MiFID II art. 25(2), suitability; in China the administrative measures on investor suitability.
    """
    risk = request.product_risk
    if risk is None:
        return
    if customer.risk_level is None:
        yield "risk_not_assessed", {"product_risk": risk}
    elif customer.risk_level < risk:
        yield "risk_too_high", {"product_risk": risk, "assessed": customer.risk_level}
    until = customer.risk_valid_until
    if until is not None and until < local_day(now, customer.zone):
        yield "risk_assessment_expired", {"product_risk": risk, "valid_until": until.isoformat()}


def _by(
    policy: Policy,
    customer: Customer,
    message: Message,
    channel: ChannelName,
    calendars: Calendars,
    now: datetime,
    *,
    counts_doubt: bool,
) -> Verdict:
    address = customer.address(channel)
    if address is None:
        return Forbidden(channel, "no_address", {"channel": channel})
    if address in customer.dead_addresses:
        return Forbidden(channel, "suppressed_address", {"channel": channel})
    purpose = message.request.purpose
    if address in customer.opted_out and purpose in policy.opt_out_stops:
        return Forbidden(channel, "opted_out", {"channel": channel, "purpose": purpose})
    consented = _consented(policy, customer, message.request, channel)
    if isinstance(consented, Forbidden):
        return consented
    return _in_time(policy, customer, message, consented, calendars, now, counts_doubt=counts_doubt)


def _consented(
    policy: Policy, customer: Customer, request: MessageRequested, channel: ChannelName
) -> Allowed | Forbidden:
    purpose, topic = request.purpose, request.topic
    rule = policy.consent[purpose]
    if rule == "not_needed":
        return Allowed(channel)
    word = latest_word(customer.consents, purpose=purpose, channel=channel, topic=topic)
    if word is None and rule == "not_withdrawn":
        return Allowed(channel)
    if word is not None and word.granted:
        return Allowed(channel, word.version)
    seen: Values = {"purpose": purpose, "channel": channel, "topic": topic}
    if word is None:
        return Forbidden(channel, "no_consent", seen)
    said_at = word.said_at.astimezone(UTC).isoformat()
    return Forbidden(channel, "consent_withdrawn", {**seen, "said_at": said_at, "event": word.version})


def _in_time(
    policy: Policy,
    customer: Customer,
    message: Message,
    allowed: Allowed,
    calendars: Calendars,
    now: datetime,
    *,
    counts_doubt: bool,
) -> Verdict:
    """Now, or at the first moment that no quiet hours and no cap stand against, while it makes sense."""
    channel = allowed.channel
    moment, trail = now, list[tuple[timedelta, str, Values]]()
    doubtful = _in_doubt(customer, message, now) if counts_doubt else []
    while (
        against := _put_off(policy, customer, message, channel, calendars, moment, now, doubtful)
    ) is not None:
        rule, values, free_at = against
        if free_at is None or len(trail) == _PUT_OFF_AT_MOST:
            return Forbidden(channel, rule, values)
        trail.append((free_at - moment, rule, values))
        moment = free_at
    if not trail:
        return allowed
    latest = valid_until(policy, message)
    if moment <= latest:
        _, rule, values = trail[0]
        return Deferred(channel, moment, rule, values)
    # The rule that costs most time is the one to tell.
    _, rule, values = max(trail, key=lambda step: step[0])
    seen: Values = {"free_at": moment.isoformat(), "valid_until": latest.isoformat()}
    return Forbidden(channel, rule, values | seen)


def _put_off(
    policy: Policy,
    customer: Customer,
    message: Message,
    channel: ChannelName,
    calendars: Calendars,
    at: datetime,
    now: datetime,
    doubtful: Sequence[Message],
) -> tuple[str, Values, datetime | None] | None:
    """The rule against this moment, what it saw and the next moment to try; None where there is none.

    Those of the ``doubtful`` that a cap concerns count as handed over now.
    """
    request = message.request
    postponed = message.postponed
    if postponed is not None and at < postponed.until:
        told: Values = {"provider": postponed.provider, "reason": postponed.reason, "tries": postponed.tries}
        return "postponed", told, postponed.until
    windows = [
        window
        for window in policy.quiet_hours
        if window.concerns(purpose=request.purpose, channel=channel, region=customer.region)
    ]
    quiet = quiet_until(windows, at, customer.zone, calendars)
    if quiet is not None:
        seen: Values = {"window": quiet.window.name, "zone": customer.zone, "channel": channel}
        on = quiet.window.holidays
        if on is not None and on.has(quiet.day, calendars):
            seen |= {"calendar": on.calendar, "holiday": quiet.day.isoformat()}
        return "quiet_hours", seen, quiet.until
    day = local_day(at, customer.zone)
    for cap in policy.caps:
        if not cap.concerns(purpose=request.purpose, channel=channel):
            continue
        ahead = _ahead(customer, message, cap, now)
        today = local_day(now, customer.zone)
        looked_at = today > day - timedelta(days=cap.in_days)
        in_doubt = sum(_is_counted(cap, other) for other in doubtful) if looked_at else 0
        free = cap.free_from(customer.sends, day, ahead=(today, ahead + in_doubt))
        if free == day:
            continue
        counted = sum(number for _, number in cap.days_of(customer.sends, day)) + in_doubt
        seen = {"cap": cap.name, "at_most": cap.at_most, "in_days": cap.in_days, "counted": counted}
        if ahead:
            seen["ahead"] = ahead
        if in_doubt:
            seen["in_doubt"] = in_doubt
        return "cap", seen, None if free is None else at_local(free, _MIDNIGHT, customer.zone)
    return None


def _ahead(customer: Customer, message: Message, cap: Cap, now: datetime) -> int:
    """Messages of higher priority that were put off till now at most and compete for the same slot."""
    return sum(
        _goes_first(other, message, now)
        and any(cap.concerns(purpose=other.request.purpose, channel=c) for c in other.request.channels)
        for other in customer.messages.values()
    )


def _goes_first(other: Message, message: Message, now: datetime) -> bool:
    due = other.deferred_until is not None and other.deferred_until <= now
    return due and other.request.priority > message.request.priority


def _in_doubt(customer: Customer, message: Message, now: datetime) -> list[Message]:
    """Other messages that may have left and wait for their next try, save those that go first anyhow."""
    return [
        other
        for name, other in customer.messages.items()
        if other.in_doubt
        and other.sending is None
        and name != message.request.message
        and not _goes_first(other, message, now)
    ]


def _is_counted(cap: Cap, doubtful: Message) -> bool:
    """Whether the cap concerns a message that may have left by the channel of its last try."""
    tried = doubtful.postponed
    return tried is not None and cap.concerns(purpose=doubtful.request.purpose, channel=tried.channel)


def valid_until(policy: Policy, message: Message) -> datetime:
    """Till when (aware UTC) the message makes sense, from when it was or should have been asked for."""
    request = message.request
    hours = request.valid_hours or policy.valid_hours.get(request.purpose, VALID_HOURS)
    since = message.requested_at if request.due_at is UNSET else request.due_at
    return since + timedelta(hours=hours)
