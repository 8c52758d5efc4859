"""The customers of whom a condition is true, found by the database.

A condition is turned into a predicate over the tables of ``stores.profiles`` that means what
``journeys.conditions.holds`` means: true or false of everybody, never NULL. To make a new condition
searchable, add its case to ``_matching``, and to ``stores.profiles`` what of the state it looks at.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from heapq import merge
from itertools import islice
from typing import Any, assert_never

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Select,
    and_,
    case,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)

from domain.clock import from_micros, local_day
from domain.consent import ANY
from domain.errors import InputRefused
from journeys.condition_problems import with_parts
from journeys.conditions import number_bounds
from journeys.definition import (
    All,
    Assets,
    AssetsFell,
    AssetsGrew,
    Attribute,
    CareHeld,
    Condition,
    Consented,
    DaysSince,
    Entered,
    EntryValue,
    FactCount,
    Holds,
    InSegment,
    MessageCount,
    Not,
    Profile,
    StepOutcomeIs,
)
from journeys.definition import Any as AnyOf
from stores.database import customer_partitions, reading
from stores.dialect import by_code_point, counted_from, scanning
from stores.profiles import Profiles, amount_key, consent_name, plain
from stores.schema import partitions, profiles, streams, tallies, traits

# Databases refuse statements that are much deeper or have many more values than these can make.
_MOST_PARTS = 200
_DEEPEST = 25
Predicate = ColumnElement[bool]


class Audience:
    """Audiences of one store, as of its last event. Customers who are gone or not registered are in none."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.profiles = Profiles(engine)

    def clock(self) -> datetime:
        """When the store's last run ended (aware UTC): how far what is known of customers goes."""
        with reading(self._engine) as connection:
            query = select(func.max(partitions.c.clock_at)).where(partitions.c.partition > 0)
            return from_micros(int(str(connection.execute(query).scalar() or 0)))

    def count(self, condition: Condition, *, at: datetime) -> int:
        """How many there are, with days counted from ``at`` (aware UTC).

        Raises InputRefused where the condition asks about an enrolment, has too many parts, or ``at`` lies
        before the store's clock.
        """
        counts = self._asked(condition, at, lambda _, found: select(func.count()).select_from(found))
        return sum(int(number) for rows in counts for (number,) in rows)

    def subjects(self, condition: Condition, *, at: datetime, limit: int | None = None) -> list[str]:
        """Who they are, by id and at most so many. Raises as ``count``."""

        def query(connection: Connection, found: FromClause) -> Select[Any]:
            joined = (streams.c.partition == found.c.partition) & (streams.c.stream == found.c.stream)
            subjects = select(streams.c.subject).join(found, joined)
            return subjects.order_by(by_code_point(connection, streams.c.subject)).limit(limit)

        told = self._asked(condition, at, query)
        return list(islice(merge(*([str(subject) for (subject,) in rows] for rows in told)), limit))

    def _asked(
        self, condition: Condition, at: datetime, query: Callable[[Connection, FromClause], Select[Any]]
    ) -> list[Sequence[Any]]:
        """What each partition answers."""
        check(condition)
        if at < (clock := self.clock()):
            raise InputRefused("audience.past", at=at.isoformat(), clock=clock.isoformat())
        self.profiles.catch_up()
        with reading(self._engine) as connection:
            scanning(connection)
            return [
                connection.execute(query(connection, _found(connection, partition, condition, at))).all()
                for partition in customer_partitions(connection)
            ]


def check(condition: Condition) -> None:
    """Raises InputRefused where no database could be asked so."""
    parts = list(islice(with_parts(condition, ()), _MOST_PARTS + 1))
    if len(parts) > _MOST_PARTS or any(path.count("of") >= _DEEPEST for path, _ in parts):
        raise InputRefused("audience.too_large", parts=_MOST_PARTS, levels=_DEEPEST)
    for _, part in parts:
        if isinstance(part, EntryValue | StepOutcomeIs):
            raise InputRefused("condition.inside_only", condition=str(part.__struct_config__.tag))


class _Customers(Struct, frozen=True):
    """The rows of ``profiles`` that are asked of, with ``today`` and ``date`` (20260503) in their zones."""

    connection: Connection
    partition: int
    of: FromClause

    @property
    def today(self) -> ColumnElement[int]:
        """The day there, as ``date.toordinal``."""
        return self.of.c.today


