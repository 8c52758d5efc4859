"""What may be said to a customer, and by which rule not: one policy for every journey."""

from collections.abc import Sequence
from datetime import UTC
from typing import Literal

from msgspec import Struct

from domain.catalogue import ChannelName, Purpose
from domain.consent import latest_word
from domain.customer import Customer
from domain.events import Values

ConsentRule = Literal["granted", "not_withdrawn", "not_needed"]


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A published policy. ``care_hold_stops`` lists the purposes that a care hold silences."""

    policy: str
    version: int
    consent: dict[Purpose, ConsentRule]
    care_hold_stops: tuple[Purpose, ...]


class Allowed(Struct, frozen=True, gc=False):
    """The message may leave now, by this channel."""

    channel: ChannelName


class Forbidden(Struct, frozen=True, gc=False):
    """The message must not leave; ``rule`` by name and the values that it saw."""

    channel: ChannelName
    rule: str
    values: Values


Verdict = Allowed | Forbidden


def judge(
    policy: Policy, customer: Customer, *, purpose: Purpose, topic: str, channels: Sequence[ChannelName]
) -> Verdict:
    """The first of ``channels`` by which the message may leave, or the refusal that explains the most.

    A channel without an address says the least: its refusal is told only when every channel lacks one.
    """
    refusals: list[Forbidden] = []
    for channel in channels:
        refusal = _refusal(policy, customer, purpose=purpose, topic=topic, channel=channel)
        if refusal is None:
            return Allowed(channel)
        refusals.append(refusal)
    telling = [refusal for refusal in refusals if refusal.rule != "no_address"]
    return (telling or refusals)[0]


def care_hold(policy: Policy, customer: Customer, *, purpose: Purpose) -> Values | None:
    """What a care hold that silences this purpose is seen to be; None where nothing is held."""
    if purpose in policy.care_hold_stops and customer.care_holds:
        return {"holds": ", ".join(customer.care_holds), "purpose": purpose}
    return None


def _refusal(
    policy: Policy, customer: Customer, *, purpose: Purpose, topic: str, channel: ChannelName
) -> Forbidden | None:
    if customer.gone:
        return Forbidden(channel, "customer_gone", {})
    held = care_hold(policy, customer, purpose=purpose)
    if held is not None:
        return Forbidden(channel, "care_hold", held)
    address = customer.addresses.get(channel)
    if address is None:
        return Forbidden(channel, "no_address", {"channel": channel})
    if address in customer.dead_addresses:
        return Forbidden(channel, "suppressed_address", {"channel": channel})
    return _consent_refusal(policy, customer, purpose=purpose, topic=topic, channel=channel)


def _consent_refusal(
    policy: Policy, customer: Customer, *, purpose: Purpose, topic: str, channel: ChannelName
) -> Forbidden | None:
    rule = policy.consent[purpose]
    if rule == "not_needed":
        return None
    word = latest_word(customer.consents, purpose=purpose, channel=channel, topic=topic)
    if word is None and rule == "not_withdrawn":
        return None
    if word is not None and word.granted:
        return None
    seen: Values = {"purpose": purpose, "channel": channel, "topic": topic}
    if word is None:
        return Forbidden(channel, "no_consent", seen)
    said_at = word.said_at.astimezone(UTC).isoformat()
    return Forbidden(channel, "consent_withdrawn", {**seen, "said_at": said_at, "event": word.version})
