"""What counts as a journey's goal, for whom and for how long; who is held out, and what becomes of them."""

from datetime import date, datetime, timedelta

import pytest
from msgspec import Struct
from msgspec.structs import replace

from domain.catalogue import Fact
from domain.events import (
    AdmissionRefused,
    Decision,
    EnrolmentEnded,
    EnrolmentHeldOut,
    EnrolmentStarted,
    GoalReached,
    MessageRequested,
    SplitTaken,
)
from journeys.definition import Journey, Reentry
from journeys.experiments import is_held_out
from journeys.rulebook import Rules
from support.documents import journey_of
from support.facts import at, granted, held, moved, opened, paid, registered
from support.scenario import SHIPPED_RULEBOOK, SHIPPED_RULES, Scenario
from tidings.documents import faults, parse_document

DOCUMENT = """
journey: offer
version: 1
title: {en: Offer}
purpose: marketing
topic: offers
enter: {by: fact, fact: transaction.posted/1}
reentry: {after_days: 20}
goal: {fact: holding.opened/1, within_days: 10}
steps:
  - {step: ask, do: send, template: tier-course, channels: [email], next: pause}
  - {step: pause, do: wait, days: 40, at: "12:00", next: end}
  - {step: end, do: end}
"""
OFFER = journey_of(DOCUMENT)
ENTERED = at("2026-03-02 12:00")
HELD_OUT = replace(OFFER, holdout=journey_of(DOCUMENT + "holdout: {percent: 50}\n").holdout)
INSIDE = next(f"c-{n}" for n in range(99) if not is_held_out(HELD_OUT, f"c-{n}"))
OUTSIDE = next(f"c-{n}" for n in range(99) if is_held_out(HELD_OUT, f"c-{n}"))


def life(
    own: Journey, *told: tuple[datetime, Fact], zone: str = "Europe/Prague", subject: str = "c-1"
) -> Scenario:
    """The customer enters at noon on 2 March, and then this is told."""
    rules = Rules(replace(SHIPPED_RULEBOOK, journeys=(own,)))
    start = at("2026-01-01 12:00")
    scenario = Scenario(rules=rules, subject=subject)
    return scenario.given((start, registered(zone=zone)), (start, granted()), (ENTERED, paid()), *told)


def reached(scenario: Scenario) -> list[int]:
    """On which day after the entry, for each goal that counts."""
    return [body.days for body in scenario.bodies(GoalReached) if isinstance(body, GoalReached)]


def left(scenario: Scenario) -> list[str]:
    return [body.reason for body in scenario.bodies(EnrolmentEnded) if isinstance(body, EnrolmentEnded)]


@pytest.mark.parametrize(
    ("when", "days"),
    [
        (ENTERED, [0]),
        (at("2026-03-02 23:59"), [0]),
        (at("2026-03-03 00:00"), [1]),
        (at("2026-03-12 23:59"), [10]),
        (at("2026-03-13 00:00"), []),
    ],
)
@pytest.mark.parametrize("subject", [INSIDE, OUTSIDE])
def test_the_goal_counts_from_the_entry_to_the_end_of_the_last_day(
    subject: str, when: datetime, days: list[int]
) -> None:
    told = (when, opened()) if when > ENTERED else (when + timedelta(microseconds=1), opened())
    scenario = life(HELD_OUT, told, subject=subject)
    assert reached(scenario) == days


def test_days_are_those_of_the_customers_calendar() -> None:
    """Noon in Prague is 19:00 in Shanghai, so the tenth day is over seven hours earlier."""
    for when, days in [("2026-03-12 16:59", [10]), ("2026-03-12 17:00", [])]:
        assert reached(life(OFFER, (at(when), opened()), zone="Asia/Shanghai")) == days
    went = (at("2026-03-05 12:00"), moved("Asia/Shanghai"))
    assert reached(life(OFFER, went, (at("2026-03-12 17:00"), opened()))) == []


def test_the_goal_counts_once_and_after_the_enrolment_has_ended() -> None:
    short = replace(OFFER, steps=(replace(OFFER.steps[0], next="end"), OFFER.steps[2]))
    told = [(at(f"2026-03-0{day} 12:00"), opened(holding=f"d-{day}")) for day in (4, 5)]
    scenario = life(short, *told)
    assert (reached(scenario), left(scenario)) == ([2], ["end"])
    assert scenario.customer.watches == {}


def test_who_is_inside_leaves_by_the_goal_also_when_it_does_not_count_any_more() -> None:
    scenario = life(OFFER, (at("2026-03-20 12:00"), opened()))
    assert (reached(scenario), left(scenario)) == ([], ["goal_reached"])


