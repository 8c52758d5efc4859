"""Made-up journeys of every step: what validation lets through is run to its end, and only that."""

from datetime import date, timedelta
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import catalogue as facts
from domain.catalogue import Fact
from domain.events import (
    EnrolmentEnded,
    EnrolmentStarted,
    JourneyCalled,
    MessageRequested,
    MessageSending,
)
from journeys.definition import (
    Journey,
    Step,
)
from journeys.rulebook import Rulebook, Rules
from journeys.validation import problems
from support.facts import at, opened, registered
from support.made_up import journeys, runs_to_its_end, steps
from support.scenario import SHIPPED_RULEBOOK, SHIPPED_RULES, Scenario

ROUNDS = {"journey.round", "journey.round_at_once"}
GRAPH = ROUNDS | {"journey.dangling", "journey.unreachable", "journey.step_twice"}


def test_every_sort_of_step_is_made_up() -> None:
    assert steps("s", st.just("t")).keys() == set(get_args(Step))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(journeys())
def test_validation_lets_through_exactly_what_runs_to_its_end(journey: Journey) -> None:
    found = problems(journey, SHIPPED_RULES.templates, SHIPPED_RULES.calendars)
    assert {problem.code for problem in found} <= GRAPH
    assert (not found) == runs_to_its_end(journey)


answers = st.lists(
    st.tuples(
        st.integers(0, 60 * 24),
        st.sampled_from(
            [
                facts.SurveyAnswered(source="/made-up", id="answer", survey="s", score=3),
                facts.CustomFact(source="x.told/1", id="told", data={}),
                facts.CustomerErased(source="/made-up", id="erased"),
            ]
        ),
    ),
    max_size=4,
)


@pytest.mark.long
@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(journeys().filter(runs_to_its_end), answers)
def test_a_passage_ends_and_says_nothing_twice(journey: Journey, told: list[tuple[int, Fact]]) -> None:
    book = Rulebook(
        journeys=(journey,),
        templates=SHIPPED_RULEBOOK.templates,
        policy=SHIPPED_RULEBOOK.policy,
        calendars=SHIPPED_RULEBOOK.calendars,
    )
    begin = at("2026-01-01 12:00")
    life = Scenario(rules=Rules(book)).given(
        (begin, registered()),
        (begin, opened(matures_on=date(2026, 2, 1))),
        *((begin + timedelta(hours=hours), fact) for hours, fact in told),
    )
    life.until(at("2028-01-01 12:00"))
    begun = [body.enrolment for body in life.bodies(EnrolmentStarted)]
    over = [body.enrolment for body in life.bodies(EnrolmentEnded)]
    assert sorted(begun) == sorted(over)
    assert len(set(begun)) == len(begun) <= 1 + len(life.bodies(JourneyCalled))
    assert life.customer.timers == {}
    asked = [(body.enrolment, body.step, body.visit) for body in life.bodies(MessageRequested)]
    assert len(set(asked)) == len(asked)
    sent = [body.message for body in life.bodies(MessageSending)]
    assert len(set(sent)) == len(sent)
