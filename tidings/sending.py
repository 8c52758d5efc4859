"""From a requested message to the provider's answer: judged, rendered, its intent recorded, handed over.

Nothing here sends before the intent is committed: the worker commits what ``prepare`` gives, then calls
``hand_over``, and records the outcomes.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TypeVar

from channels.base import Accepted, Channel, NotTaken, Outcome, Outgoing, Rejected, Unknown
from domain.catalogue import ChannelName, Purpose
from domain.customer import Customer
from domain.errors import InputRefused, StoreCorrupt
from domain.events import (
    MessageAccepted,
    MessageDeferred,
    MessageRejected,
    MessageRequested,
    MessageSending,
    MessageSuppressed,
    MessageUnknown,
    Values,
)
from domain.events import Outcome as OutcomeEvent
from domain.judgement import Deferred, Forbidden
from journeys.engine import hand_over as judged
from journeys.rulebook import Rules
from templates.model import Template
from templates.render import Rendered, render

A = TypeVar("A")
Templates = Mapping[tuple[str, int], Template]
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
        rendered = _render(request, verdict.channel, customer.language, templates)
    except InputRefused as error:
        # One customer's values must not stop all the others of the partition.
        values: Values = {"template": request.template, "reason": str(error.values.get("reason"))}
        suppressed = MessageSuppressed(
            message=message, channel=verdict.channel, rule="template_fails", values=values
        )
        return suppressed, None
    sending = MessageSending(
        message=message,
        channel=verdict.channel,
        language=rendered.language,
        content_sha256=rendered.sha256,
        consent=verdict.consent,
    )
    return sending, rendered


def outgoing(customer: Customer, message: str, rendered: Rendered) -> Outgoing:
    """A message whose intent is recorded, as its channel takes it."""
    state = customer.messages[message]
    assert state.sending is not None  # noqa: S101 - the intent is folded in before anything leaves
    return Outgoing(
        id=message,
        channel=state.sending.channel,
        address=customer.addresses[state.sending.channel],
        language=state.sending.language,
        heading=rendered.heading,
        text=rendered.text,
        purpose=state.request.purpose,
        at=state.sending_at or customer.clock_at,
    )


def again(customer: Customer, message: str, templates: Templates) -> Outgoing:
    """The very message whose intent was recorded before a crash, rendered again.

    Raises StoreCorrupt where the words would not be those that were recorded.
    """
    state = customer.messages[message]
    assert state.sending is not None  # noqa: S101 - only recorded intents are in the outbox
    rendered = _render(state.request, state.sending.channel, state.sending.language, templates)
    if rendered.sha256 != state.sending.content_sha256:
        raise StoreCorrupt("store.content_differs", message=message)
    return outgoing(customer, message, rendered)


def urgency(message: Outgoing) -> int:
    """How long a message may wait for others: the smallest goes first."""
    return _URGENCY[message.purpose]


async def hand_over(channels: Mapping[ChannelName, Channel], messages: Sequence[Outgoing]) -> list[Outcome]:
    """Give committed intents to their channels, all channels at once, each its most urgent first.

    Outcomes come in the order given.
    """
    groups = _by_channel(messages)
    answers = await asyncio.gather(*(channels[name].send(group) for name, group in groups.items()))
    outcomes = _by_id(groups, answers)
    return [outcomes[message.id] for message in messages]


async def settle(channels: Mapping[ChannelName, Channel], messages: Sequence[Outgoing]) -> list[Outcome]:
    """Find out what became of messages whose outcome a crash has lost.

    A provider that certainly never took a message is given it, under the same id. Where nobody can tell,
    marketing and care stay unknown for ever; service and regulatory go out again under the same id.
    """
    groups = _by_channel(messages)
    answers = await asyncio.gather(*(channels[name].ask(group) for name, group in groups.items()))
    known = _by_id(groups, answers)
    due = [message for message in messages if _may_go(message, known[message.id])]
    sent = dict(zip((message.id for message in due), await hand_over(channels, due), strict=True))
    answered = {name: answer for name, answer in known.items() if not isinstance(answer, NotTaken)}
    return [(answered | sent)[message.id] for message in messages]


def outcome_event(message: str, outcome: Outcome) -> OutcomeEvent:
    """The provider's answer as an event of the customer's history."""
    match outcome:
        case Accepted(provider_id=provider_id):
            return MessageAccepted(message=message, provider_id=provider_id)
        case Rejected(reason=reason):
            return MessageRejected(message=message, reason=reason)
        case Unknown(reason=reason):
            return MessageUnknown(message=message, reason=reason)


def _may_go(message: Outgoing, answer: Outcome | NotTaken) -> bool:
    if isinstance(answer, Unknown):
        return message.purpose in ("service", "regulatory")
    return isinstance(answer, NotTaken)


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


def _render(request: MessageRequested, channel: ChannelName, language: str, templates: Templates) -> Rendered:
    template = templates[request.template, request.template_version]
    return render(template, channel=channel, language=language, variables=request.variables)
