"""What can change a condition's answer: which facts, and which day at the earliest."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from domain.assets import assets_by_month, latest_assets
from domain.catalogue import FACTS, RiskAssessed
from domain.customer import Customer
from domain.events import EVENTS
from journeys.conditions import measured
from journeys.definition import Condition
from journeys.sensitivity import changes_at, heard_by, leaves, stays_for
from support.documents import condition
from support.facts import at, balance, moved, opened, paid, registered
from support.scenario import Scenario
from support.strategies import conditions, customers

NOON = at("2026-03-10 12:00")
PAID = "days_since, fact: transaction.posted/1"
PERSON = {"customer.registered/1", "customer.changed/1"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('assets, at_least: "5"', {"balance.recorded/1", "account.closed/1"}),
        ("holds, kinds: [loan]", {"holding.opened/1", "holding.changed/1", "holding.closed/1"}),
        ("care_held", {"care_hold.placed/1", "care_hold.lifted/1"}),
        (f"{PAID}, at_most: 3", PERSON | {"transaction.posted/1"}),
        ("entered, journey: birthday", PERSON | {"enrolment.started/1", "enrolment.held_out/1"}),
        ("attribute, name: risk_level, at_least: 3", PERSON | {"risk.assessed/1"}),
        ("in_segment, segment: tiers", set()),
        (
            'any, of: [{is: care_held}, {is: not, of: {is: assets, at_most: "5"}}]',
            {"care_hold.placed/1", "care_hold.lifted/1", "balance.recorded/1", "account.closed/1"},
        ),
    ],
)
def test_a_condition_hears_the_facts_that_can_change_it(text: str, expected: set[str]) -> None:
    assert heard_by(condition(text)) == expected


@given(conditions)
def test_what_is_heard_are_kinds_of_events(tree: Condition) -> None:
    assert heard_by(tree) <= {*FACTS, *EVENTS, "x.own/1"}


def life(*facts: Any) -> Customer:
    return Scenario("none").given((NOON, registered()), *((NOON, fact) for fact in facts)).customer


@pytest.mark.parametrize(
    ("facts", "text", "expected"),
    [
        ([paid()], f"{PAID}, at_most: 30", "2026-04-10 00:00"),
        ([paid()], f"{PAID}, at_least: 30", "2026-04-09 00:00"),
        ([paid()], f"{PAID}, at_least: 2, at_most: 30", "2026-03-12 00:00"),
        ([paid()], f"{PAID}, at_least: 0", None),
        ([], f"{PAID}, at_least: 2", None),
        # Days of 23 hours: the clock is put forward on 29 March.
        ([paid()], f"{PAID}, at_least: 19", "2026-03-29 00:00"),
        ([paid()], f"{PAID}, at_least: 20", "2026-03-30 00:00"),
        # Born on 3 May 1980.
        ([], "attribute, name: age, at_least: 46", "2026-05-03 00:00"),
        ([], "attribute, name: age, at_least: 45, at_most: 60", "2041-05-03 00:00"),
        ([], "attribute, name: zone, one_of: [UTC]", None),
        ([opened(matures_on=date(2026, 4, 10))], "holds, kinds: [term_deposit], matures_within_days: 7",
         "2026-04-03 00:00"),
        ([opened(matures_on=date(2026, 3, 12))], "holds, kinds: [term_deposit], matures_within_days: 7",
         "2026-03-13 00:00"),
        # Some banks write so where a contract has no term.
        ([opened(matures_on=date(9999, 12, 31))], "holds, kinds: [term_deposit], matures_within_days: 7",
         None),
        ([opened(matures_on=date(2026, 4, 10))], "holds, kinds: [term_deposit]", None),
        ([RiskAssessed(source="/t", id="r", level=2, valid_until=date(2026, 6, 1))],
         "attribute, name: risk_level, at_most: 3", "2026-06-02 00:00"),
        ([balance("5")], 'assets, at_least: "5"', None),
        ([balance("5")], "assets_grew, over_percent: 1, months: 3", None),
    ],
)  # fmt: skip
def test_the_earliest_day_is_the_one_with_which_it_can_turn(
    facts: list[Any], text: str, expected: str | None
) -> None:
    assert changes_at(condition(text), life(*facts), NOON) == (None if expected is None else at(expected))


def test_the_day_is_one_of_the_customers_zone() -> None:
    customer = life(paid(), moved("Asia/Shanghai"))
    found = changes_at(condition(f"{PAID}, at_most: 0"), customer, NOON)
    assert found == at("2026-03-11 00:00", "Asia/Shanghai")


def test_where_the_clock_is_put_back_over_midnight_the_day_is_waited_for_again() -> None:
    """In St. John's the clock went from 00:01 to 23:01 of the day before."""
    zone = "America/St_Johns"
    again = datetime.fromisoformat("2010-11-07T03:00:00+00:00")
    customer = replace(life(), zone=zone, clock_at=again, last_at={"transaction.posted/1": again})
    found = changes_at(condition(f"{PAID}, at_most: 0"), customer, again)
    assert found is not None
    assert found > again


@pytest.mark.parametrize(
    ("text", "days"),
    [
        (f"{PAID}, at_most: 30", 30),
        (f"{PAID}, at_least: 30", 29),
        (f"all, of: [{{is: {PAID}, at_least: 60}}, {{is: not, of: {{is: {PAID}, at_most: 9}}}}]", 9),
        (f"{PAID}, at_most: 0", 0),
    ],
)
def test_one_more_fact_leaves_it_while_the_last_is_younger_than_what_is_compared(
    text: str, days: int
) -> None:
    stays = stays_for(condition(text), "transaction.posted/1")
    assert stays is not None
    # The widest change of a wall clock is taken off.
    assert timedelta(days=days - 2) <= stays + timedelta(hours=2) <= timedelta(days=days)


def test_other_conditions_never_stay() -> None:
    assert stays_for(condition('assets, at_least: "5"'), "balance.recorded/1") is None


@settings(deadline=None)
@given(conditions, customers())
def test_each_leaf_tells_what_it_sees(tree: Condition, customer: Customer) -> None:
    for leaf in leaves(tree):
        name, value = measured(leaf, customer)
        assert name
        assert value is None or isinstance(value, str | int | bool)


@given(customers())
def test_assets_of_now_are_those_of_the_latest_month(customer: Customer) -> None:
    months = assets_by_month(customer.balances)
    assert latest_assets(customer.balances) == next((assets for _, assets in months), None)
