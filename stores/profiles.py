"""Tables of what customers are, for audiences: made from their histories when somebody asks.

They say of each customer what the state says (``domain.customer``), in a form that a database can search.
They can be thrown away and made again; nothing decides by them. Days are ``date.toordinal``.

- ``profiles``: one row a customer. ``born`` is a day as the number 19920229; ``assets_floor`` and
  ``assets_ceiling`` are ten-thousandths, rounded down and up, as texts that sort as the numbers do.
- ``traits``: what a customer can have several of, by ``trait`` and ``name``; ``holding/<kind>`` has one for
  each contract and its last day, ``consent/<purpose>`` the words by channel and topic, the later one with
  the larger ``number``, negative for a no; ``last`` and ``entered`` the last day of a fact or entry;
  ``grew`` for so many months the per cent by more than which assets grew in each; ``segment/<segment>`` the
  class; ``noted_as`` what a journey noted as a text, ``noted`` what it noted as a number, rounded down
  (``number``) and up (``day``).
- ``tallies``: what is counted by day, as JSON, with the first and the last day and the sum of all.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import islice
from math import ceil, floor

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Engine, func, select

from domain.assets import assets_by_month, decline, growth
from domain.clock import day_number
from domain.codec import decode_state, restored, state_form
from domain.consent import ANY
from domain.customer import Customer
from domain.fold import folded
from domain.tally import Tally, entries
from journeys.conditions import number_of, text_of
from journeys.definition import MOST_GROWTH
from stores import schema
from stores.batch import Stored
from stores.database import customer_partitions, reading, writing
from stores.dialect import insert, lock, rows, run, upsert
from stores.journal import Journal

# Which form the tables have; a new number throws away what an earlier one made.
_FORM = 2
_NAMED = "profiles-"
_CHUNK = 1_000
_SELECT_ALL = "SELECT stream FROM heads WHERE partition = :partition ORDER BY stream"
_SELECT_CHANGED = """
SELECT DISTINCT stream FROM events
WHERE partition = :partition AND seq > :after AND seq <= :upto ORDER BY stream
"""
_SELECT_KNOWN = """
SELECT stream, version FROM profiles WHERE partition = :partition AND stream {among streams}
"""
_DELETE = "DELETE FROM {table} WHERE partition = :partition AND stream {{among streams}}"
_FORGET = "DELETE FROM {table} WHERE partition = :partition"
_FORGET_PROGRESS = "DELETE FROM projections WHERE partition = :partition AND name LIKE 'profiles-%'"
# Larger than anything that a condition can name: all that is above is above every bound.
_LARGEST = Decimal(10) ** 16
Row = tuple[object, ...]


class Profiles:
    """The tables of one store, as of the last event at the time of asking."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._name = f"{_NAMED}{_FORM}-{state_form()}"

    def catch_up(self, *, progress: Callable[[int], None] = lambda _: None) -> None:
        """Bring in who has new events since the last time; ``progress`` is told the number of customers."""
        with reading(self._engine) as connection:
            partitions = customer_partitions(connection)
        total = 0
        for partition in partitions:
            for number in self._catch_up(partition):
                total += number
                progress(total)

    def forget(self) -> None:
        """Throw the tables away; who asks next makes them again."""
        with reading(self._engine) as connection:
            partitions = customer_partitions(connection)
        for partition in partitions:
            with writing(self._engine) as connection:
                lock(connection, partition)
                self._begin(connection, partition)

    def _catch_up(self, partition: int) -> Iterator[int]:
        begun = self._begun(partition)
        with reading(self._engine) as connection:
            streams, last = _behind(connection, partition, begun)
        waiting = iter(streams)
        while chunk := list(islice(waiting, _CHUNK)):
            told = [
                _told(partition, stream, _restored(stored))
                for stream, stored in Journal(self._engine, partition).load(chunk).items()
            ]
            with writing(self._engine) as connection:
                lock(connection, partition)
                _replace(connection, partition, told)
            yield len(chunk)
        if last > begun:
            with writing(self._engine) as connection:
                lock(connection, partition)
                # Where somebody has thrown away or gone on meanwhile, it is for them to say how far.
                if _reached(connection, partition, self._name) == begun:
                    upsert(connection, schema.projections, [(partition, self._name, last)])

    def _begun(self, partition: int) -> int:
        """How far the tables go; tables of another form are thrown away."""
        with reading(self._engine) as connection:
            reached = _reached(connection, partition, self._name)
        if reached is not None:
            return reached
        with writing(self._engine) as connection:
            lock(connection, partition)
            reached = _reached(connection, partition, self._name)
            return self._begin(connection, partition) if reached is None else reached

    def _begin(self, connection: Connection, partition: int) -> int:
        """Empty tables. The number, not above 0, is a new one, so that nobody goes on with the old."""
        before = _reached(connection, partition, self._name) or 0
        for table in ("profiles", "traits", "tallies"):
            run(connection, _FORGET.format(table=table), partition=partition)
        run(connection, _FORGET_PROGRESS, partition=partition)
        number = min(before, 0) - 1
        insert(connection, schema.projections, [(partition, self._name, number)])
        return number


class _Told(Struct, frozen=True):
    """What the tables say of one customer at a version."""

    stream: int
    version: int
    profile: Row
    traits: Sequence[Row]
    tallies: Sequence[Row]


def _reached(connection: Connection, partition: int, name: str) -> int | None:
    query = select(schema.projections.c.seq).where(
        schema.projections.c.partition == partition, schema.projections.c.name == name
    )
    found = connection.execute(query).scalar()
    return None if found is None else int(str(found))


