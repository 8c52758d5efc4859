"""One customer's way through a journey as sentences, whatever became of it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest

from domain import events
from domain.customer import Customer
from domain.events import KIND_OF, Body, Event
from support.facts import at, granted, opened, registered
from support.scenario import Scenario
from tidings.trying.told import passage, sentences
from tidings.wording import LANGUAGES, Wording

WHEN = datetime(2026, 5, 1, 9, 30, tzinfo=UTC)


def told(body: Body, language: str, *, cause: int = 1) -> str:
    event = Event(2, KIND_OF.get(type(body), "x"), WHEN, WHEN, cause, body)
    (sentence,) = sentences(Customer("c-1"), [event], Wording(language))
    return sentence


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", ["end", "goal_reached", "exit", "expired", "superseded", "withdrawn"])
def test_every_way_out_has_its_sentence(language: str, reason: str) -> None:
    body = events.EnrolmentEnded(enrolment="e", step="last", reason=reason, exit="door")
    sentence = told(body, language)
    assert "2026-05-01 09:30 UTC" in sentence
    assert "{" not in sentence
    assert "?" not in sentence
    assert ("door" in sentence) == (reason == "exit")
    assert Wording(language).has(f"ended.{reason}")


def test_reasons_of_waits_and_plans_are_told_in_words() -> None:
    over = events.WaitEnded(enrolment="e", step="s", reason="timeout", next="n", values={})
    assert "nothing came in time" in told(over, "en")
    plan = events.TimersPlanned(due={"enter:x": WHEN}, reason="birthday")
    assert "to look again at the next birthday" in told(plan, "en")


def test_a_decision_without_a_sentence_of_its_own_is_told_by_its_name() -> None:
    body = events.ProfileUpdated(enrolment="e", step="s", values={"seen": True})
    assert "profile.updated" in told(body, "en")


def way(scenario: Scenario, journey: str, *, since: int = 0) -> list[str]:
    history: Sequence[Event] = scenario.history[since:]
    return [event.kind for event in passage(Customer("c-1"), history, journey)]


def test_only_the_journey_and_what_led_to_it_is_told() -> None:
    scenario = Scenario().given(
        (at("2026-01-01 12:00"), registered()),
        (at("2026-01-01 12:01"), granted()),
        (at("2026-01-02 12:00"), opened(matures_on=date(2026, 3, 1))),
    )
    scenario.until(at("2026-07-01 12:00"))
    kinds = way(scenario, "birthday")
    assert kinds[:4] == [
        "customer.registered/1",
        "timers.planned/1",
        "timer.fired/1",
        "enrolment.started/1",
    ]
    assert "holding.opened/1" not in kinds
    assert "consent.granted/1" not in kinds
    assert "holding.opened/1" in way(scenario, "maturity")
    assert way(scenario, "tier-upgrade") == []


def test_what_led_there_before_the_beginning_is_left_out() -> None:
    scenario = Scenario("birthday").given((at("2026-01-01 12:00"), registered()))
    scenario.until(at("2026-07-01 12:00"))
    whole = way(scenario, "birthday")
    assert way(scenario, "birthday", since=2) == whole[2:]
