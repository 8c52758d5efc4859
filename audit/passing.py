"""What the record says of a journey in some days: messages, refusals, who was inside and went where."""

from collections.abc import Iterator, Sequence

from audit.life import Answer, Life, Window
from audit.unmet import Asked, Leaf, unmet
from domain.catalogue import Fact
from domain.customer import Customer
from domain.enrolment import waiting_timer
from domain.events import (
    AdmissionRefused,
    BranchTaken,
    EnrolmentEnded,
    EnrolmentHeld,
    EnrolmentHeldOut,
    EnrolmentMigrated,
    EnrolmentStarted,
    EnrolmentWaiting,
    Event,
    MessageDeferred,
    MessagePostponed,
    MessageRejected,
    MessageRequested,
    MessageSuppressed,
    MessageUnknown,
    SplitTaken,
    StepSkipped,
    status_of,
)
from journeys.definition import Branch, Journey, Send, followers, waits

_FINAL = ("accepted", "suppressed", "rejected", "unknown")
_CAME_BACK = ("message.undelivered/1", "contact.bounced/1")


def of_messages(life: Life, journey: str, window: Window, *, template: str | None) -> Iterator[Answer]:
    """The journey's messages that were alive in the window: sent, suppressed, put off, refused, unknown."""
    for event in life.history:
        body = event.body
        if event.recorded_at >= window.end:
            return
        if isinstance(body, MessageRequested) and body.journey == journey:
            answer = _of_message(life, body, window)
            if answer is not None and template in (None, body.template):
                yield answer


def _of_message(life: Life, request: MessageRequested, window: Window) -> Answer | None:
    about = life.about(request.message)
    own = [event for event in about if not isinstance(event.body, Fact)]
    by_then = [event for event in own if event.recorded_at < window.end]
    last, final = by_then[-1], own[-1]
    if last.recorded_at < window.begin and status_of(last.kind) in _FINAL:
        return None
    reason, values = _fate(last, about)
    now = status_of(final.kind)
    return life.recorded(
        last,
        Answer(
            journey=request.journey,
            version=request.version,
            reason=reason,
            basis="record",
            at=last.recorded_at,
            values={"step": request.step, "template": request.template, "purpose": request.purpose}
            | values
            | ({"became": now, "became_at": final.recorded_at} if final is not last else {}),
            message=request.message,
        ),
    )


def _fate(last: Event, about: Sequence[Event]) -> tuple[str, dict[str, object]]:
    """How far a message came, and the values of the rule that stopped it."""
    body = last.body
    if isinstance(body, MessageSuppressed):
        return "suppressed", {"rule": body.rule, "channel": body.channel, **body.values}
    if isinstance(body, MessageDeferred):
        return "put_off", {"rule": body.rule, "channel": body.channel, "until": body.until, **body.values}
    if isinstance(body, MessagePostponed):
        told = {"provider": body.provider, "because": body.reason, "until": body.until}
        return "postponed", {**told, "in_doubt": body.in_doubt}
    if isinstance(body, MessageRejected | MessageUnknown):
        return status_of(last.kind), {"because": body.reason, "provider": body.provider or ""}
    if status_of(last.kind) != "accepted":
        return "under_way", {"status": status_of(last.kind)}
    back = [event for event in about if event.kind in _CAME_BACK]
    if back:
        return "undelivered", {"told": back[-1].kind, "told_at": back[-1].recorded_at}
    return "sent", {}


def of_admissions(life: Life, journey: str, window: Window) -> Iterator[Answer]:
    """Entries that were refused, and those of who is left out to measure the journey by."""
    for event in life.inside(window):
        match event.body:
            case AdmissionRefused(journey=name, version=version, rule=rule, values=values) if name == journey:
                told: dict[str, object] = {"rule": rule, "key": event.body.key, **values}
                refused = Answer(journey=name, version=version, reason="refused", basis="record", values=told)
                yield life.recorded(event, refused)
            case EnrolmentHeldOut(journey=name, version=version, percent=percent) if name == journey:
                told = {"percent": percent, "key": event.body.key}
                held = Answer(journey=name, version=version, reason="held_out", basis="record", values=told)
                yield life.recorded(event, held)
            case _:
                pass


def of_passages(
    life: Life, journey: str, window: Window, *, template: str | None, spoken: frozenset[str]
) -> Iterator[Answer]:
    """Where each passage stood or went that asked for no message in the window.

    ``spoken`` are the enrolments whose messages have been told of.
    """
    for start in life.history:
        body = start.body
        if start.recorded_at >= window.end:
            return
        if not isinstance(body, EnrolmentStarted) or body.journey != journey or body.enrolment in spoken:
            continue
        answer = _of_passage(life, start, body, window, template=template)
        if answer is not None:
            yield answer


def _of_passage(
    life: Life, start: Event, started: EnrolmentStarted, window: Window, *, template: str | None
) -> Answer | None:
    name = started.enrolment
    own = [event for event in life.about(name) if event.version >= start.version]
    by_then = [event for event in own if event.recorded_at < window.end]
    # A task may be escalated when its passage is long over.
    ended = next((event for event in by_then if isinstance(event.body, EnrolmentEnded)), None)
    if ended is not None and ended.recorded_at < window.begin:
        return _left_before(life, ended, started, window)
    inside = [event for event in by_then if event.recorded_at >= window.begin]
    taken = _turn(life, inside, started, template=template) if inside else None
    if taken is not None:
        return taken
    last = _last_standing(by_then)
    reason, values = _where(last)
    version = _version(by_then, started)
    found = Answer(journey=started.journey, version=version, reason=reason, basis="record", values=values)
    return life.recorded(last, found)


