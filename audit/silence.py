"""Why somebody heard nothing from a journey in some days, or what they did hear.

What is on record is told first. Where nothing was recorded, the rules of then are asked again of the state of
then, and the answer says that it is so.
"""

from collections.abc import Iterator
from datetime import date, timedelta

from msgspec import Struct
from msgspec.structs import replace

from audit.dated import of_dates
from audit.heard import of_classes, of_facts, of_requests, of_silences
from audit.life import Answer, Life, Window, window_of
from audit.passing import of_admissions, of_messages, of_passages
from audit.ruling import Book
from domain.catalogue import CustomerErased, CustomerMerged, CustomerRegistered, Purpose
from domain.events import Event, MessageRequested
from journeys.admission import journey_of_timer
from journeys.definition import EnterOnFact, EnterOnRequest, EnterOnSegment, EnterOnSilence, Journey

_MOMENT = timedelta(microseconds=1)


class Question(Struct, frozen=True):
    """Days of the customer's calendar, both included, and of what: everything that is not given."""

    first: date
    last: date
    journey: str | None = None
    template: str | None = None
    purpose: Purpose | None = None


def answers(life: Life, question: Question) -> list[Answer]:
    """Every reason, journey by journey in the order of their names; at least one for each."""
    window = window_of(question.first, question.last, life.zone_at(question.first))
    of_all = _of_all(life, question, window)
    if of_all is not None:
        return [of_all]
    book = life.shelf.at(min(window.end - _MOMENT, life.reached))
    found: list[Answer] = []
    for name in _names(life, question, book, window):
        found += _of_journey(life, name, question, book, window)
    return [_marked(answer, life) for answer in found]


def _marked(answer: Answer, life: Life) -> Answer:
    """The answer, saying so where it was worked out when some of what was seen may be erased."""
    if answer.basis == "record" or life.erased_at is None:
        return answer
    return replace(answer, values={**answer.values, "erased_at": life.erased_at})


def _of_all(life: Life, question: Question, window: Window) -> Answer | None:
    """What keeps every journey silent: the customer is not there yet, or no more, or the days are ahead."""
    journey = question.journey or ""
    registered = _first(life, CustomerRegistered)
    if registered is None or registered.recorded_at >= window.end:
        reason, values = "not_registered", dict[str, object]()
        if registered is not None:
            values = {"registered_at": registered.recorded_at, "happened_at": registered.occurred_at}
            late = registered.occurred_at < window.end
            reason = "registered_too_late" if late else "not_yet_registered"
        answer = Answer(journey=journey, reason=reason, basis="record", values=values)
        return answer if registered is None else life.recorded(registered, answer)
    if life.before(window.begin).gone:
        return _gone(life, journey)
    if window.begin > life.reached:
        return _ahead(life, journey, window)
    return None


def _ahead(life: Life, journey: str, window: Window) -> Answer:
    """These days have not been lived through; a wake-up of the journey may be planned for them."""
    customer = life.after(len(life.history))
    reached: dict[str, object] = {"reached": life.reached}
    for timer, pending in sorted(customer.timers.items()):
        if journey_of_timer(timer) == journey and window.has(pending.due_at):
            values = {**reached, "due_at": pending.due_at}
            planned = Answer(journey=journey, reason="still_to_come", basis="record", values=values)
            return life.recorded(life.history[pending.version - 1], planned)
    return Answer(journey=journey, reason="not_reached", basis="reckoned", values=reached)


def _gone(life: Life, journey: str) -> Answer:
    event = _first(life, CustomerErased, CustomerMerged)
    assert event is not None  # noqa: S101 - the state is of somebody who is gone
    body = event.body
    values: dict[str, object] = {"how": "merged" if isinstance(body, CustomerMerged) else "erased"}
    if isinstance(body, CustomerMerged):
        values["into"] = body.into
    return life.recorded(event, Answer(journey=journey, reason="gone", basis="record", values=values))


def _names(life: Life, question: Question, book: Book | None, window: Window) -> list[str]:
    """The journeys that are asked about."""
    if question.journey is not None:
        return [question.journey]
    in_force = book.rules.journeys if book else {}
    purpose = question.purpose
    names = {name for name, journey in in_force.items() if purpose in (None, journey.purpose)}
    if (template := question.template) is not None:
        names &= {name for name, journey in in_force.items() if _says(journey, template)}
        # An older version may have said it.
        names |= {
            event.body.journey
            for event in life.inside(window)
            if isinstance(event.body, MessageRequested) and event.body.template == template
        }
    return sorted(names)


def _says(journey: Journey, template: str) -> bool:
    return any(getattr(step, "template", None) == template for step in journey.steps)


def _of_journey(
    life: Life, name: str, question: Question, book: Book | None, window: Window
) -> Iterator[Answer]:
    messages = list(of_messages(life, name, window, template=question.template))
    yield from messages
    refused = list(of_admissions(life, name, window))
    yield from refused
    spoken = frozenset(_enrolment_of(life, answer.message) for answer in messages)
    inside = list(of_passages(life, name, window, template=question.template, spoken=spoken))
    yield from inside
    if messages or refused or inside:
        return
    if life.before(window.end).gone:
        yield _gone(life, name)
        return
    yield from (_with_rules(answer, book) for answer in _no_entry(life, name, book, window))


def _no_entry(life: Life, name: str, book: Book | None, window: Window) -> Iterator[Answer]:
    """Why nothing was recorded of the journey at all."""
    journey = book.rules.journeys.get(name) if book else None
    if book is None or journey is None:
        yield Answer(journey=name, reason="not_in_force", basis="reckoned")
        return
    match journey.enter:
        case EnterOnFact() as enter:
            yield from of_facts(life, journey, enter, window)
        case EnterOnRequest():
            yield from of_requests(life, journey, window)
        case EnterOnSilence() as enter:
            yield from of_silences(life, journey, enter, window)
        case EnterOnSegment() as enter:
            yield from of_classes(life, journey, enter, book.rules, window)
        case _:
            yield from of_dates(life, journey, book.rules, window)


def _with_rules(answer: Answer, book: Book | None) -> Answer:
    """The answer, naming the rules that were asked where it cites no event."""
    if answer.rules is not None or book is None:
        return answer
    return replace(answer, rules=book.ruling)


def _enrolment_of(life: Life, message: str | None) -> str:
    """The enrolment that asked for a message."""
    requests = (event.body for event in life.history if isinstance(event.body, MessageRequested))
    return next(body.enrolment for body in requests if body.message == message)


def _first(life: Life, *kinds: type) -> Event | None:
    return next((event for event in life.history if isinstance(event.body, kinds)), None)
