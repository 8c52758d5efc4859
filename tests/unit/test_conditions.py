"""Conditions: when each is true, what it says where nothing is known, and what validation finds in them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.catalogue import CareHoldLifted, RiskAssessed
from domain.customer import Customer
from domain.events import Values
from journeys.conditions import holds
from journeys.definition import All, Condition, Not
from journeys.definition import Any as AnyOf
from support.documents import condition
from support.facts import (
    account_closed,
    at,
    balance,
    changed,
    closed,
    granted,
    held,
    moved,
    opened,
    paid,
    registered,
    withdrawn,
)
from support.scenario import SHIPPED_RULES, Scenario
from support.strategies import conditions, customers, leaves
from tidings.documents import faults, parse_document

NOON = at("2026-03-10 12:00")
DEPOSITS = "holds, kinds: [term_deposit]"
PAID = "days_since, fact: transaction.posted/1"
BY_SMS = "consented, purpose: marketing, channel: sms"
NOBODY = Customer("nobody", clock_at=NOON)


def told(text: str, customer: Customer, entry: Values | None = None) -> bool:
    """Whether a condition, written as in a document, holds."""
    return holds(condition(text), customer, entry=entry or {})


def life(*facts: Any, now: datetime = NOON) -> Customer:
    """A customer of whom these facts are told at noon of 10 March 2026, or when they say, seen at ``now``."""
    timed = [fact if isinstance(fact, tuple) else (NOON, fact) for fact in facts]
    customer = Scenario("none").given(*timed).customer
    return replace(customer, clock_at=max(now, customer.clock_at))


def assessed(level: int, valid_until: date | None = None) -> RiskAssessed:
    return RiskAssessed(source="/test", id="risk", level=level, valid_until=valid_until)


@pytest.mark.parametrize(
    ("facts", "text", "expected"),
    [
        ([registered(language="de")], "attribute, name: language, one_of: [de, fr]", True),
        ([registered(language="de")], "attribute, name: language, one_of: [fr]", False),
        ([registered(language="de-AT")], "attribute, name: language, one_of: [de]", False),
        ([registered()], "attribute, name: language, one_of: [en]", True),
        ([registered(zone=None)], "attribute, name: zone, one_of: [UTC]", True),
        ([registered(), moved("Asia/Shanghai")], "attribute, name: zone, one_of: [Europe/Prague]", False),
        ([registered(region="north")], "attribute, name: region, one_of: [north, south]", True),
        ([registered()], "attribute, name: region, one_of: [north]", False),
        ([registered(birth_date=date(2008, 3, 10))], "attribute, name: age, at_least: 18", True),
        ([registered(birth_date=date(2008, 3, 11))], "attribute, name: age, at_least: 18", False),
        ([registered(birth_date=date(2008, 3, 11))], "attribute, name: age, at_most: 17", True),
        ([registered(birth_date=None)], "attribute, name: age, at_most: 200", False),
        ([registered(birth_date=date(2026, 3, 11))], "attribute, name: age, at_most: 200", False),
        ([assessed(3)], "attribute, name: risk_level, at_least: 3, at_most: 3", True),
        ([assessed(3)], "attribute, name: risk_level, at_least: 4", False),
        ([assessed(3, date(2026, 3, 10))], "attribute, name: risk_level, at_least: 1", True),
        ([assessed(3, date(2026, 3, 9))], "attribute, name: risk_level, at_most: 5", False),
        ([], "attribute, name: risk_level, at_most: 5", False),
        ([opened()], DEPOSITS, True),
        ([opened()], "holds, kinds: [loan, fund]", False),
        ([opened(), closed()], DEPOSITS, False),
        ([opened(), opened(holding="d-2")], f"{DEPOSITS}, at_least: 2", True),
        ([opened(), opened(holding="d-2")], f"{DEPOSITS}, at_most: 1", False),
        ([], f"{DEPOSITS}, at_most: 0", True),
        ([opened(matures_on=date(2026, 3, 10))], f"{DEPOSITS}, matures_within_days: 0", True),
        ([opened(matures_on=date(2026, 3, 17))], f"{DEPOSITS}, matures_within_days: 7", True),
        ([opened(matures_on=date(2026, 3, 18))], f"{DEPOSITS}, matures_within_days: 7", False),
        ([opened(matures_on=date(2026, 3, 9))], f"{DEPOSITS}, matures_within_days: 7", False),
        ([opened()], f"{DEPOSITS}, matures_within_days: 3660", False),
        ([opened(), changed(matures_on=date(2026, 3, 11))], f"{DEPOSITS}, matures_within_days: 1", True),
        ([granted()], f"{BY_SMS}, topic: offers", True),
        ([granted(channel="email")], f"{BY_SMS}, topic: offers", False),
        ([granted(), withdrawn(topic="offers")], f"{BY_SMS}, topic: offers", False),
        ([granted(), withdrawn(topic="offers")], f"{BY_SMS}, topic: news", True),
        ([], f"{BY_SMS}, topic: offers", False),
        ([paid()], f"{PAID}, at_most: 0", True),
        ([(NOON - timedelta(days=30), paid())], f"{PAID}, at_least: 30, at_most: 30", True),
        ([(NOON - timedelta(days=30), paid())], f"{PAID}, at_least: 31", False),
        ([(at("2026-03-09 23:59"), paid())], f"{PAID}, at_most: 0", False),
        ([], f"{PAID}, at_least: 0", False),
        ([], f"{PAID}, at_most: 3660", False),
        ([], f"not, of: {{is: {PAID}, at_most: 29}}", True),
        ([balance("1000"), balance("500.50", "a-2")], 'assets, at_least: "1500.5", at_most: "1500.5"', True),
        ([balance("1000.00")], 'assets, at_least: "1000.01"', False),
        ([balance("-5.00")], 'assets, at_most: "-5"', True),
        ([(NOON - timedelta(days=1), balance("9.00")), account_closed("a-1")], 'assets, at_most: "0"', True),
        ([balance("9", "a", "B"), balance("8", "b", "B"), balance("1", "c")], 'assets, at_most: "17"', True),
        ([], 'assets, at_most: "1000000"', False),
        ([], 'assets, at_least: "-1000000"', False),
        ([held("fraud")], "care_held", True),
        ([held("fraud")], "care_held, reasons: [fraud, dispute]", True),
        ([held("fraud")], "care_held, reasons: [dispute]", False),
        ([held("fraud"), CareHoldLifted(source="/test", id="l", reason="fraud")], "care_held", False),
        ([], "care_held", False),
    ],
)  # fmt: skip
def test_a_condition_is_true_of_whom_it_says(facts: list[Any], text: str, expected: bool) -> None:
    person = [] if any("Registered" in type(fact).__name__ for fact in facts) else [registered()]
    customer = life(*person, *facts)
    assert told(text, customer) is expected
    assert told(f"not, of: {{is: {text}}}", customer) is not expected


def test_days_are_those_of_the_customers_calendar() -> None:
    late = (at("2026-03-10 23:30"), paid())
    customer = life((late[0] - timedelta(days=1), registered()), late, now=at("2026-03-11 00:30"))
    assert told("days_since, fact: transaction.posted/1, at_least: 1", customer)
    elsewhere = replace(customer, zone="UTC")
    assert told("days_since, fact: transaction.posted/1, at_most: 0", elsewhere)


def test_age_is_told_by_the_customers_calendar() -> None:
    customer = life(registered(birth_date=date(2008, 3, 11)), now=datetime(2026, 3, 10, 23, 30, tzinfo=UTC))
    assert told("attribute, name: age, at_least: 18", customer)
    assert not told("attribute, name: age, at_least: 18", replace(customer, zone="UTC"))


def test_assets_are_those_of_the_latest_month() -> None:
    customer = life(registered(), (at("2026-01-05 12:00"), balance("900")), balance("100"))
    assert told('assets, at_most: "100"', customer)


def test_a_journey_counts_as_entered_from_the_moment_of_entry() -> None:
    birthday = Scenario("birthday").given((at("2026-01-01 12:00"), registered()))
    assert not told("entered, journey: birthday", birthday.customer)
    customer = birthday.until(at("2026-05-03 09:00")).customer
    assert told("entered, journey: birthday", customer)
    assert told("entered, journey: birthday, within_days: 0", customer)
    assert not told("entered, journey: win-back", customer)
    week_later = replace(customer, clock_at=at("2026-05-10 00:30"))
    assert told("entered, journey: birthday, within_days: 7", week_later)
    assert not told("entered, journey: birthday, within_days: 6", week_later)


def test_the_values_of_an_entry_are_compared_and_a_text_is_none() -> None:
    assert told("entry_value, name: age, at_least: 18", NOBODY, {"age": 18})
    assert not told("entry_value, name: age, at_most: 17", NOBODY, {"age": 18})
    assert not told("entry_value, name: kind, at_least: 0", NOBODY, {"kind": "loan"})
    assert not told("entry_value, name: age, at_least: 0", NOBODY)


def test_every_sort_of_condition_is_generated() -> None:
    assert {*leaves, All, AnyOf, Not} == set(get_args(Condition))


# What a customer has of whom nothing at all was told: a language, a zone, and no contracts.
def _speaks_of_what_all_have(leaf: Any) -> bool:
    return type(leaf).__name__ in ("Holds", "FactCount", "MessageCount") or getattr(leaf, "name", "") in (
        "language",
        "zone",
    )


@given(st.one_of(*leaves.values()))
def test_of_whom_nothing_is_known_nothing_is_true(leaf: Condition) -> None:
    if not _speaks_of_what_all_have(leaf):
        assert holds(leaf, NOBODY, entry={}) is False


@pytest.mark.long
@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(conditions, customers())
def test_every_condition_is_decided_of_everybody_and_not_is_the_opposite(
    tree: Condition, customer: Customer
) -> None:
    entry: Values = {"age": 40, "kind": "loan"}
    answer = holds(tree, customer, entry=entry)
    assert answer in (True, False)
    assert holds(Not(of=tree), customer, entry=entry) is not answer
    assert holds(All(of=(tree, Not(of=tree))), customer, entry=entry) is False
    assert holds(AnyOf(of=(tree, Not(of=tree))), customer, entry=entry) is True
    again = msgspec.json.decode(msgspec.json.encode(tree), type=Condition)
    assert again == tree


BAD = """\
journey: bad
version: 1
title: {en: Bad}
purpose: service
topic: bad
enter:
  by: fact
  fact: risk.assessed/1
  when:
    is: all
    of:
      - {is: days_since, fact: nothing.happened/1, at_most: 3}
      - {is: entered, journey: nowhere}
      - {is: entered, journey: bad}
      - {is: entered, journey: birthday}
      - is: not
        of: {is: days_since, fact: page.viewed/1, at_least: 9, at_most: 3}
      - {is: days_since, fact: page.viewed/1}
      - {is: attribute, name: age, one_of: ["18"]}
      - {is: attribute, name: region, at_least: 1}
      - {is: attribute, name: zone}
      - {is: attribute, name: risk_level, at_least: 4, at_most: 2}
      - {is: holds, kinds: [loan]}
      - {is: holds, kinds: [loan], at_least: 2, at_most: 1}
      - {is: assets}
      - {is: assets, at_least: "10", at_most: "9.5"}
      - {is: any, of: []}