def test_a_goal_that_does_not_end_is_counted_and_the_journey_goes_on() -> None:
    staying = journey_of(DOCUMENT.replace("within_days: 10", "within_days: 10, ends: false"))
    scenario = life(staying, (at("2026-03-05 12:00"), opened()))
    assert (reached(scenario), left(scenario)) == ([3], [])
    scenario.until(at("2026-06-01 12:00"))
    assert (reached(scenario), left(scenario)) == ([3], ["end"])


def test_a_goal_with_a_condition_waits_for_a_fact_with_which_it_holds() -> None:
    when = "{is: holds, kinds: [fund], at_least: 1}"
    choosy = journey_of(DOCUMENT.replace("within_days: 10", f"when: {when}"))
    scenario = life(
        choosy,
        (at("2026-03-05 12:00"), opened(holding="d-1", kind="card")),
        (at("2026-03-08 12:00"), opened(holding="d-2", kind="fund")),
    )
    assert (reached(scenario), left(scenario)) == ([6], ["goal_reached"])
    ended = [event.recorded_at for event in scenario.history if isinstance(event.body, EnrolmentEnded)]
    assert ended == [at("2026-03-08 12:00")]


@pytest.mark.parametrize(
    ("happened", "told", "days"),
    [
        ("2026-03-12 12:00", "2026-03-25 12:00", [10]),
        ("2026-03-12 12:00", "2026-04-12 12:00", [10]),
        ("2026-03-12 12:00", "2026-04-12 13:01", []),
        ("2026-03-13 12:00", "2026-03-25 12:00", []),
        ("2026-03-02 11:59", "2026-03-03 12:00", []),
    ],
)
@pytest.mark.parametrize("subject", [INSIDE, OUTSIDE])
def test_a_goal_told_late_counts_by_when_it_happened(
    subject: str, happened: str, told: str, days: list[int]
) -> None:
    """The last row happened before the entry. Told a month late it still counts, and no later."""
    scenario = life(HELD_OUT, subject=subject)
    scenario.tell_late(at(happened), opened(), now=at(told))
    assert reached(scenario) == days


def test_a_goal_of_before_the_entry_ends_the_enrolment_and_counts_for_nothing() -> None:
    scenario = life(OFFER)
    scenario.tell_late(at("2026-03-02 11:59"), opened(), now=at("2026-03-03 12:00"))
    assert (reached(scenario), left(scenario)) == ([], ["goal_reached"])


def test_nobody_is_watched_for_ever() -> None:
    for own in (OFFER, HELD_OUT):
        scenario = life(own, subject=OUTSIDE)
        assert len(scenario.customer.watches) == 1
        scenario.given((at("2026-04-13 12:00"), held()))
        assert len(scenario.customer.watches) == 1
        scenario.given((at("2026-04-16 12:00"), held("dispute")))
        assert scenario.customer.watches == {}


def test_who_is_held_out_gets_nothing_and_enters_again_no_sooner_than_others() -> None:
    both: dict[str, type[Struct]] = {INSIDE: EnrolmentStarted, OUTSIDE: EnrolmentHeldOut}
    for subject, kind in both.items():
        days = ["2026-03-10 12:00", "2026-03-21 23:59", "2026-03-22 00:00"]
        scenario = life(HELD_OUT, *((at(day), paid()) for day in days), subject=subject)
        entries = [event.recorded_at for event in scenario.history if isinstance(event.body, kind)]
        assert entries == [ENTERED, at("2026-03-22 00:00")]
        refused = [
            body.rule for body in scenario.bodies(AdmissionRefused) if isinstance(body, AdmissionRefused)
        ]
        assert refused == ["reentry", "reentry"]
    assert scenario.messages() == []
    decided = {type(event.body) for event in scenario.history if isinstance(event.body, Decision)}
    assert decided == {EnrolmentHeldOut, AdmissionRefused}
    (first, _) = scenario.bodies(EnrolmentHeldOut)
    assert isinstance(first, EnrolmentHeldOut)
    assert (first.journey, first.version, first.percent, first.goal_days) == ("offer", 1, 50, 10)
    assert scenario.customer.enrolments == {}