def _found(connection: Connection, partition: int, condition: Condition, at: datetime) -> FromClause:
    """The customers of one partition of whom the condition is true: a subquery of their keys."""
    here = (profiles.c.partition == partition) & (profiles.c.active == 1)
    zones = connection.execute(select(profiles.c.zone).where(here).distinct()).scalars().all()
    days = {str(zone): local_day(at, str(zone)) for zone in zones}
    today = _by_zone({zone: day.toordinal() for zone, day in days.items()}).label("today")
    date = _by_zone({z: d.year * 10_000 + d.month * 100 + d.day for z, d in days.items()}).label("date")
    of = select(profiles, today, date).where(here).subquery("customers")
    keys = select(of.c.partition, of.c.stream)
    return keys.where(_matching(condition, _Customers(connection, partition, of))).subquery("found")


def _by_zone(days: dict[str, int]) -> ColumnElement[int]:
    """The zone's day: of all zones of the world there are never more than three at once."""
    zones: dict[int, list[str]] = defaultdict(list)
    for zone, day in sorted(days.items()):
        zones[day].append(zone)
    if len(zones) < 2:
        return literal(next(iter(zones), 0))
    (usual, _), *others = sorted(zones.items(), key=lambda item: -len(item[1]))
    return case(*((profiles.c.zone.in_(names), day) for day, names in others), else_=usual)


def _matching(condition: Condition, customers: _Customers) -> Predicate:
    """Whether the condition is true of a row of ``customers``: two-valued, whatever is NULL in it."""
    of, today = customers.of.c, customers.today
    match condition:
        case All(of=parts):
            return and_(true(), *(_matching(part, customers) for part in parts))
        case AnyOf(of=parts):
            return or_(false(), *(_matching(part, customers) for part in parts))
        case Not(of=part):
            return not_(_matching(part, customers))
        case AssetsGrew(over_percent=percent, months=months):
            return _has(customers, "grew", _named([str(months)]), traits.c.number >= percent)
        case AssetsFell(over_percent=percent, months=months):
            return _has(customers, "fell", _named([str(months)]), traits.c.number >= percent)
        case Attribute():
            return _attribute(condition, customers)
        case Holds():
            return _holds(condition, customers)
        case Consented(purpose=purpose, channel=channel, topic=topic):
            names = [consent_name(c, t) for c in (ANY, channel) for t in (ANY, topic)]
            last = func.abs(traits.c.number).desc()
            word = _traits(customers, f"consent/{purpose}", _named(names)).order_by(last).limit(1)
            return func.coalesce(word.scalar_subquery(), 0) > 0
        case DaysSince(fact=fact, at_least=least, at_most=most):
            return _has(customers, "last", _named([fact]), *_days_ago(traits.c.day, today, least, most))
        case Entered(journey=journey, within_days=within):
            return _has(
                customers, "entered", _named([journey]), *_days_ago(traits.c.day, today, None, within)
            )
        case Assets(at_least=least, at_most=most):
            floor = None if least is None else amount_key(Decimal(least), ROUND_CEILING)
            ceiling = None if most is None else amount_key(Decimal(most), ROUND_FLOOR)
            return and_(
                of.assets_floor.is_not(None),
                *_between(of.assets_floor, floor, None),
                *_between(of.assets_ceiling, None, ceiling),
            )
        case Profile(name=name, one_of=None):
            bounds = (
                *_between(traits.c.number, condition.at_least, None),
                *_between(traits.c.day, None, condition.at_most),
            )
            return _has(customers, "noted", _named([name]), *bounds)
        case Profile(name=name, one_of=texts):
            return _has(customers, "noted_as", _named(f"{name}/{text}" for text in texts or ()))
        case InSegment(segment=segment, classes=None):
            return _has(customers, f"segment/{segment}")
        case InSegment(segment=segment, classes=classes):
            return _has(customers, f"segment/{segment}", _named(classes or ()))
        case CareHeld(reasons=None):
            return _has(customers, "care_hold")
        case CareHeld(reasons=reasons):
            return _has(customers, "care_hold", _named(reasons or ()))
        case FactCount(fact=fact):
            return _counted(condition, "fact", tallies.c.name == plain(fact), customers)
        case MessageCount():
            meant = or_(*(tallies.c.name.like(pattern) for pattern in _patterns(condition)))
            return _counted(condition, "message", meant, customers)
        case EntryValue() | StepOutcomeIs():
            raise InputRefused("condition.inside_only", condition=str(condition.__struct_config__.tag))
        case _:
            assert_never(condition)