steps:
  - step: choose
    do: branch
    cases:
      - when: {is: entry_value, name: fact, at_least: 2, at_most: 1}
        next: done
    otherwise: done
  - step: done
    do: end
"""


def test_all_that_is_wrong_with_conditions_is_told_at_once_with_its_place() -> None:
    found = faults(parse_document(BAD, name="bad.yaml"), SHIPPED_RULES.templates, {}, {"birthday"})[1]
    assert [(fault.line, fault.column, fault.code) for fault in found] == [
        (12, 26, "journey.unknown_fact"),
        (13, 23, "journey.unknown_journey"),
        (17, 51, "journey.bounds_crossed"),
        (18, 9, "journey.no_bounds"),
        (19, 36, "journey.wrong_operator"),
        (20, 39, "journey.wrong_operator"),
        (21, 9, "journey.no_bounds"),
        (22, 43, "journey.bounds_crossed"),
        (24, 36, "journey.bounds_crossed"),
        (25, 9, "journey.no_bounds"),
        (26, 22, "journey.bounds_crossed"),
        (27, 19, "journey.no_parts"),
        (32, 45, "journey.bounds_crossed"),
    ]
    unknown = next(fault for fault in found if fault.code == "journey.unknown_journey")
    assert unknown.values == {"found": "nowhere", "expected": "bad, birthday"}


def test_where_published_journeys_are_not_known_none_is_missed() -> None:
    found = faults(parse_document(BAD, name="bad.yaml"), SHIPPED_RULES.templates, {})[1]
    assert "journey.unknown_journey" not in {fault.code for fault in found}