def _behind(connection: Connection, partition: int, begun: int) -> tuple[list[int], int]:
    """Who is to be looked at, and the seq with which they will be as of."""
    events, partitions = schema.events, schema.partitions
    last = connection.execute(select(func.max(events.c.seq)).where(events.c.partition == partition)).scalar()
    query = select(partitions.c.last_seq, partitions.c.removed_seq).where(partitions.c.partition == partition)
    last_seq, removed = map(int, map(str, connection.execute(query).one()))
    last = int(str(last or last_seq))
    if begun <= 0 or removed > begun:
        # From the beginning, or some of what came since is in an archive only.
        return [row[0] for row in rows(connection, _SELECT_ALL, partition=partition)], last
    if last <= begun:
        return [], last
    found = rows(connection, _SELECT_CHANGED, partition=partition, after=begun, upto=last)
    return [row[0] for row in found], last


def _restored(stored: Stored) -> Customer:
    known = Customer(stored.subject) if stored.state is None else decode_state(stored.state)
    return folded(known, map(restored, stored.events))


def _replace(connection: Connection, partition: int, told: Sequence[_Told]) -> None:
    """Put in what is newer than what is there: somebody else may have read later and written before."""
    streams = [one.stream for one in told]
    known = dict(rows(connection, _SELECT_KNOWN, partition=partition, streams=streams))
    newer = [one for one in told if one.version > known.get(one.stream, -1)]
    if not newer:
        return
    for table in ("traits", "tallies"):
        changed = [one.stream for one in newer if one.stream in known]
        if changed:
            run(connection, _DELETE.format(table=table), partition=partition, streams=changed)
    upsert(connection, schema.profiles, [one.profile for one in newer])
    insert(connection, schema.traits, [row for one in newer for row in one.traits])
    insert(connection, schema.tallies, [row for one in newer for row in one.tallies])


def _told(partition: int, stream: int, customer: Customer) -> _Told:
    key = (partition, stream)
    assets = next((now for _, now in assets_by_month(customer.balances)), None)
    born = customer.birth_date
    until = customer.risk_valid_until
    profile = (
        *key,
        customer.version,
        int(customer.active),
        customer.zone,
        plain(customer.language),
        plain(customer.region),
        None if born is None else born.year * 10_000 + born.month * 100 + born.day,
        customer.risk_level,
        None if until is None else until.toordinal(),
        None if assets is None else amount_key(assets, ROUND_FLOOR),
        None if assets is None else amount_key(assets, ROUND_CEILING),
    )
    tallies = [
        (*key, tally, name, *_counted(days))
        for tally, named in (("fact", customer.fact_days), ("message", customer.message_days))
        for name, days in named.items()
    ]
    return _Told(stream, customer.version, profile, [(*key, *trait) for trait in _traits(customer)], tallies)


def _traits(customer: Customer) -> Iterator[tuple[str, str, int | None, int]]:
    """Trait, name, day and number of what a customer can have several of."""
    zone = customer.zone
    for number, holding in enumerate(customer.holdings.values()):
        day = holding.matures_on
        yield f"holding/{holding.kind}", str(number), None if day is None else day.toordinal(), 1
    for reason in customer.care_holds:
        yield "care_hold", reason, None, 1
    words = sorted(customer.consents, key=lambda word: (word.said_at, word.version))
    for number, word in enumerate(words, start=1):
        # No condition can name a channel or topic with a stroke or a zero byte in it.
        if not {"/", "\x00"} & {*word.channel, *word.topic}:
            name = consent_name(word.channel, word.topic)
            yield f"consent/{word.purpose}", name, None, number if word.granted else -number
    for kind, at in customer.last_at.items():
        yield "last", kind, day_number(at, zone), 1
    for journey, entry in customer.entered.items():
        yield "entered", journey, day_number(entry.at, zone), 1
    for segment, found in customer.segments.items():
        yield f"segment/{segment}", found, None, 1
    for noted, value in customer.profile.items():
        if (text := text_of(value)) is not None:
            yield "noted_as", f"{noted}/{plain(text)}", None, 1
        if (amount := number_of(value)) is not None:
            within = max(-_LARGEST, min(_LARGEST, Decimal(amount)))
            yield "noted", noted, ceil(within), floor(within)
    for months, percent in enumerate(growth(customer.balances, most=MOST_GROWTH), start=1):
        yield "grew", str(months), None, percent
    for months, percent in enumerate(decline(customer.balances), start=1):
        yield "fell", str(months), None, percent


def consent_name(channel: str = ANY, topic: str = ANY) -> str:
    """How words on a channel and a topic are named among the traits."""
    return f"{channel}/{topic}"


def plain(text: str) -> str:
    """A text as both databases can hold it: PostgreSQL has no zero byte."""
    return text.replace("\x00", "\ufffd")


def amount_key(amount: Decimal, rounding: str) -> str:
    """An amount's ten-thousandths as a text of fixed length: such texts sort as the amounts do."""
    within = max(-_LARGEST, min(_LARGEST, amount))
    scaled = within.scaleb(4).to_integral_value(rounding)
    return f"{int(scaled) + int(_LARGEST.scaleb(4)):021d}"


def _counted(days: Tally) -> tuple[int, int, int, str]:
    """The first and the last day, the sum, and all as JSON."""
    counted = entries(days)
    told = msgspec.json.encode(dict(counted)).decode()
    return counted[0][0], counted[-1][0], sum(count for _, count in counted), told
