"""Questions about a customer's silence, asked of a life without a store."""

from datetime import date, datetime

from audit.life import Answer, Life
from audit.ruling import Book
from audit.silence import Question, answers
from journeys.rulebook import Rules
from support.scenario import Scenario

FOR_EVER = datetime.fromisoformat("2099-01-01T00:00:00+00:00")


class OneBook:
    """The same rules all the time."""

    def __init__(self, rules: Rules) -> None:
        self._book = Book(1, rules)

    def at(self, moment: datetime) -> Book:
        return self._book

    def of(self, version: int) -> Book:
        return self._book


def asked(
    life: Scenario,
    first: str,
    last: str = "",
    *,
    journey: str | None = None,
    template: str | None = None,
    reached: datetime | None = None,
) -> list[Answer]:
    """Why the customer heard nothing on a day, or on the days up to another."""
    told = life_of(life, reached=reached)
    days = Question(
        date.fromisoformat(first), date.fromisoformat(last or first), journey=journey, template=template
    )
    return answers(told, days)


def life_of(life: Scenario, *, reached: datetime | None = None) -> Life:
    """The life as audit looks at it, lived through for ever unless something else is said."""
    book = OneBook(life.rules)
    return Life(life.customer.subject, life.history, book, reached=reached or FOR_EVER)


def reason(life: Scenario, day: str, journey: str, *, reached: datetime | None = None) -> str:
    """The one reason for a journey's silence on a day."""
    (answer,) = asked(life, day, journey=journey, reached=reached)
    return answer.reason
