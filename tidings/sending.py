"""From a requested message to the provider's answer: judged, rendered, its intent recorded, handed over.

Nothing here sends before the intent is committed: the worker commits what ``prepare`` gives, then calls
``hand_over``, and records the outcomes.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from msgspec import UNSET

from channels.base import Accepted, Answer, Channel, Image, Outcome, Outgoing, Rejected, Retry, Unknown
from domain.catalogue import ChannelName, Purpose
from domain.customer import Customer
from domain.errors import InputRefused
from domain.events import (
    MessageAccepted,
    MessageDeferred,
    MessagePostponed,
    MessageRejected,
    MessageRequested,
    MessageSending,
    MessageSuppressed,
    MessageUnknown,
    Values,
)
from domain.events import Outcome as OutcomeEvent
from domain.judgement import Deferred, Forbidden, valid_until
from journeys.engine import hand_over as judged
from journeys.rulebook import Rules
from scheduler.backoff import LONGEST, delay
from templates.images import pictures
from templates.missing import Held, Skipped
from templates.model import Template
from templates.render import Rendered, render
from tidings.missing_data import for_want, words_of

A = TypeVar("A")
Templates = Mapping[tuple[str, int], Template]
# Judged so long ago that the word does not hold any more.
TOO_LATE = Retry("judged_too_long_ago", after=timedelta(0))
# Purposes that go out again where it cannot be told whether they did, and how often at most.
_AGAIN: tuple[Purpose, ...] = ("service", "regulatory")
_TRIES_IN_DOUBT = 6
_URGENCY: dict[Purpose, int] = {"regulatory": 0, "service": 1, "care": 2, "marketing": 3}


def prepare(
    customer: Customer, message: str, rules: Rules, templates: Templates
) -> tuple[MessageSending | MessageDeferred | MessageSuppressed, Rendered | None]:
    """The policy's word on a requested message, on current state, and its content if it may leave."""
    verdict = judged(customer, message, rules)
    request = customer.messages[message].request
    if isinstance(verdict, Forbidden):
        suppressed = MessageSuppressed(
            message=message, channel=verdict.channel, rule=verdict.rule, values=verdict.values
        )
        return suppressed, None
    if isinstance(verdict, Deferred):
        deferred = MessageDeferred(
            message=message,
            channel=verdict.channel,
            until=verdict.until,
            rule=verdict.rule,
            values=verdict.values,
        )
        return deferred, None
    try:
        rendered = _render(customer, request, verdict.channel, customer.language, templates)
    except InputRefused as error:
        # One customer's values must not stop all the others of the partition.
        values: Values = {"template": request.template, "reason": str(error.values.get("reason"))}
        suppressed = MessageSuppressed(
            message=message, channel=verdict.channel, rule="template_fails", values=values
        )
        return suppressed, None
    if isinstance(rendered, Held | Skipped):
        return for_want(customer, message, rendered, channel=verdict.channel, rules=rules), None
    sending = MessageSending(
        message=message,
        channel=verdict.channel,
        language=rendered.language,
        content_sha256=rendered.sha256,
        consent=verdict.consent,
    )
    return sending, rendered


def outgoing(
    customer: Customer, message: str, rendered: Rendered, *, rules: Rules, templates: Templates
) -> Outgoing:
    """A message whose intent is recorded, as its channel takes it."""
    state = customer.messages[message]
    request = state.request
    template = templates[request.template, request.template_version]
    assert state.sending is not None  # noqa: S101 - the intent is folded in before anything leaves
    return Outgoing(
        id=message,
        channel=state.sending.channel,
        address=state.sent_to or "",
        language=state.sending.language,
        heading=rendered.heading,
        text=rendered.text,
        html=rendered.html,
        images=tuple(Image(p.name, p.media_type, p.data) for p in pictures(template, rendered.html)),
        purpose=request.purpose,
        at=state.sending_at or customer.clock_at,
        expires_at=valid_until(rules.policy, state),
        topic=request.topic,
        customer=customer.subject,
        refused_by=state.refused_by,
        in_doubt=state.in_doubt,
    )


def again(customer: Customer, message: str, *, rules: Rules, templates: Templates) -> Outgoing:
    """The very message whose intent was recorded before a crash, rendered again.

    Where those words cannot be made any more, it has none (``is_lost``): what makes words may have changed
    between the crash and now, and one message must not stop the others.
    """
    state = customer.messages[message]
    assert state.sending is not None  # noqa: S101 - only recorded intents are in the outbox
    channel, language = state.sending.channel, state.sending.language
    try:
        rendered = _render(customer, state.request, channel, language, templates)
    except InputRefused:
        rendered = None
    if not isinstance(rendered, Rendered) or rendered.sha256 != state.sending.content_sha256:
        rendered = Rendered(channel, language, "", "")
    return outgoing(customer, message, rendered, rules=rules, templates=templates)


def is_lost(message: Outgoing) -> bool:
    """Whether its words cannot be made any more; a message that was rendered has some."""
    return not message.text


def urgency(message: Outgoing) -> int:
    """How long a message may wait for others: the smallest goes first."""
    return _URGENCY[message.purpose]


