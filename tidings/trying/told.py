"""One customer's way through one journey, told as sentences."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from audit.why import telling
from domain.customer import Customer
from domain.events import (
    AdmissionRefused,
    EnrolmentEnded,
    EnrolmentStarted,
    Event,
    MessageRequested,
    MessageSuppressed,
    TimersPlanned,
)
from tidings.wording import Wording

_NAMED = {
    "purpose": "purpose.{}",
    "channel": "channel.{}",
    "rule": "{}",
    "role": "{}",
}


def passage(before: Customer, events: Sequence[Event], journey: str) -> list[Event]:
    """The customer's events that belong to the journey, and what led to each, in order.

    ``before`` is the customer as they were before the first of the events. Wake-ups that only looked, and
    set the next, are left out.
    """
    by_version = {event.version: event for event in events}
    wanted: dict[int, Event] = {}
    for event in _own(before, events, journey):
        cause: Event | None = event
        while cause is not None and cause.version not in wanted:
            wanted[cause.version] = cause
            cause = by_version.get(cause.cause)
    detours = set[int]()
    for version, event in wanted.items():
        if isinstance(event.body, TimersPlanned) and event.body.reason == "not_silent":
            detours |= {version, event.cause}
    return [wanted[version] for version in sorted(wanted.keys() - detours)]


def _own(before: Customer, events: Sequence[Event], journey: str) -> Iterator[Event]:
    """The events of the journey's enrolments, refusals and messages."""
    enrolments = {name for name, state in before.enrolments.items() if state.journey == journey}
    messages = {name for name, state in before.messages.items() if state.request.journey == journey}
    for event in events:
        body = event.body
        if isinstance(body, EnrolmentStarted) and body.journey == journey:
            enrolments.add(body.enrolment)
        if isinstance(body, MessageRequested) and body.journey == journey:
            messages.add(body.message)
        if (
            getattr(body, "journey", None) == journey
            or getattr(body, "enrolment", None) in enrolments
            or getattr(body, "message", None) in messages
        ):
            yield event


def sentences(before: Customer, events: Sequence[Event], wording: Wording) -> list[str]:
    """Each event as a sentence of one language; an answer that says yes needs none."""
    asked = {name: state.request for name, state in before.messages.items()}
    asked |= {event.body.message: event.body for event in events if isinstance(event.body, MessageRequested)}
    told = (_sentence(event, asked, wording) for event in events)
    return [sentence for sentence in told if sentence is not None]


def _sentence(event: Event, asked: Mapping[str, MessageRequested], wording: Wording) -> str | None:
    kind = event.kind.partition("/")[0]
    if kind == "message.accepted":
        return None
    values = {name: _worded(name, value, wording) for name, value in telling(event).items()}
    if isinstance(reason := values.get("reason"), str):
        # Plans and waits have reasons of their own.
        codes = (f"{'wait' if kind == 'wait.ended' else 'plan'}.{reason}", reason)
        values["reason"] = wording.tell(next(filter(wording.has, codes), reason))
    values["at"] = _shown(event.occurred_at)
    if (request := asked.get(getattr(event.body, "message", ""))) is not None:
        values["template"] = request.template
    if isinstance(event.body, MessageSuppressed):
        values["why"] = wording.tell(f"rule.{event.body.rule}", values)
    if isinstance(event.body, AdmissionRefused):
        values["rule"] = wording.tell(f"refused.{event.body.rule}")
    if isinstance(event.body, EnrolmentEnded):
        kind += f".{event.body.reason}"
    if "sort" in values:
        kind += f".{values['sort']}"
    for code in (f"trace.{kind}", f"why.cause.{kind}"):
        if wording.has(code):
            return wording.tell(code, values)
    return wording.tell("why.cause.fact" if event.cause == 0 else "trace.decided", {**values, "kind": kind})


def _worded(name: str, value: object, wording: Wording) -> object:
    """A value as people read it: names of the language where it has them."""
    if isinstance(value, datetime):
        return _shown(value)
    code = _NAMED.get(name, "").format(value)
    return wording.tell(code) if wording.has(code) else value


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
