"""What a made-up bank tells besides accounts and contracts: statements, services, losses, risks, answers.

All of it is assumed; nothing of the kind is in the real records. It is drawn by a chance of its own, so that
it changes nothing of what the customers' other facts are.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from domain.catalogue import ComplaintResolved, Envelope, HoldingOpened
from domain.clock import local_day, month_number
from tidings.synthetic_people import Person, money, some_day, telling

# As the chance in a year, where nothing else is said.
IDLE, IDLE_DAYS = 0.2, (20, 90)  # of those who join: begin only so many days later
LEAVE, LEAVING_MONTHS, LEFT = 0.03, 3, (0.55, 0.8)  # assets fall for so many months to such parts
SERVED, SERVED_AGAIN = 0.5, (20, 120)  # a talk or a visit; half of them come again so many days later
ANSWERS, SCORES = 0.35, (0, 1, 1, 2, 2, 3, 5, 8, 16, 20, 16)  # how many answer a survey, and 0, 1, ... points
LOST, LOST_AGAIN = 0.25, (10, 60)  # of those with a fund or wealth product; a third of them lose once more
ASSESSED, VALID_DAYS = 0.7, (90, 183, 365)  # of the same
RISK_CHANGED = 0.08  # of the same
LUNAR, LANGUAGE = 0.3, "zh-CN"  # of those who read Chinese: keep the lunar birthday
STATEMENT_MONTHS = (1, 4, 7, 10)  # of the same as losses: statements come on the 5th of these months
INVESTMENTS = ("fund", "wealth_product")
_PERIODS = {1: "Q4", 4: "Q1", 7: "Q2", 10: "Q3"}


def with_a_turn(person: Person, care: Person) -> Person:
    """Some of those who join do not begin at once; some of the others take their money elsewhere."""
    chance = care.chance
    if person.joined in person.period:
        if chance.random() < IDLE:
            return person._replace(silent=range(person.joined, person.joined + chance.randint(*IDLE_DAYS)))
    elif not person.growing and (day := some_day(care, LEAVE)) is not None:
        month = month_number(date.fromordinal(day)) + 1
        return person._replace(leaving=range(month, month + LEAVING_MONTHS))
    return person


def care_facts(person: Person, told: Sequence[Envelope]) -> Iterator[Envelope]:
    """What follows beside the facts that were told so far; ``person`` has a chance of its own."""
    contracts = [fact for fact in told if isinstance(fact.fact, HoldingOpened)]
    held = [fact for fact in contracts if getattr(fact.fact, "kind", "") in INVESTMENTS]
    yield from _birthday(person)
    yield from _services(person)
    yield from _answers_to_complaints(person, told)
    if held:
        yield from _statements(person, held[0])
        yield from _losses(person, held[0])
        yield from _risks(person, held[0])


def _birthday(person: Person) -> Iterator[Envelope]:
    days = person.days_after(person.joined)
    if days and person.home.language == LANGUAGE and person.chance.random() < LUNAR:
        at = person.at(days.start, 10)
        yield telling(person, "birthday", "x.birthday.calendar/1", at, calendar="lunar")


def _services(person: Person) -> Iterator[Envelope]:
    chance, day = person.chance, some_day(person, SERVED)
    for number in (1, 2):
        if day is None or day not in person.period:
            return
        yield telling(person, f"service-{number}", "x.service.completed/1", person.at(day, 15))
        yield from _answer(person, f"service-{number}", "service", day + chance.randint(3, 9))
        day = day + chance.randint(*SERVED_AGAIN) if chance.random() < 0.5 else None


def _answers_to_complaints(person: Person, told: Sequence[Envelope]) -> Iterator[Envelope]:
    for fact in told:
        if isinstance(fact.fact, ComplaintResolved):
            day = _day_of(person, fact) + person.chance.randint(4, 10)
            yield from _answer(person, "complaint", "complaint", day)


def _answer(person: Person, name: str, survey: str, day: int) -> Iterator[Envelope]:
    chance = person.chance
    answers, score = chance.random() < ANSWERS, chance.choices(range(len(SCORES)), SCORES)[0]
    if answers and day in person.period:
        at = person.at(day, 19)
        yield telling(person, f"answer-{name}", "survey.answered/1", at, survey=survey, score=score)


def _statements(person: Person, contract: Envelope) -> Iterator[Envelope]:
    for day in person.days_after(_day_of(person, contract)):
        on = date.fromordinal(day)
        if on.day == 5 and on.month in STATEMENT_MONTHS:
            period = f"{on.year - (on.month == 1)}-{_PERIODS[on.month]}"
            about = {"account": getattr(contract.fact, "holding", None), "period": period}
            yield telling(person, f"statement-{period}", "x.statement.ready/1", person.at(day, 7), **about)


def _losses(person: Person, contract: Envelope) -> Iterator[Envelope]:
    chance = person.chance
    day = _after(person, contract, some_day(person, LOST))
    for number in (1, 2):
        if day is None or day not in person.period:
            return
        amount = money(int(person.level * chance.uniform(0.05, 0.4)))
        about = {"holding": getattr(contract.fact, "holding", ""), "amount": amount}
        yield telling(person, f"loss-{number}", "loss.incurred/1", person.at(day, 18), **about)
        day = day + chance.randint(*LOST_AGAIN) if chance.random() < 1 / 3 else None


def _risks(person: Person, contract: Envelope) -> Iterator[Envelope]:
    chance, day = person.chance, some_day(person, ASSESSED)
    if day is not None:
        until = date.fromordinal(day) + timedelta(days=chance.choice(VALID_DAYS))
        said = {"level": chance.randint(1, 5), "valid_until": until}
        yield telling(person, "risk", "risk.assessed/1", person.at(day, 11), **said)
    day = _after(person, contract, some_day(person, RISK_CHANGED))
    if day is not None:
        old = chance.randint(1, 4)
        said = {"holding": getattr(contract.fact, "holding", None), "product": "balanced-fund"}
        said |= {"old_level": old, "new_level": old + 1}
        yield telling(person, "risk-changed", "x.product.risk_changed/1", person.at(day, 9), **said)


def _after(person: Person, contract: Envelope, day: int | None) -> int | None:
    """The day, where the contract was there by then."""
    return day if day is not None and day > _day_of(person, contract) else None


def _day_of(person: Person, fact: Envelope) -> int:
    return local_day(fact.occurred_at, person.home.zone).toordinal()
