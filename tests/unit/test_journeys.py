"""The journey language: what validation finds, and that what it lets through ends."""

from datetime import date
from typing import Any

import pytest

from domain.events import BranchTaken
from journeys.definition import (
    Await,
    Delay,
    Emit,
    End,
    EnterOnMaturity,
    Journey,
    Jump,
    Send,
    Start,
    Step,
    Wait,
    WaitUntil,
)
from journeys.rulebook import canonical, digest
from journeys.validation import problems
from support.facts import at, opened, registered
from support.scenario import SHIPPED_RULEBOOK, SHIPPED_RULES, Scenario
from tidings.authoring import decode_rulebook


def _await(**given: Any) -> Await:
    return Await(step="a", **{"fact": "survey.answered/1", "next": "z", "otherwise": "z", **given})


def test_a_journey_that_validation_refuses_can_indeed_not_end() -> None:
    """Each round that is refused would be one: the graph is walked as the engine would."""
    turning = (
        Wait(step="a", days=1, at="12:00", next="b"),
        Wait(step="b", days=1, at="12:00", next="a"),
    )
    journey = Journey(
        journey="round",
        version=1,
        title={"en": "Round"},
        purpose="service",
        topic="t",
        enter=EnterOnMaturity(kinds=("loan",), offsets=(0,), at="10:00"),
        steps=turning,
    )
    assert [(p.code, p.path) for p in problems(journey, {}, {})] == [
        ("journey.round", ("steps", 0, "step")),
        ("journey.round", ("steps", 1, "step")),
    ]


def test_the_branch_taken_is_recorded_with_the_values_it_saw() -> None:
    life = Scenario("maturity").given(
        (at("2026-01-01 12:00"), registered()),
        (at("2026-01-01 12:00"), opened(matures_on=date(2026, 2, 1))),
    )
    life.until(at("2026-03-01 12:00"))
    taken = [body for body in life.bodies(BranchTaken) if isinstance(body, BranchTaken)]
    assert [(body.next, body.values["offset_days"]) for body in taken] == [
        ("remind", -30),
        ("remind", -7),
        ("remind", -1),
        ("follow-up", 1),
    ]


def test_a_rulebook_is_its_canonical_bytes() -> None:
    again = decode_rulebook(canonical(SHIPPED_RULEBOOK))
    assert again == SHIPPED_RULEBOOK
    assert digest(again) == digest(SHIPPED_RULEBOOK)


@pytest.mark.parametrize(
    ("step", "code", "place"),
    [
        (Delay(step="a", next="z"), "journey.no_time", "step"),
        (WaitUntil(step="a", at="10:00", next="z"), "journey.no_time", "step"),
        (WaitUntil(step="a", value="born", at="10:00", next="z"), "journey.unknown_value", "value"),
        (Wait(step="a", at="10:00", working="cz", weekdays=("mon",), next="z"), "journey.no_time", "step"),
        (Wait(step="a", at="10:00", working="lunar", next="z"), "journey.unknown_calendar", "working"),
        (_await(within_hours=1, at="10:00"), "journey.no_time", "step"),
        (_await(within_days=1), "journey.no_time", "step"),
        (_await(within_hours=1, of_step="z"), "journey.sends_nothing", "of_step"),
        (_await(within_hours=1, values=("colour",)), "journey.unknown_field", "values"),
        (_await(within_hours=1, same=("holding",)), "journey.unknown_field", "same"),
        (_await(within_hours=1, same=("score",)), "journey.unknown_value", "same"),
        (_await(within_hours=1, fact="nothing/1"), "journey.unknown_fact", "fact"),
        (Start(step="a", journey="none", next="z"), "journey.unknown_journey", "journey"),
        (Emit(step="a", fact="x.y/1", values=("born",), next="z"), "journey.unknown_value", "values"),
    ],
)
def test_a_step_that_cannot_be_meant_is_refused_with_its_place(step: Step, code: str, place: str) -> None:
    journey = Journey(
        journey="own",
        version=1,
        title={"en": "Own"},
        purpose="service",
        topic="t",
        enter=EnterOnMaturity(kinds=("loan",), offsets=(0,), at="10:00"),
        steps=(step, End(step="z")),
    )
    found = problems(journey, {}, SHIPPED_RULES.calendars, ["other"])
    assert [(p.code, p.path[:3]) for p in found] == [(code, ("steps", 0, place))]


def test_a_round_without_a_wait_is_refused_at_each_of_its_steps() -> None:
    steps = (
        Send(step="a", template="birthday-greeting", channels=("email",), next="b"),
        Jump(step="b", to="a", at_most=2, otherwise="z"),
        End(step="z"),
    )
    journey = Journey(
        journey="round",
        version=1,
        title={"en": "Round"},
        purpose="service",
        topic="t",
        enter=EnterOnMaturity(kinds=("loan",), offsets=(0,), at="10:00"),
        steps=steps,
    )
    assert [(p.code, p.path) for p in problems(journey, SHIPPED_RULES.templates, {})] == [
        ("journey.round_at_once", ("steps", 0, "step")),
        ("journey.round_at_once", ("steps", 1, "step")),
    ]