def _attribute(condition: Attribute, customers: _Customers) -> Predicate:
    of, least, most = customers.of.c, condition.at_least, condition.at_most
    match condition.name:
        case "language" | "region" | "zone":
            column: ColumnElement[str] = of[condition.name]
            return column.in_([plain(text) for text in condition.one_of or ()])
        case "age":
            # As numbers like 20260503 a year is 10,000, and 29 February comes before 1 March in any year.
            oldest = None if most is None else of.date - (most + 1) * 10_000 + 1
            youngest = of.date - (least or 0) * 10_000
            return and_(of.born.is_not(None), *_between(of.born, oldest, youngest))
        case "risk_level":
            valid = or_(of.risk_until.is_(None), of.risk_until >= customers.today)
            return and_(of.risk_level.is_not(None), valid, *_between(of.risk_level, least, most))
        case _:
            assert_never(condition.name)


def _holds(condition: Holds, customers: _Customers) -> Predicate:
    contracts = [f"holding/{kind}" for kind in condition.kinds]
    within: list[Predicate] = []
    if condition.matures_within_days is not None:
        last = customers.today + condition.matures_within_days
        within = [traits.c.day.is_not(None), *_between(traits.c.day, customers.today, last)]
    number = _of_customer(select(func.count()), traits, customers).where(
        traits.c.trait.in_(contracts), *within
    )
    return and_(true(), *_between(number.scalar_subquery(), *number_bounds(condition)))


def _counted(
    condition: FactCount | MessageCount, tally: str, meant: Predicate, customers: _Customers
) -> Predicate:
    """Whether the number of what is meant lies in the bounds, looking into the days only where it must."""
    first = customers.today - (condition.in_days - 1)
    number = case(
        (tallies.c.oldest >= first, tallies.c.total),
        else_=counted_from(customers.connection, tallies.c.days, first),
    )
    counting = _of_customer(select(func.sum(number)), tallies, customers)
    counting = counting.where(tallies.c.tally == tally, meant, tallies.c.newest >= first)
    return and_(true(), *_between(func.coalesce(counting.scalar_subquery(), 0), *number_bounds(condition)))


def _patterns(condition: MessageCount) -> list[str]:
    """What the names of the counts that are meant are like (``message.ended_as``): five parts, four strokes.

    Nothing in a name, and no stroke, can be taken for another part; there is no sign that LIKE knows in one.
    """
    wanted = (condition.purpose, condition.channel, condition.journey, condition.template)
    rest = "/".join("%" if part is None else part for part in wanted)
    return [f"{end}/{rest}" for end in condition.ended]


def _has(customers: _Customers, trait: str, *conditions: Predicate) -> Predicate:
    return _traits(customers, trait, *conditions).exists()


def _traits(customers: _Customers, trait: str, *conditions: Predicate) -> Select[Any]:
    found = _of_customer(select(traits.c.number), traits, customers)
    return found.where(traits.c.trait == trait, *conditions)


def _of_customer(query: Select[Any], table: FromClause, customers: _Customers) -> Select[Any]:
    """The rows of one partition's customer, looked up by key."""
    return (
        query.select_from(table)
        .where(table.c.partition == customers.partition, table.c.stream == customers.of.c.stream)
        .correlate(customers.of)
    )


def _named(names: Iterable[str]) -> Predicate:
    return traits.c.name.in_([plain(name) for name in names])


def _days_ago(
    day: ColumnElement[Any], today: ColumnElement[int], least: int | None, most: int | None
) -> list[Predicate]:
    """A day that lies so many days back."""
    return _between(day, None if most is None else today - most, None if least is None else today - least)


def _between(value: ColumnElement[Any], least: Any, most: Any) -> list[Predicate]:
    told: list[Predicate] = []
    if least is not None:
        told.append(value >= least)
    if most is not None:
        told.append(value <= most)
    return told