def test_the_same_customers_are_held_out_in_every_version_and_more_by_a_larger_percent() -> None:
    def out(percent: int, **other: object) -> set[str]:
        own = replace(HELD_OUT, holdout=replace(HELD_OUT.holdout, percent=percent, **other))  # type: ignore[type-var]
        return {f"c-{n}" for n in range(20_000) if is_held_out(own, f"c-{n}")}

    ten = out(10)
    assert out(10) == ten < out(25)
    assert abs(len(ten) / 20_000 - 0.1) < 5 * (0.1 * 0.9 / 20_000) ** 0.5
    salted = out(10, salt="another")
    assert abs(len(ten & salted) / 20_000 - 0.01) < 5 * (0.01 * 0.99 / 20_000) ** 0.5
    # These stand for ever.
    assert sorted(ten, key=lambda name: int(name[2:]))[:5] == ["c-18", "c-20", "c-28", "c-58", "c-61"]


def test_who_is_held_out_is_not_told_by_the_way_of_a_split() -> None:
    ways = "ways: [{way: a, percent: 50, next: end}, {way: b, percent: 50, next: end}]"
    text = DOCUMENT.split("steps:")[0] + "holdout: {percent: 50}\nsteps:\n"
    own = journey_of(
        text + f"  - {{step: which, do: split, experiment: offer, {ways}}}\n  - {{step: end, do: end}}\n"
    )
    taken = []
    for number in range(400):
        scenario = life(own, subject=f"c-{number}")
        taken += [body.way for body in scenario.bodies(SplitTaken) if isinstance(body, SplitTaken)]
    assert 160 < len(taken) < 240
    assert 0.4 < taken.count("a") / len(taken) < 0.6


def test_each_entry_is_watched_by_itself() -> None:
    """One enrolment for each contract: the goal counts for both, each with its own days."""
    by_contract = journey_of(
        DOCUMENT.replace(
            "{by: fact, fact: transaction.posted/1}",
            "{by: maturity, kinds: [loan], offsets: [0], at: '12:00'}",
        )
        .replace("reentry: {after_days: 20}\n", "")
        .replace("holding.opened/1", "transaction.posted/1")
    )
    start = at("2026-03-02 13:00")
    told = [(start, opened(holding=f"l-{day}", kind="loan", matures_on=date(2026, 3, day))) for day in (5, 9)]
    scenario = life(by_contract, *told, (at("2026-03-11 12:00"), paid()))
    assert sorted(reached(scenario)) == [2, 6]


def test_who_is_held_out_is_told_of_contracts_together_as_others_are() -> None:
    """Two loans within a week are one entry for both groups, and one a month later is another."""
    enter = "{by: maturity, kinds: [loan], offsets: [0], at: '12:00', merge_days: 7}"
    text = DOCUMENT.replace("{by: fact, fact: transaction.posted/1}", enter)
    own = replace(journey_of(text), reentry=Reentry(), holdout=HELD_OUT.holdout)
    start = at("2026-01-05 12:00")
    told = [
        (start, opened(holding=f"l-{month}-{day}", kind="loan", matures_on=date(2026, month, day)))
        for month, day in ((3, 5), (3, 9), (4, 20))
    ]
    seen = []
    for subject in (INSIDE, OUTSIDE):
        rules = Rules(replace(SHIPPED_RULEBOOK, journeys=(own,)))
        scenario = Scenario(rules=rules, subject=subject)
        scenario.given((at("2026-01-01 12:00"), registered()), *told).until(at("2026-06-01 12:00"))
        entries = [
            (event.recorded_at, event.body.key, event.body.covers)
            for event in scenario.history
            if isinstance(event.body, EnrolmentStarted | EnrolmentHeldOut)
        ]
        seen.append(entries)
    assert seen[0] == seen[1]
    assert len(seen[0]) == 2


def test_what_is_wrong_with_a_goal_is_told_with_its_place() -> None:
    unknown, crossed = (
        "{is: entry_value, name: age, at_least: 1}",
        "{is: holds, kinds: [card], at_least: 2, at_most: 1}",
    )
    when = f"when: {{is: all, of: [{unknown}, {crossed}]}}"
    wrong = DOCUMENT.replace("within_days: 10", when)
    _, found = faults(parse_document(wrong, name="offer"), SHIPPED_RULES.templates, {})
    assert [(fault.line, fault.code) for fault in found] == [
        (9, "journey.unknown_value"),
        (9, "journey.bounds_crossed"),
    ]


def test_a_journey_without_a_goal_watches_nobody() -> None:
    scenario = life(replace(OFFER, goal=None))
    (started,) = scenario.bodies(EnrolmentStarted)
    assert isinstance(started, EnrolmentStarted)
    assert started.goal_days is None
    assert scenario.customer.watches == {}
    assert len(scenario.bodies(MessageRequested)) == 1
