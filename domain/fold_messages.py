"""What each event of a message's life makes of a customer's state."""

from collections.abc import Callable
from typing import Any

from msgspec import UNSET, Struct
from msgspec.structs import replace

from domain import events
from domain.caps import counted, key_of, uncounted
from domain.catalogue import ChannelName
from domain.clock import day_number, local_day
from domain.customer import Customer, Timer
from domain.enrolment import Enrolment
from domain.events import Event, MessageRequested, status_of
from domain.fold_facts import address_refused
from domain.mappings import without
from domain.message import PAUSED, Message, Postponed, deferral_timer, ended_as
from domain.tally import is_over, one_more


def _message_requested(customer: Customer, body: events.MessageRequested, event: Event) -> Customer:
    enrolments = at_step(customer.enrolments, body.enrolment, body.step)
    state, said = enrolments[body.enrolment], (body.step, body.template)
    if said not in state.sent:
        enrolments[body.enrolment] = replace(state, sent=(*state.sent, said))
    return replace(
        customer,
        enrolments=with_outcome(enrolments, body, event),
        messages={
            **customer.messages,
            body.message: Message(body, event.version, event.recorded_at, event.version),
        },
    )


def _message_deferred(customer: Customer, body: events.MessageDeferred, event: Event) -> Customer:
    held = body.rule == PAUSED
    message = replace(customer.messages[body.message], deferred_until=body.until, held=held)
    return replace(
        customer,
        enrolments=with_outcome(customer.enrolments, message.request, event),
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
        sent_to=customer.address(body.channel),
        counted_as=key,
    )
    return replace(
        customer,
        enrolments=with_outcome(customer.enrolments, message.request, event),
        messages={**customer.messages, body.message: message},
        sends=counted(customer.sends, key),
    )


def _message_postponed(customer: Customer, body: events.MessagePostponed, event: Event) -> Customer:
    """It did not leave: it is judged anew, and counts under no cap."""
    message = customer.messages.get(body.message)
    if message is None or message.sending is None:
        return customer
    tries = (message.postponed.tries if message.postponed else 0) + 1
    refused = (body.provider,) if body.provider and not body.in_doubt else ()
    again = replace(
        message,
        due_version=event.version,
        sending=None,
        sending_version=0,
        sending_at=None,
        sent_to=None,
        counted_as=None,
        refused_by=message.refused_by + refused,
        in_doubt=body.provider if body.in_doubt else message.in_doubt,
        postponed=Postponed(body.reason, body.provider, message.sending.channel, body.until, tries),
    )
    sends = customer.sends if message.counted_as is None else uncounted(customer.sends, message.counted_as)
    return replace(customer, messages={**customer.messages, body.message: again}, sends=sends)


def _message_ended(
    customer: Customer, body: events.MessageSuppressed | events.Outcome, event: Event
) -> Customer:
    message = customer.messages.get(body.message)
    if message is None:
        return customer
    moved = replace(
        customer,
        enrolments=with_outcome(customer.enrolments, message.request, event),
        messages=without(customer.messages, body.message),
    )
    if isinstance(body, events.MessageSuppressed):
        return _counted(moved, message.request, body.channel, event)
    return (
        moved if message.sending is None else _counted(moved, message.request, message.sending.channel, event)
    )


def _counted(customer: Customer, request: MessageRequested, channel: ChannelName, event: Event) -> Customer:
    """The customer with one more message that ended so today."""
    day = day_number(event.recorded_at, customer.zone)
    key = ended_as(status_of(event.kind), request, channel)
    kept = {known: days for known, days in customer.message_days.items() if not is_over(days, day)}
    return replace(customer, message_days={**kept, key: one_more(kept.get(key), day)})


def _message_rejected(customer: Customer, body: events.MessageRejected, event: Event) -> Customer:
    message = customer.messages.get(body.message)
    if message is None:
        return _message_ended(customer, body, event)
    key = message.counted_as
    sends = customer.sends if key is None else uncounted(customer.sends, key)
    moved = replace(_message_ended(customer, body, event), sends=sends)
    if message.sending is None or message.sent_to is None or body.refused is UNSET:
        return moved
    return address_refused(moved, message.sending.channel, message.sent_to, body.refused)


def at_step(enrolments: dict[str, Enrolment], name: str, step: str) -> dict[str, Enrolment]:
    """The enrolments, one of which has come to this step once more."""
    enrolment = enrolments[name]
    visits = {**enrolment.visits, step: enrolment.visits.get(step, 0) + 1}
    return {**enrolments, name: replace(enrolment, step=step, visits=visits)}


def with_outcome(
    enrolments: dict[str, Enrolment], request: MessageRequested, event: Event
) -> dict[str, Enrolment]:
    """The enrolments; the one that asked for the message, if it still lives, knows what became of it."""
    enrolment = enrolments.get(request.enrolment)
    if enrolment is None or enrolment.visits.get(request.step) != request.visit:
        return enrolments
    outcomes = {**enrolment.outcomes, request.step: status_of(event.kind)}
    return {**enrolments, request.enrolment: replace(enrolment, outcomes=outcomes)}


OF_MESSAGES: dict[type[Struct], Callable[[Customer, Any, Event], Customer]] = {
    events.MessageRequested: _message_requested,
    events.MessageDeferred: _message_deferred,
    events.MessageSending: _message_sending,
    events.MessageSuppressed: _message_ended,
    events.MessageAccepted: _message_ended,
    events.MessagePostponed: _message_postponed,
    events.MessageRejected: _message_rejected,
    events.MessageUnknown: _message_ended,
}
