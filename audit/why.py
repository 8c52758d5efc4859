"""Why a message was sent or was not: the causes back to the first, each as a sentence's code and values."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import UNSET, Struct

from audit.ruling import Ruling
from domain.catalogue import Fact
from domain.errors import NotFound, StoreCorrupt
from domain.events import (
    AdmissionRefused,
    EnrolmentHeldOut,
    EnrolmentStarted,
    Event,
    MessageDeferred,
    MessageRequested,
    MessageSending,
    MessageSuppressed,
    RulebookAdopted,
    SegmentEntered,
    SegmentLeft,
    TimerFired,
    TimersPlanned,
    Values,
    Withheld,
    status_of,
)

_SHORT = 12


class Link(Struct, frozen=True):
    """One event in a chain of causes (aware UTC)."""

    version: int
    kind: str
    occurred_at: datetime
    recorded_at: datetime
    values: dict[str, object]


class Explanation(Struct, frozen=True):
    """A message, what became of it and why. ``rule`` and ``values`` are those of a refusal.

    ``consent`` is the customer's word that the message rested on, or that forbade it. ``chain`` leads from
    the first cause to the message's last event. ``returns`` is what was told of it afterwards,
    ``rules`` those by which the last word on it was decided, where they are known.
    """

    message: str
    customer: str
    journey: str
    version: int
    step: str
    template: str
    template_version: int
    purpose: str
    topic: str
    channel: str | None
    status: str
    rule: str | None
    values: Values
    consent: Link | None
    chain: list[Link]
    returns: list[Link] = []
    rules: Ruling | None = None


def explain(subject: str, history: Sequence[Event], message: str) -> Explanation:
    """Why ``message`` was or was not sent, from the customer's whole history, told from its beginning.

    Raises NotFound where the history knows no such message.
    """
    about = [event for event in history if getattr(event.body, "message", None) == message]
    life = [event for event in about if not isinstance(event.body, Fact)]
    if not life or not isinstance(request := life[0].body, MessageRequested):
        raise NotFound("message.unknown", message=message)
    last = life[-1]
    # A rule that only put the message off is told while it waits, and in the chain.
    refusal = last.body if isinstance(last.body, MessageSuppressed | MessageDeferred) else None
    return Explanation(
        message=message,
        customer=subject,
        journey=request.journey,
        version=request.version,
        step=request.step,
        template=request.template,
        template_version=request.template_version,
        purpose=request.purpose,
        topic=request.topic,
        channel=_channel(life),
        status=status_of(last.kind),
        rule=refusal.rule if refusal else None,
        values=refusal.values if refusal else {},
        consent=_consent(history, life),
        chain=[link_of(event) for event in causes(history, last)],
        returns=[link_of(event) for event in about if isinstance(event.body, Fact)],
    )


def causes(history: Sequence[Event], event: Event) -> list[Event]:
    """The event and what led to it, the first cause first. Raises StoreCorrupt for a missing cause."""
    chain = [event]
    while (cause := chain[-1].cause) != 0:
        if not 0 < cause < chain[-1].version or history[cause - 1].version != cause:
            raise StoreCorrupt("store.cause_missing", version=chain[-1].version, cause=cause)
        chain.append(history[cause - 1])
    return chain[::-1]


def _consent(history: Sequence[Event], life: Sequence[Event]) -> Link | None:
    """The word that the verdict cites. Raises StoreCorrupt where there is none at that place."""
    cited = [event.body.consent for event in life if isinstance(event.body, MessageSending)]
    cited += [
        int(event.body.values["event"] or 0)
        for event in life[-1:]
        if isinstance(event.body, MessageSuppressed) and event.body.rule == "consent_withdrawn"
    ]
    if not cited or cited[-1] is None:
        return None
    if not 0 < cited[-1] < life[-1].version:
        raise StoreCorrupt("store.cause_missing", version=life[-1].version, cause=cited[-1])
    return link_of(history[cited[-1] - 1])


def _channel(life: Sequence[Event]) -> str | None:
    kinds = MessageSending | MessageSuppressed | MessageDeferred
    judged = [event.body for event in life if isinstance(event.body, kinds)]
    return judged[-1].channel if judged else None


def link_of(event: Event) -> Link:
    """The event as one of a chain of causes."""
    return Link(
        event.version,
        event.kind,
        event.occurred_at,
        event.recorded_at,
        telling(event),
    )


def telling(event: Event) -> dict[str, object]:
    """The values of an event that its sentence may use; none of them names the person."""
    match event.body:
        case TimerFired() as body:
            sort, _, rest = body.timer.partition(":")
            whose = "segment" if sort == "segment" else "journey"
            return {"timer": body.timer, "sort": sort, whose: rest.partition(":")[0]}
        case TimersPlanned() as body:
            instants = ", ".join(f"{at:%Y-%m-%d %H:%M} UTC" for at in sorted(body.due.values()))
            return {"due": instants, "dropped": len(body.dropped), "reason": body.reason}
        case RulebookAdopted() as body:
            return {"rulebook": body.rulebook[:_SHORT]}
        case EnrolmentStarted() | EnrolmentHeldOut() as body:
            entry = _listed(body.entry)
            return {"journey": body.journey, "version": body.version, "key": body.key, "entry": entry}
        case AdmissionRefused() as body:
            return {"journey": body.journey, "version": body.version, "rule": body.rule, **body.values}
        case SegmentEntered() as body:
            told = {"segment": body.segment, "version": body.version, "class": body.into}
            return {**told, "before": body.before, "values": _listed(body.values)}
        case SegmentLeft() as body:
            told = {"segment": body.segment, "version": body.version, "before": body.before}
            return {**told, "values": _listed(body.values)}
        case MessageSuppressed() as body:
            return {"channel": body.channel, "rule": body.rule, **body.values}
        case MessageDeferred() as body:
            return {
                "channel": body.channel,
                "rule": body.rule,
                **body.values,
                "until": f"{body.until:%Y-%m-%d %H:%M} UTC",
            }
        case Withheld() as body:
            return {"removed_by": "retention", "digest": body.digest[:_SHORT]}
        case body:
            return {name: _plain(value) for name, value in _public(body).items()}


def _listed(values: Values) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


_PERSONAL = {
    "given_name",
    "family_name",
    "email",
    "phone",
    "device",
    "wechat",
    "birth_date",
    "address",
    "text",
    "captured_from",
}


def _public(body: Struct) -> dict[str, object]:
    hidden = {*_PERSONAL, "variables"}
    public = {name: getattr(body, name) for name in body.__struct_fields__ if name not in hidden}
    return {name: value for name, value in public.items() if value is not UNSET}


def _plain(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else value
