"""Who the made-up customers are: where they live, how chance is drawn for them, how they tell facts."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

from domain.catalogue import FACTS, CustomFact, Envelope
from domain.clock import at_local

Deciles = tuple[float, ...]
SOURCE = "/synthetic"
YEAR, NOON = 365.25, time(12)


class Home(NamedTuple):
    """Where customers live. Money is in cents of the currency."""

    zone: str
    region: str
    language: str
    currency: str
    unit: int  # the median month-end balance
    note: int  # the steps of a cash machine
    phone: str
    digits: int  # of the customer's number, behind ``phone``
    given: str
    family: str


_HAN = ("伟 芳 秀英 敏 静 丽 强 磊 洋 艳 勇 军 娟 涛", "王 李 张 刘 陈 杨 赵 黄 周 吴 徐 孙 胡 朱 高 林")
_STRAITS = ("Weiling Jiahao Huimin Kaiwen Priya Arjun Nurul Farid", "Tan Lim Ng Wong Goh Chua Koh Rahman")
# Czech family names that women and men share.
_CZECH = ("Jana Petr Eva Jiří Hana Tomáš Lenka Pavel Věra", "Krejčí Kočí Janů Martinů Petrů Dolejší Jirků")
_BRITISH = ("Olivia Harry Amelia George Sophie Jack Ruth Ravi", "Smith Jones Taylor Evans Hughes Patel Reid")
# Phones: Ofcom's 1,000 numbers for drama in Britain, elsewhere blocks with which no mobile numbers begin.
HOMES = (
    Home("Europe/Prague", "CZ", "en", "CZK", 4_500_000, 50_000, "+420600", 6, *_CZECH),
    Home("Europe/London", "GB", "en", "GBP", 300_000, 2_000, "+447700900", 3, *_BRITISH),
    Home("Asia/Shanghai", "CN", "zh-CN", "CNY", 1_500_000, 10_000, "+8610000", 6, *_HAN),
    Home("Asia/Singapore", "SG", "en", "SGD", 600_000, 5_000, "+6520", 6, *_STRAITS),
    Home("Asia/Singapore", "SG", "zh-CN", "SGD", 600_000, 5_000, "+6520", 6, *_HAN),
)
HOME_WEIGHTS = (40, 25, 18, 12, 5)


class Person(NamedTuple):
    """Days are ordinals of the customer's own calendar, money is in cents."""

    chance: Random
    number: int
    home: Home
    born: int
    joined: int
    period: range  # the days lived through
    level: int  # to which the balance goes back
    income: int
    payday: int
    orders: tuple[tuple[int, int], ...]  # day of the month, amount
    silent: range = range(0)  # days without a transaction or a visit
    growing: range = range(0)  # numbers of months
    leaving: range = range(0)  # numbers of months in which money goes elsewhere

    def at(self, day: int, hour: float) -> datetime:
        noon = at_local(date.fromordinal(day), NOON, self.home.zone)
        return noon + timedelta(seconds=int((hour - 12) * 3600))

    def days_after(self, day: int) -> range:
        return range(max(day + 1, self.period.start), self.period.stop)


def money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def drawn(rank: float, deciles: Deciles) -> float:
    low = int(rank * 10)
    return deciles[low] + (deciles[low + 1] - deciles[low]) * (rank * 10 - low)


def some_day(person: Person, a_year: float) -> int | None:
    chance, days = person.chance, person.days_after(person.joined)
    return chance.choice(days) if days and chance.random() < a_year * len(person.period) / YEAR else None


def telling(person: Person, what: str, kind: str, at: datetime, /, **said: Any) -> Envelope:
    """A fact about the person, under an id of its own for ``what``; one of the bank's own holds ``said``."""
    about, identity = f"C{person.number:06d}", {"source": SOURCE, "id": f"c-{person.number}-{what}"}
    if kind in FACTS:
        return Envelope(kind, about, at, FACTS[kind](**identity, **said))
    return Envelope(kind, about, at, CustomFact(**identity, data=said))
