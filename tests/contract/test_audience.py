"""The database finds exactly the customers of whom the engine says that a condition is true."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import Engine, event

from domain.clock import EPOCH
from domain.codec import encode_state, state_form
from domain.consent import Word
from domain.customer import Customer
from domain.errors import InputRefused
from domain.holding import Holding
from domain.tally import Tally, one_more
from journeys.condition_problems import with_parts
from journeys.conditions import holds
from journeys.definition import All, Condition, EntryValue, Not, StepOutcomeIs
from journeys.definition import Any as AnyOf
from stores.audience import Audience
from stores.database import open_store, writing
from stores.dialect import insert
from stores.schema import heads, profiles, snapshots, streams, tallies, traits
from stores.vault import Key, seal_state, vault_of
from support.bank import Bank
from support.documents import condition
from support.facts import at, balance, granted, moved, opened, paid, registered, withdrawn
from support.postgres import fresh_database
from support.scenario import Scenario, envelope
from support.strategies import START, conditions, customers

NOON = at("2026-03-10 12:00")
TABLES = (streams, heads, snapshots, profiles, traits, tallies)


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("audience")
    url = fresh_database() if request.param == "postgresql" else None
    engine = open_store(Bank(folder, partitions=2, url=url).settings.store)
    yield engine
    engine.dispose()


def put(engine: Engine, people: Sequence[Customer]) -> Audience:
    """A store with these customers and no others, as snapshots that stand for histories."""
    keys = {number: vault_of(engine).make(number, range(len(people))) for number in (1, 2)}
    with writing(engine) as connection:
        for table in TABLES:
            connection.execute(table.delete())
        for number, person in enumerate(people):
            key = (1 + number % 2, number)
            version = max(1, person.version)
            state = sealed_state(keys[key[0]][number], replace(person, version=version))
            insert(connection, streams, [(*key, f"c-{number}")])
            insert(connection, heads, [(*key, version, 0, b"")])
            insert(connection, snapshots, [(*key, version, state_form(), state)])
    audience = Audience(engine)
    audience.profiles.forget()
    return audience


def sealed_state(key: Key | None, person: Customer) -> bytes:
    assert key is not None
    return seal_state(key, encode_state(person), version=person.version)


def expected(tree: Condition, people: Sequence[Customer], now: datetime) -> list[str]:
    return sorted(
        f"c-{number}"
        for number, person in enumerate(people)
        if person.active and holds(tree, replace(person, clock_at=now), entry={})
    )


def askable(tree: Condition) -> bool:
    return not any(isinstance(part, EntryValue | StepOutcomeIs) for _, part in with_parts(tree, ()))


@pytest.mark.long
@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(customers(), max_size=10),
    st.lists(conditions.filter(askable), min_size=1, max_size=12),
    st.integers(0, 24 * 900).map(lambda hours: START + timedelta(hours=hours)),
)
def test_the_database_finds_whom_the_engine_would_choose(
    engine: Engine, people: list[Customer], trees: list[Condition], now: datetime
) -> None:
    audience = put(engine, people)
    for tree in [*trees, *(Not(of=tree) for tree in trees)]:
        assert audience.subjects(tree, at=now) == expected(tree, people, now)


def person(number: int = 0, **given: Any) -> Customer:
    return replace(Customer(f"c-{number}", registered_at=EPOCH, zone="Europe/Prague"), **given)


def living(*facts: Any) -> Customer:
    """A registered customer with these facts, told when they say or at noon of 10 March 2026."""
    told = [fact if isinstance(fact, tuple) else (NOON, fact) for fact in facts]
    return Scenario("none").given((NOON - timedelta(days=800), registered()), *told).customer


def word(number: int, channel: str, topic: str, *, yes: bool) -> Word:
    said = NOON + timedelta(hours=number % 3)
    return Word("marketing", channel, topic, yes, said, "test", number)


def days_back(*numbers: int) -> Tally:
    """A tally of these days before 10 March 2026."""
    tally: Tally | None = None
    for back in numbers:
        tally = one_more(tally, date(2026, 3, 10).toordinal() - back)
    assert tally is not None
    return tally


VIEWED = "fact_count, fact: page.viewed/1, in_days: 30"
REFUSED = "message_count, ended: [rejected, suppressed], in_days: 30"
SAID = "suppressed/care/sms/own/greeting"
BORDERS = [
    ("attribute, name: age, at_least: 34, at_most: 34", person(birth_date=date(1992, 2, 29))),
    ("attribute, name: age, at_most: 0", person(birth_date=date(2026, 3, 10))),
    ("attribute, name: age, at_most: 200", person(birth_date=date(2026, 3, 11))),
    ("attribute, name: region, one_of: [\"o'north\", '%']", person(region="o'north")),
    ("attribute, name: region, one_of: [North]", person(region="north")),
    ("attribute, name: risk_level, at_least: 3", person(risk_level=3, risk_valid_until=date(2026, 3, 10))),
    ("attribute, name: risk_level, at_least: 3", person(risk_level=3, risk_valid_until=date(2026, 3, 9))),
    ("holds, kinds: [loan], at_most: 0", person(holdings={"a": Holding("fund")})),
    (
        "holds, kinds: [loan, fund], at_least: 2",
        person(holdings={"a": Holding("fund"), "b": Holding("loan")}),
    ),
    (
        "holds, kinds: [loan], matures_within_days: 7",
        person(holdings={"a": Holding("loan", matures_on=date(2026, 3, 17)), "b": Holding("loan")}),
    ),
    (
        "holds, kinds: [loan], matures_within_days: 7, at_most: 0",
        person(holdings={"a": Holding("loan", matures_on=date(2026, 3, 9)), "b": Holding("loan")}),
    ),
    ('assets, at_least: "999999999999999.9999"', living(balance("999999999999999.99991"))),
    ('assets, at_most: "999999999999999.9999"', living(balance("999999999999999.99991"))),
    ('assets, at_most: "-0.0001"', living(balance("-0.00009"))),
    ('assets, at_least: "0"', living(balance("-0.00001"))),
    ('assets, at_least: "1000000"', living(balance("2" + "0" * 30))),
    (
        "assets_grew, over_percent: 20, months: 1",
        living((at("2026-02-10 12:00"), balance("100")), balance("120")),
    ),
    (
        "assets_grew, over_percent: 19, months: 1",
        living((at("2026-02-10 12:00"), balance("100")), balance("120")),
    ),
    (
        "assets_grew, over_percent: 1000, months: 1",
        living((at("2026-02-10 12:00"), balance("1")), balance("99")),
    ),
    (
        "assets_grew, over_percent: 0, months: 1",
        living((at("2026-02-10 12:00"), balance("-1")), balance("99")),
    ),
    (
        "assets_grew, over_percent: 0, months: 1",
        living((at("2026-01-10 12:00"), balance("1")), balance("99")),
    ),
    (
        "assets_fell, over_percent: 20, months: 1",
        living((at("2026-02-10 12:00"), balance("100")), balance("80")),
    ),
    (
        "assets_fell, over_percent: 19, months: 1",
        living((at("2026-02-10 12:00"), balance("100")), balance("80")),
    ),
    (
        "assets_fell, over_percent: 20, months: 1",
        living((at("2026-02-10 12:00"), balance("100")), balance("79.99")),
    ),
    (
        "assets_fell, over_percent: 99, months: 1",
        living((at("2026-02-10 12:00"), balance("100")), balance("0")),
    ),
    (
        "assets_fell, over_percent: 99, months: 1",
        living((at("2026-02-10 12:00"), balance("100")), balance("-5")),
    ),
    (
        "assets_fell, over_percent: 0, months: 1",
        living((at("2026-02-10 12:00"), balance("-1")), balance("-9")),
    ),
    (
        "assets_fell, over_percent: 0, months: 1",
        living((at("2026-02-10 12:00"), balance("100")), balance("99.99")),
    ),
    (
        "assets_fell, over_percent: 10, months: 2",
        living(
            (at("2026-01-10 12:00"), balance("100")), (at("2026-02-10 12:00"), balance("89")), balance("50")
        ),
    ),
    ("days_since, fact: transaction.posted/1, at_least: 1", living((at("2026-03-09 23:59"), paid()))),
    (
        "days_since, fact: transaction.posted/1, at_most: 0",
        living((at("2026-03-09 23:30"), paid()), moved("UTC")),
    ),
    (
        "consented, purpose: marketing, channel: sms, topic: offers",
        person(consents=(word(4, "*", "*", yes=True), word(3, "sms", "offers", yes=False))),
    ),
    (
        "consented, purpose: marketing, channel: sms, topic: offers",
        person(consents=(word(4, "*", "*", yes=False), word(5, "sms/offers", "x", yes=True))),
    ),
    (
        "consented, purpose: marketing, channel: sms, topic: offers",
        living(granted(), withdrawn(channel="email")),
    ),
    ("profile, name: score, at_least: 3, at_most: 3", person(profile={"score": 3})),
    ("profile, name: score, at_least: 3", person(profile={"score": "2.9"})),
    ("profile, name: score, at_most: 2", person(profile={"score": "2.1"})),
    ("profile, name: score, at_least: 1", person(profile={"score": True})),
    ("profile, name: score, one_of: ['true']", person(profile={"score": True})),
    ("profile, name: score, one_of: ['3']", person(profile={"score": 3})),
    (
        f"{VIEWED}, at_least: 4, at_most: 4",
        person(fact_days={"page.viewed/1": days_back(40, 30, 29, 3, 0, 0)}),
    ),
    (f"{VIEWED}, at_least: 5", person(fact_days={"page.viewed/1": days_back(40, 30, 29, 3, 0, 0)})),
    (f"{VIEWED}, at_most: 0", person(fact_days={"page.viewed/1": days_back(366, 30)})),
    (f"{VIEWED}, at_most: 1", person(fact_days={"page.viewed/1": days_back(31, 30, 29)})),
    (f"{REFUSED}, at_least: 3, at_most: 3", person(message_days={SAID: days_back(31, 30, 29, 1, 1)})),
    (f"{REFUSED}, journey: own, at_least: 2", person(message_days={SAID: days_back(31, 29, 1)})),
    (f"{REFUSED}, template: own, channel: email", person(message_days={SAID: days_back(1)})),
    ("in_segment, segment: tier", person(segments={"tier": "gold"})),
    ("in_segment, segment: tier, classes: [gold, basic]", person(segments={"tier": "gold", "need": "none"})),
    ("in_segment, segment: tier, classes: [basic]", person(segments={"tier": "gold"})),
    ("all, of: []", person()),
    ("any, of: []", person()),
    ("care_held", person(care_holds=("fraud",))),
    ("care_held, reasons: [dispute]", person(care_holds=("fraud",))),
    ("care_held", person(gone=True, care_holds=("fraud",))),
]


def test_borders_are_where_the_engine_has_them(engine: Engine) -> None:
    people = [one for _, one in BORDERS]
    audience = put(engine, people)
    found = 0
    for text, _ in BORDERS:
        for tree in (condition(text), Not(of=condition(text))):
            wanted = expected(tree, people, NOON)
            assert audience.subjects(tree, at=NOON) == wanted, text
            assert audience.count(tree, at=NOON) == len(wanted)
            found += len(wanted)
    assert found > len(BORDERS)


def test_each_customers_day_is_that_of_their_zone(engine: Engine) -> None:
    """At one instant it is three days at once."""
    now = datetime.fromisoformat("2026-03-10T10:30:00+00:00")
    zones = ("Pacific/Kiritimati", "Europe/Prague", "Pacific/Pago_Pago", "Etc/GMT+12")
    people = [person(zone=zone, birth_date=date(2000, 3, day)) for zone in zones for day in (9, 10, 11)]
    audience = put(engine, people)
    for years in (25, 26):
        tree = condition(f"attribute, name: age, at_least: {years}, at_most: {years}")
        assert audience.subjects(tree, at=now) == expected(tree, people, now)
    assert len({replace(one, clock_at=now).zone for one in people}) == 4


def test_at_most_so_many_are_told_in_the_order_of_their_ids(engine: Engine) -> None:
    audience = put(engine, [person() for _ in range(12)])
    everybody = condition("all, of: []")
    assert audience.subjects(everybody, at=NOON, limit=4) == ["c-0", "c-1", "c-10", "c-11"]
    assert audience.count(everybody, at=NOON) == 12


@pytest.mark.parametrize(
    "text", ["entry_value, name: age, at_least: 1", "step_outcome, step: a, is_one_of: [unknown]"]
)
def test_what_asks_about_an_enrolment_is_refused(engine: Engine, text: str) -> None:
    with pytest.raises(InputRefused, match=r"condition\.inside_only"):
        put(engine, []).count(All(of=(Not(of=condition(text)),)), at=NOON)


def test_a_condition_may_have_so_many_parts_and_no_more(engine: Engine) -> None:
    audience = put(engine, [person(), person(care_holds=("fraud",))])
    deep = condition("care_held")
    for number in range(24):
        deep = All(of=(deep,)) if number % 2 else AnyOf(of=(deep,))
    wide = condition("fact_count, fact: page.viewed/1, in_days: 3, at_least: 1, at_most: 2")
    assert audience.subjects(deep, at=NOON) == ["c-1"]
    assert audience.count(AnyOf(of=(wide,) * 199), at=NOON) == 0
    for tree in (AnyOf(of=(wide,) * 200), Not(of=deep)):
        with pytest.raises(InputRefused, match=r"audience\.too_large"):
            audience.count(tree, at=NOON)


@pytest.fixture(params=["sqlite", "postgresql"])
def bank(request: pytest.FixtureRequest, tmp_path: Path) -> Bank:
    return Bank(tmp_path, partitions=2, url=fresh_database() if request.param == "postgresql" else None)


def paying(bank: Bank, name: str, when: datetime) -> None:
    bank.take([envelope(name, when, replace(paid(), id=f"{name}-{when}"))])


HAS_PAID = "fact_count, fact: transaction.posted/1, in_days: 30"


def asked(bank: Bank, text: str, now: datetime) -> list[str]:
    tidings = bank.tidings
    found = Audience(tidings.engine).subjects(condition(text), at=now)
    tidings.engine.dispose()
    return found


def test_what_happens_between_two_questions_is_in_the_second(bank: Bank) -> None:
    people = [f"c-{number}" for number in range(6)]
    bank.take([envelope(name, NOON, replace(registered(), id=name)) for name in people])
    bank.run(NOON)
    assert asked(bank, HAS_PAID, NOON) == []
    later = NOON + timedelta(days=3)
    paying(bank, "c-3", later)
    bank.run(later)
    assert asked(bank, HAS_PAID, later) == ["c-3"]
    bank.take([envelope("c-3", later + timedelta(days=1), replace(opened(), id="d"))])
    bank.run(later + timedelta(days=1))
    deposit = "holds, kinds: [term_deposit]"
    assert asked(bank, deposit, later + timedelta(days=1)) == ["c-3"]
    assert asked(bank, HAS_PAID, later + timedelta(days=1)) == ["c-3"]
    # An instant further on moves the days, and nothing else.
    assert asked(bank, HAS_PAID, later + timedelta(days=30)) == []


def test_asking_again_looks_at_nobody_who_has_no_new_events(bank: Bank) -> None:
    bank.take([envelope(f"c-{n}", NOON, replace(registered(), id=str(n))) for n in range(6)])
    bank.run(NOON)
    asked(bank, "care_held", NOON)
    engine = bank.tidings.engine
    done: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.lstrip().split()[0] in ("INSERT", "DELETE", "UPDATE") or "snapshots" in statement:
            done.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    assert Audience(engine).count(condition("all, of: []"), at=NOON) == 6
    engine.dispose()
    assert done == []


def test_tables_of_an_older_form_are_made_again(bank: Bank) -> None:
    bank.take([envelope("c-1", NOON, registered())])
    bank.run(NOON)
    assert asked(bank, "all, of: []", NOON) == ["c-1"]
    bank.sql("UPDATE projections SET name = 'profiles-0-older' WHERE name <> 'ledger'")
    bank.sql("UPDATE profiles SET active = 0")
    assert asked(bank, "all, of: []", NOON) == ["c-1"]
    assert bank.sql("SELECT count(*) FROM projections WHERE name = 'profiles-0-older'") == [(0,)]


def test_what_was_read_earlier_does_not_replace_what_is_newer(bank: Bank) -> None:
    """Two processes ask at once: the slower one must not put back what the faster has brought further."""
    bank.take([envelope("c-1", NOON, registered())])
    bank.run(NOON)
    assert asked(bank, "all, of: []", NOON) == ["c-1"]
    bank.sql("UPDATE profiles SET version = 99, region = 'newer'")
    bank.sql("UPDATE projections SET seq = 0 WHERE name <> 'ledger'")
    assert asked(bank, "attribute, name: region, one_of: [newer]", NOON) == ["c-1"]


def test_an_instant_before_the_stores_clock_is_refused(bank: Bank) -> None:
    bank.take([envelope("c-1", NOON, registered())])
    bank.run(NOON)
    with pytest.raises(InputRefused, match=r"audience\.past"):
        asked(bank, "care_held", NOON - timedelta(seconds=1))
    assert asked(bank, "all, of: []", NOON) == ["c-1"]