def _turn(
    life: Life, inside: Sequence[Event], started: EnrolmentStarted, *, template: str | None
) -> Answer | None:
    """The step in the window at which a message was passed by; None where there is none."""

    def told(
        event: Event, reason: str, values: dict[str, object], leaves: list[Leaf] | None = None
    ) -> Answer:
        version = _version([e for e in inside if e.version <= event.version], started)
        return life.recorded(
            event,
            Answer(
                journey=started.journey,
                version=version,
                reason=reason,
                basis="record",
                values=values,
                unmet=leaves or [],
            ),
        )

    for event in inside:
        body = event.body
        if isinstance(body, StepSkipped):
            return told(event, "step_skipped", {"step": body.step, "rule": body.reason, **body.values})
        if isinstance(body, EnrolmentEnded) and body.reason != "end":
            return told(event, "left", _ending(body))
        if isinstance(body, SplitTaken):
            way: dict[str, object] = {
                "step": body.step,
                "experiment": body.experiment,
                "way": body.way,
                "next": body.next,
            }
            if _passes_by(life, event, body.step, body.next, template):
                return told(event, "other_experiment_way", way)
        if isinstance(body, BranchTaken) and _passes_by(life, event, body.step, body.next, template):
            leaves = _cases_unmet(life, event, body)
            return told(event, "other_way", {"step": body.step, "next": body.next, **body.values}, leaves)
    return None


def _left_before(life: Life, ended: Event, started: EnrolmentStarted, window: Window) -> Answer | None:
    """The passage that would have gone on in the window, had it not ended before."""
    body = ended.body
    assert isinstance(body, EnrolmentEnded)  # noqa: S101 - asked of ends only
    wait = life.after(ended.version - 1).timers.get(waiting_timer(started.enrolment))
    if body.reason == "end" or wait is None or not window.has(wait.due_at):
        return None
    values = {**_ending(body), "would_go_on_at": wait.due_at}
    found = Answer(
        journey=started.journey, version=started.version, reason="left_before", basis="record", values=values
    )
    return life.recorded(ended, found)


def _ending(body: EnrolmentEnded) -> dict[str, object]:
    return {"step": body.step, "because": body.reason, **({"exit": body.exit} if body.exit else {})}


def _last_standing(events: Sequence[Event]) -> Event:
    """The last event that says where the passage stands."""
    kinds = EnrolmentWaiting | EnrolmentHeld | EnrolmentEnded
    return next((event for event in reversed(events) if isinstance(event.body, kinds)), events[-1])


def _where(event: Event) -> tuple[str, dict[str, object]]:
    match event.body:
        case EnrolmentWaiting(step=step, until=until, work=work):
            return "waiting", {"step": step, "until": until, **({"work": work} if work else {})}
        case EnrolmentHeld(step=step, next=then):
            return "held_up", {"step": step, "next": then}
        case EnrolmentEnded() as ended:
            return "ended_without", _ending(ended)
        case body:
            return "inside", {"step": getattr(body, "step", "")}


def _version(events: Sequence[Event], started: EnrolmentStarted) -> int:
    """The version of the journey in which the passage was, after these of its events."""
    moved = [event.body.version for event in events if isinstance(event.body, EnrolmentMigrated)]
    return moved[-1] if moved else started.version


def _passes_by(life: Life, event: Event, step: str, taken: str, template: str | None) -> bool:
    """Whether another way from the step leads to a message at once that the way taken does not lead to."""
    journey = _journey(life, event)
    if journey is None:
        return False
    others = {way for way in followers(journey.step(step)) if way != taken}
    missed = frozenset[str]().union(*(_said(journey, way) for way in others)) - _said(journey, taken)
    return bool(missed) if template is None else template in missed


def _said(journey: Journey, at: str) -> frozenset[str]:
    """The templates of the messages that are asked for from a step on, before anything is waited for."""
    seen, ahead, said = set[str](), [at], set[str]()
    while ahead:
        name = ahead.pop()
        if name in seen:
            continue
        seen.add(name)
        step = journey.step(name)
        if isinstance(step, Send):
            said.add(step.template)
        if not waits(step):
            ahead += followers(step)
    return frozenset(said)


def _cases_unmet(life: Life, event: Event, taken: BranchTaken) -> list[Leaf]:
    """What stood against the ways of a branch that lead to a message at once; none of a jump.

    A case before the way taken did not hold; one after it is not asked, since that of the way taken held.
    """
    journey = _journey(life, event)
    step = journey.step(taken.step) if journey else None
    before = life.after(event.version - 1)
    state = before.enrolments.get(taken.enrolment)
    if journey is None or not isinstance(step, Branch) or state is None:
        return []
    asked, said = Asked(before, state.entry, state.outcomes), _said(journey, taken.next)
    leaves: list[Leaf] = []
    for place, case in enumerate(step.cases):
        if not asked.holds(case.when):
            leaves += [] if _said(journey, case.next) <= said else unmet(case.when, asked)
            continue
        behind = (*(later.next for later in step.cases[place + 1 :]), step.otherwise)
        if any(not _said(journey, way) <= said for way in behind):
            leaves += unmet(case.when, asked, wanted=False)
        break
    return leaves


def _journey(life: Life, event: Event) -> Journey | None:
    """The version of the journey in which the passage of this event was then."""
    before: Customer = life.after(event.version - 1)
    state = before.enrolments.get(getattr(event.body, "enrolment", ""))
    book = life.shelf.of(event.version)
    if state is None or book is None:
        return None
    return book.rules.versions.get((state.journey, state.version))
