"""Journeys that a bank writes itself, with what the shipped ones do not use."""

from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace

from domain.events import EnrolmentStarted
from journeys.admission import fact_key
from journeys.definition import (
    End,
    EnterOnBirthday,
    EnterOnMaturity,
    EnterOnSilence,
    Journey,
    Send,
    Step,
    Wait,
)
from journeys.rulebook import Rulebook, Rules
from stores.database import open_store
from support.bank import Bank
from support.facts import at, granted, noon, opened, paid, registered, withdrawn
from support.scenario import SHIPPED_RULEBOOK, NotSent, Scenario, envelope
from tidings.authoring import publish
from tidings.documents import shipped

NEW_YEAR = at("2026-01-01 12:00")


def journey(*steps: Step, **given: object) -> Journey:
    values = {
        "journey": "own",
        "version": 1,
        "title": {"en": "Own"},
        "purpose": "marketing",
        "topic": "offers",
        "enter": EnterOnBirthday(at="09:00"),
        "steps": steps,
        **given,
    }
    return Journey(**values)  # type: ignore[arg-type]


def rules(own: Journey) -> Rules:
    return Rules(
        Rulebook(journeys=(own,), templates=SHIPPED_RULEBOOK.templates, policy=SHIPPED_RULEBOOK.policy)
    )


@pytest.mark.parametrize("batch", [1, 2, 2_000])
def test_a_wait_for_a_moment_that_is_now_does_not_let_later_facts_pass(tmp_path: Path, batch: int) -> None:
    """The wake-up comes again at the same instant; a withdrawal two days later must not come before it."""
    own = journey(
        Wait(step="one", days=1, at="12:00", next="two"),
        Wait(step="two", days=0, at="12:00", next="send"),
        Send(step="send", template="tier-course", channels=("email",), next="end"),
        End(step="end"),
    )
    bank = Bank(tmp_path)
    documents = shipped()
    engine = open_store(bank.settings.store)
    publish(engine, replace(documents, journeys=[*documents.journeys, own]), at=NEW_YEAR)
    engine.dispose()
    bank.take(
        [
            envelope("c-1", NEW_YEAR, registered()),
            envelope("c-1", NEW_YEAR, granted()),
            envelope("c-1", at("2026-05-06 12:00"), withdrawn()),
        ]
    )
    bank.run(at("2026-12-31 12:00"), batch=batch)
    assert bank.verify().findings == []
    (sent,) = bank.tidings.ledger.messages(journey="own")
    assert sent.status == "accepted"


def test_a_silence_journey_without_a_goal_comes_again_after_a_fact_during_it() -> None:
    own = journey(
        Wait(step="wait", days=30, at="12:00", next="end"),
        End(step="end"),
        enter=EnterOnSilence(of="transaction.posted/1", days=20, at="12:00"),
    )
    life = Scenario(rules=rules(own)).given(
        (NEW_YEAR, registered()),
        (noon(date(2026, 1, 10)), paid()),
        (noon(date(2026, 2, 2)), paid()),
    )
    life.until(at("2027-12-31 12:00"))
    started = [event.recorded_at for event in life.history if isinstance(event.body, EnrolmentStarted)]
    # In on 30 January until 1 March; the fact of 2 February has its twenty days of silence by then.
    assert started == [noon(date(2026, 1, 30)), noon(date(2026, 3, 1))]


def test_a_template_that_fails_on_one_customer_suppresses_their_message_only() -> None:
    own = journey(
        Send(step="send", template="maturity-ahead", channels=("email",), next="end"),
        End(step="end"),
        purpose="service",
        enter=EnterOnMaturity(kinds=("card",), offsets=(-7,), at="10:00"),
    )
    life = Scenario(rules=rules(own)).given(
        (NEW_YEAR, registered()), (NEW_YEAR, opened(kind="card", matures_on=date(2026, 3, 1)))
    )
    life.until(at("2026-12-31 12:00"))
    assert life.messages() == [NotSent("maturity-ahead", "template_fails", at("2026-02-22 10:00"))]


def test_a_wake_up_of_a_version_that_entered_otherwise_starts_nothing() -> None:
    before = journey(End(step="end"), enter=EnterOnBirthday(at="09:00"))
    after = journey(
        End(step="end"), version=2, enter=EnterOnMaturity(kinds=("loan",), offsets=(0,), at="10:00")
    )
    life = Scenario(rules=rules(before)).given((NEW_YEAR, registered()))
    life.rules = rules(after)
    life.until(at("2026-12-31 12:00"))
    assert life.bodies(EnrolmentStarted) == []
    assert life.customer.timers == {}


def test_facts_of_two_sources_never_share_a_key() -> None:

    first, second = paid(), paid()
    assert fact_key(replace(first, source="a#b", id="c")) != fact_key(replace(second, source="a", id="b#c"))
