"""Questions about a customer's silence, asked of a life without a store."""

from datetime import date, datetime

from audit.life import Answer, Life
from audit.ruling import Book
from audit.silence import Question, answers
from domain.clock import EPOCH
from journeys.rulebook import Rules
from support.scenario import Scenario


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
    known = max((event.recorded_at for event in life.history), default=EPOCH)
    told = Life(
        life.customer.subject, life.history, OneBook(life.rules), reached=reached or max(known, FOR_EVER)
    )
    days = Question(
        date.fromisoformat(first), date.fromisoformat(last or first), journey=journey, template=template
    )
    return answers(told, days)


def reason(life: Scenario, day: str, journey: str, *, reached: datetime | None = None) -> str:
    """The one reason for a journey's silence on a day."""
    (answer,) = asked(life, day, journey=journey, reached=reached)
    return answer.reason


FOR_EVER = datetime.fromisoformat("2099-01-01T00:00:00+00:00")