async def hand_over(
    channels: Mapping[ChannelName, Channel],
    messages: Sequence[Outgoing],
    *,
    is_stale: Callable[[Outgoing], bool],
) -> list[Outcome]:
    """Give committed intents to their channels, all channels at once, each its most urgent first.

    Who may have a message already is asked before; ``is_stale`` says afterwards whether that took so long
    that it has to be judged again. Outcomes come in the order given.
    """
    groups = _by_channel(messages)
    sending = (_send(channels[name], group, is_stale) for name, group in groups.items())
    answers = await asyncio.gather(*sending)
    outcomes = _by_id(groups, answers)
    return [outcomes[message.id] for message in messages]


async def settle(channels: Mapping[ChannelName, Channel], messages: Sequence[Outgoing]) -> list[Answer]:
    """What became of messages whose outcome a crash has lost, as far as their channels can tell."""
    groups = _by_channel(messages)
    answers = await asyncio.gather(*(channels[name].ask(group) for name, group in groups.items()))
    known = _by_id(groups, answers)
    return [known[message.id] for message in messages]


async def close(channels: Mapping[ChannelName, Channel]) -> None:
    """Let all channels go of their connections."""
    for channel in {id(channel): channel for channel in channels.values()}.values():
        await channel.close()


def outcome_event(message: Outgoing, outcome: Outcome, *, at: datetime, tries: int) -> OutcomeEvent:
    """The provider's answer of ``at`` (aware UTC) as an event; ``tries`` came to nothing before.

    What certainly did not leave is judged again later. Where it cannot be told, marketing and care end so
    and never go out again; service and regulatory go again to the same provider under the same id.
    """
    match outcome:
        case Accepted(provider_id=provider_id):
            return MessageAccepted(
                message=message.id, provider_id=provider_id, provider=outcome.provider or UNSET
            )
        case Rejected(reason=reason, refused=refused):
            return MessageRejected(
                message=message.id,
                reason=reason,
                provider=outcome.provider or UNSET,
                refused=UNSET if refused == "message" else refused,
            )
        case Retry(reason=reason, after=after):
            wait = delay(tries + 1, key=message.id) if after is None else min(after, LONGEST)
            return MessagePostponed(
                message=message.id, reason=reason, until=at + wait, provider=outcome.provider
            )
        case Unknown(reason=reason) if message.purpose in _AGAIN and tries < _TRIES_IN_DOUBT:
            return MessagePostponed(
                message=message.id,
                reason=reason,
                until=at + delay(tries + 1, key=message.id),
                provider=outcome.provider,
                in_doubt=True,
            )
        case Unknown(reason=reason):
            return MessageUnknown(message=message.id, reason=reason, provider=outcome.provider or UNSET)


async def _send(
    channel: Channel, messages: Sequence[Outgoing], is_stale: Callable[[Outgoing], bool]
) -> list[Outcome]:
    """Hand over what nobody has yet, ask about the rest and about what nobody knows now."""
    # An answer may take long: what need not wait for it leaves before.
    told = await _given(channel, [m for m in messages if not m.in_doubt])
    told |= await _asked(channel, [m for m in messages if m.in_doubt])
    again = [message for message in messages if message.id not in told]
    told |= {message.id: TOO_LATE for message in again if is_stale(message)}
    told |= await _given(channel, [m for m in again if m.id not in told])
    lost = [m for m in messages if isinstance(told[m.id], Unknown) and m.purpose not in _AGAIN]
    told |= await _asked(channel, lost)
    return [told[message.id] for message in messages]


async def _given(channel: Channel, messages: Sequence[Outgoing]) -> dict[str, Outcome]:
    """What the channel answers to these messages, by id."""
    if not messages:
        return {}
    answers = zip(messages, await channel.send(messages), strict=True)
    return {message.id: outcome for message, outcome in answers}


async def _asked(channel: Channel, messages: Sequence[Outgoing]) -> dict[str, Outcome]:
    """What the channel knows for sure of these messages, by id."""
    if not messages:
        return {}
    answers = zip(messages, await channel.ask(messages), strict=True)
    return {message.id: said for message, said in answers if isinstance(said, Accepted | Rejected)}


def _by_channel(messages: Sequence[Outgoing]) -> dict[ChannelName, list[Outgoing]]:
    groups: dict[ChannelName, list[Outgoing]] = {}
    for message in sorted(messages, key=urgency):
        groups.setdefault(message.channel, []).append(message)
    return groups


def _by_id(groups: Mapping[ChannelName, Sequence[Outgoing]], answers: Sequence[Sequence[A]]) -> dict[str, A]:
    return {
        message.id: answer
        for group, said in zip(groups.values(), answers, strict=True)
        for message, answer in zip(group, said, strict=True)
    }


def _render(
    customer: Customer,
    request: MessageRequested,
    channel: ChannelName,
    language: str,
    templates: Templates,
) -> Rendered | Held | Skipped:
    template = templates[request.template, request.template_version]
    words = words_of(customer, request, template, channel=channel, language=language)
    if isinstance(words, Held | Skipped):
        return words
    return render(template, channel=channel, language=language, variables=words)
