"""The synthetic bank: the same for a seed, whole in itself, and with cases for every programme."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest

from domain.catalogue import (
    BalanceRecorded,
    CustomerRegistered,
    Envelope,
    HoldingChanged,
    HoldingOpened,
    LossIncurred,
    SurveyAnswered,
    TransactionPosted,
    fact_type,
)
from domain.clock import month_number
from tidings.synthetic import synthetic_bank

START, DAYS = date(2026, 1, 1), 365
OLDER = ("customer.registered/1", "account.opened/1", "consent.granted/1", "holding.opened/1")


def bank(*, customers: int = 150, days: int = DAYS, seed: int = 7) -> list[Envelope]:
    return list(synthetic_bank(customers=customers, days=days, start=START, seed=seed))


@pytest.fixture(scope="module")
def facts() -> list[Envelope]:
    return bank()


def by_customer(facts: Iterable[Envelope]) -> dict[str, list[Envelope]]:
    histories: dict[str, list[Envelope]] = defaultdict(list)
    for told in facts:
        histories[told.subject].append(told)
    return histories


def zone_of(history: list[Envelope]) -> ZoneInfo:
    registered = history[0].fact
    assert isinstance(registered, CustomerRegistered)
    return ZoneInfo(registered.zone or "UTC")


def test_the_same_seed_gives_the_same_facts_and_another_seed_others(facts: list[Envelope]) -> None:
    assert bank() == facts
    assert bank(seed=8) != facts


def test_a_customer_is_the_same_however_many_there_are(facts: list[Envelope]) -> None:
    few = bank(customers=20)
    assert facts[: len(few)] == few
    assert facts[len(few)].subject == "C000021"


def test_every_customer_is_registered_before_anything_else_is_told_and_stands_in_order_of_time(
    facts: list[Envelope],
) -> None:
    histories = by_customer(facts)
    assert len(histories) == 150
    for history in histories.values():
        assert [told.kind for told in history].index("customer.registered/1") == 0
        assert all(told.occurred_at > history[0].occurred_at for told in history[1:])
        assert all(before.occurred_at <= after.occurred_at for before, after in pairwise(history))


def test_no_id_is_used_twice(facts: list[Envelope]) -> None:
    assert len({(told.fact.source, told.fact.id) for told in facts}) == len(facts)


def test_every_fact_is_one_that_could_be_taken_in(facts: list[Envelope]) -> None:
    for told in facts:
        kind = fact_type(told.kind)
        assert kind is not None
        assert msgspec.json.decode(msgspec.json.encode(told.fact), type=kind) == told.fact


@pytest.mark.parametrize("days", [1, 40, DAYS])
def test_instants_are_aware_utc_and_all_that_happens_lies_in_the_days_lived_through(days: int) -> None:
    end = datetime.combine(START, time(), UTC) + timedelta(days=days)
    for history in by_customer(bank(days=days)).values():
        begin = datetime.combine(START, time(), zone_of(history))
        for told in history:
            assert told.occurred_at.tzinfo is UTC
            assert told.occurred_at < end
            assert told.occurred_at >= begin or told.kind in OLDER


def test_a_bank_without_customers_or_without_days_is_no_error() -> None:
    assert bank(customers=0) == []
    assert {told.kind for told in bank(customers=5, days=0)} <= set(OLDER)


def test_every_contract_ends_after_it_begins_and_after_it_was_last_changed(facts: list[Envelope]) -> None:
    ends = 0
    for history in by_customer(facts).values():
        for told in history:
            if isinstance(told.fact, HoldingOpened | HoldingChanged) and told.fact.matures_on:
                ends += 1
                assert told.fact.matures_on > told.occurred_at.astimezone(zone_of(history)).date()
    assert ends > 50


def test_a_month_s_balance_is_the_one_before_and_the_transactions_between(facts: list[Envelope]) -> None:
    for history in by_customer(facts).values():
        known: Decimal | None = None
        moved = Decimal(0)
        for told in history:
            if isinstance(told.fact, TransactionPosted):
                moved += told.fact.amount
            elif isinstance(told.fact, BalanceRecorded):
                assert told.fact.amount >= 0
                assert known is None or told.fact.amount == known + moved
                known, moved = told.fact.amount, Decimal(0)
        assert moved == 0


def test_a_balance_is_told_once_a_month_at_its_last_transaction(facts: list[Envelope]) -> None:
    for history in by_customer(facts).values():
        zone = zone_of(history)
        last: dict[int, datetime] = {}
        balances: dict[int, datetime] = {}
        for told in history:
            month = month_number(told.occurred_at.astimezone(zone).date())
            if isinstance(told.fact, TransactionPosted):
                last[month] = told.occurred_at
            elif isinstance(told.fact, BalanceRecorded):
                assert month not in balances
                balances[month] = told.occurred_at
        assert balances == last


def test_money_has_two_decimal_places(facts: list[Envelope]) -> None:
    amounts = [t.fact.amount for t in facts if isinstance(t.fact, TransactionPosted | BalanceRecorded)]
    assert {amount.as_tuple().exponent for amount in amounts} == {-2}


def test_every_address_is_fictitious(facts: list[Envelope]) -> None:
    known = [told.fact for told in facts if isinstance(told.fact, CustomerRegistered)]
    fictitious = ("+420600", "+447700900", "+8610000", "+6520")
    assert all(fact.email and fact.email.endswith("@example.com") for fact in known)
    assert all(fact.phone.startswith(fictitious) for fact in known if fact.phone)


def test_there_are_cases_for_the_programmes(facts: list[Envelope]) -> None:
    end = START + timedelta(days=DAYS)
    kinds = {told.kind for told in facts}
    assert {"consent.withdrawn/1", "holding.changed/1", "holding.closed/1", "complaint.filed/1"} <= kinds
    assert {"loss.incurred/1", "risk.assessed/1", "survey.answered/1", "x.statement.ready/1"} <= kinds
    assert {"x.service.completed/1", "x.product.risk_changed/1", "x.birthday.calendar/1"} <= kinds
    due = [t.fact for t in facts if isinstance(t.fact, HoldingOpened) and t.fact.matures_on]
    assert sum(START <= fact.matures_on < end for fact in due if fact.matures_on) > 20
    waits, grown = [], 0
    for history in by_customer(facts).values():
        ends = [told.fact.amount for told in history if isinstance(told.fact, BalanceRecorded)]
        gains = [after > before * Decimal("1.2") for before, after in pairwise(ends)]
        grown += any(all(gains[i : i + 3]) for i in range(len(gains) - 2))
        days = [told.occurred_at for told in history if isinstance(told.fact, TransactionPosted)]
        waits += [after - before for before, after in pairwise(days)]
    assert sum(wait > timedelta(days=60) for wait in waits) >= 3
    assert grown >= 3


def test_an_answer_comes_after_what_it_is_about(facts: list[Envelope]) -> None:
    about = {"complaint": "complaint.resolved/1", "service": "x.service.completed/1"}
    answers = 0
    for history in by_customer(facts).values():
        for place, told in enumerate(history):
            if isinstance(told.fact, SurveyAnswered):
                answers += 1
                assert about[told.fact.survey] in {before.kind for before in history[:place]}
    assert answers > 10


def test_what_is_lost_was_held(facts: list[Envelope]) -> None:
    for history in by_customer(facts).values():
        for place, told in enumerate(history):
            if isinstance(told.fact, LossIncurred):
                opened = {e.fact.holding for e in history[:place] if isinstance(e.fact, HoldingOpened)}
                assert told.fact.holding in opened
