"""A journey is paused, resumed and stopped, a template withdrawn, while customers are in the middle."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from domain.catalogue import CustomFact, Envelope
from journeys.definition import Await, DaysSince, End, EnterOnBirthday, Exit, Wait
from support.bank import PUBLISHED_AT, Bank
from support.changing import (
    TEMPLATES,
    asked,
    done,
    instant,
    order,
    own,
    put_in_force,
    recorded,
    rulebook_number,
    said,
    send,
    take_back,
)
from support.facts import at, registered
from support.postgres import fresh_database
from support.scenario import envelope
from tidings.authoring import publish
from tidings.cli.why import explanation_of, sentences
from tidings.documents import Documents
from tidings.wording import Wording

NEW_YEAR = at("2026-01-01 12:00")
ASKED = at("2026-01-05 12:00")
MIDDLE = at("2026-01-06 12:00")
DUE = at("2026-01-09 10:00")
NIGHT = at("2026-01-06 23:00")
LATER = at("2026-02-20 12:00")
JOURNEY = own(
    send("hello", "t-a", "pause"),
    Wait(step="pause", days=3, at="10:00", next="again"),
    send("again", "t-b", "rest", valid_hours=48),
    Wait(step="rest", days=3, at="10:00", next="last"),
    send("last", "t-c", "end", valid_hours=48),
    End(step="end"),
)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.slow, pytest.mark.long])])
def bank(request: pytest.FixtureRequest, tmp_path: Path) -> Bank:
    """A bank with one customer who waits at the first wait, until the 9th at 10:00."""
    bank = Bank(tmp_path, url=fresh_database() if request.param == "postgresql" else None)
    put_in_force(bank, JOURNEY)
    bank.take([envelope("c-1", NEW_YEAR, registered()), asked(ASKED)])
    bank.run(MIDDLE)
    return bank


def refused(bank: Bank, subject: str = "c-1") -> list[str]:
    events = recorded(bank, "admission.refused/1", subject=subject)
    return [event.body.rule for event in events]  # type: ignore[union-attr]


def reasons(bank: Bank) -> list[str]:
    return [event.body.reason for event in recorded(bank, "enrolment.ended/1")]  # type: ignore[union-attr]


def test_nobody_enters_a_paused_journey(bank: Bank) -> None:
    order(bank, "paused")
    bank.take([asked(at("2026-01-07 12:00"), "again")])
    bank.run(LATER)
    assert refused(bank) == ["paused"]
    assert bank.verify().findings == []


def test_an_entry_that_fell_due_meanwhile_is_not_made_up_for(bank: Bank) -> None:
    put_in_force(bank, own(End(step="end"), version=2, enter=EnterOnBirthday(at="09:00")))
    order(bank, "paused")
    bank.run(at("2026-05-04 12:00"))
    order(bank, "running")
    bank.run(at("2026-12-31 12:00"))
    assert refused(bank) == ["paused"]
    assert len(recorded(bank, "enrolment.started/1")) == 2
    assert bank.verify().findings == []


def test_who_is_inside_stands_still_and_goes_on_at_once_when_resumed(bank: Bank) -> None:
    order(bank, "paused")
    bank.run(at("2026-01-10 12:00"))
    (held,) = recorded(bank, "enrolment.held/1")
    assert (held.body.step, held.body.next, held.body.due_at) == ("pause", "again", DUE)  # type: ignore[union-attr]
    assert said(bank) == [("t-a", "accepted", None)]
    assert [(g.step, g.held) for g in bank.tidings.ledger.inside("own")] == [("pause", "again")]
    order(bank, "running")
    assert bank.run(at("2026-01-10 12:00")).planned == 1
    assert said(bank) == [("t-a", "accepted", None), ("t-b", "accepted", None)]
    assert recorded(bank, "message.requested/1")[1].at == instant(at("2026-01-10 12:00"))
    bank.run(LATER)
    # Later waits count from when it was resumed.
    assert recorded(bank, "message.requested/1")[2].at == instant(at("2026-01-14 10:00"))
    assert reasons(bank) == ["end"]
    assert bank.verify().findings == []


def test_what_makes_no_sense_any_more_is_not_sent_when_resumed_and_no_step_is_left_out(bank: Bank) -> None:
    order(bank, "paused")
    bank.run(at("2026-01-11 10:00"))
    order(bank, "running")
    bank.run(at("2026-01-11 10:00"))
    assert said(bank)[1:] == [("t-b", "accepted", None)]
    order(bank, "paused")
    bank.run(at("2026-02-01 10:00"))
    order(bank, "running")
    bank.run(LATER)
    assert said(bank)[2:] == [("t-c", "suppressed", "paused_too_long")]
    assert reasons(bank) == ["end"]
    (event,) = recorded(bank, "message.suppressed/1")
    assert event.body.values == {  # type: ignore[union-attr]
        "journey": "own",
        "due_at": "2026-01-14T09:00:00+00:00",
        "valid_until": "2026-01-16T09:00:00+00:00",
    }
    assert bank.verify().findings == []


def test_a_pause_within_which_nothing_fell_due_changes_nothing(bank: Bank) -> None:
    order(bank, "paused")
    bank.run(at("2026-01-08 12:00"))
    order(bank, "running")
    assert bank.run(at("2026-01-08 12:00")).planned == 0
    bank.run(LATER)
    assert recorded(bank, "message.requested/1")[1].at == instant(DUE)
    assert recorded(bank, "enrolment.held/1", "enrolment.resumed/1") == []


def test_the_goal_ends_who_stands_still(bank: Bank) -> None:
    order(bank, "paused")
    bank.take([done(at("2026-01-12 12:00"))])
    bank.run(at("2026-01-12 12:00"))
    order(bank, "running")
    bank.run(LATER)
    assert reasons(bank) == ["goal_reached"]
    assert len(said(bank)) == 1
    assert bank.verify().findings == []


def put_off(bank: Bank) -> None:
    """A second customer's first message is put off for the night."""
    bank.take([envelope("c-2", NEW_YEAR, registered()), asked(NIGHT, "night", subject="c-2")])
    bank.run(NIGHT)
    assert said(bank)[1] == ("t-a", "deferred", "quiet_hours")


def test_what_is_put_off_stays_so_while_paused_and_is_judged_at_once_when_resumed(bank: Bank) -> None:
    put_off(bank)
    order(bank, "paused")
    bank.run(at("2026-01-08 12:00"))
    assert said(bank)[1] == ("t-a", "deferred", "paused")
    order(bank, "running")
    bank.run(at("2026-01-08 12:00"))
    assert said(bank)[1] == ("t-a", "accepted", None)
    (sent,) = recorded(bank, "message.sending/1", subject="c-2")
    assert sent.at == instant(at("2026-01-08 12:00"))
    assert bank.verify().findings == []


def test_what_is_put_off_is_dropped_when_it_makes_no_sense_any_more(bank: Bank) -> None:
    put_off(bank)
    order(bank, "paused")
    bank.run(LATER)
    assert said(bank)[1] == ("t-a", "suppressed", "paused")
    (event,) = recorded(bank, "message.suppressed/1", subject="c-2")
    # The policy lets service messages wait for 168 hours.
    assert event.at == instant(at("2026-01-13 23:00"))
    message = next(m.id for m in bank.ledger() if m.customer == "c-2")
    told = sentences(explanation_of(bank.tidings, message), Wording("en"))
    assert told[1] == 'Rule "journey paused": nothing of the journey own is sent while it is paused.'
    assert bank.verify().findings == []


def test_who_is_inside_a_stopped_journey_finishes_and_nobody_enters(bank: Bank) -> None:
    order(bank, "stopped")
    bank.take([asked(at("2026-01-07 12:00"), "again")])
    bank.run(LATER)
    assert refused(bank) == ["stopped"]
    assert [template for template, _, _ in said(bank)] == ["t-a", "t-b", "t-c"]
    assert reasons(bank) == ["end"]
    assert bank.verify().findings == []


def test_a_journey_that_ends_now_ends_for_everybody_and_sends_nothing_more(bank: Bank) -> None:
    put_off(bank)
    order(bank, "ended")
    bank.run(NIGHT)
    assert reasons(bank) == ["stopped"]
    assert said(bank)[1][:2] == ("t-a", "suppressed")
    assert bank.tidings.ledger.inside("own") == []
    order(bank, "running")
    bank.take([asked(at("2026-01-08 12:00"), "again")])
    bank.run(at("2026-01-08 13:00"))
    assert said(bank)[2:] == [("t-a", "accepted", None)]
    assert bank.verify().findings == []


def test_what_an_enrolment_put_off_before_it_finished_is_not_sent_either(bank: Bank) -> None:
    put_in_force(bank, own(send("hello", "t-d", "end"), End(step="end"), version=2))
    bank.take([asked(NIGHT, "night")])
    bank.run(NIGHT)
    order(bank, "ended")
    bank.run(NIGHT)
    assert said(bank)[1] == ("t-d", "suppressed", "journey_stopped")
    assert bank.verify().findings == []


def test_who_is_held_up_finishes_when_a_paused_journey_is_stopped(bank: Bank) -> None:
    order(bank, "paused")
    bank.run(at("2026-01-10 12:00"))
    order(bank, "stopped")
    bank.run(LATER)
    assert [template for template, _, _ in said(bank)] == ["t-a", "t-b", "t-c"]
    assert reasons(bank) == ["end"]


def test_a_withdrawn_template_leaves_no_more_until_there_is_a_newer_one(bank: Bank) -> None:
    put_off(bank)
    assert take_back(bank, "t-a") == [1]
    bank.take([asked(at("2026-01-08 12:00"), "again")])
    bank.run(NIGHT)
    # What is put off need not wait for its moment.
    assert said(bank)[1] == ("t-a", "suppressed", "template_withdrawn")
    bank.run(at("2026-01-08 13:00"))
    assert said(bank)[2] == ("t-a", "suppressed", "template_withdrawn")
    tidings = bank.tidings
    publish(tidings.engine, Documents([], [replace(TEMPLATES[0], version=2)]), at=PUBLISHED_AT)
    tidings.engine.dispose()
    bank.take([asked(at("2026-01-08 14:00"), "once more")])
    bank.run(at("2026-01-08 15:00"))
    assert said(bank)[3] == ("t-a", "accepted", None)
    (event,) = recorded(bank, "message.suppressed/1", subject="c-2")
    assert event.body.values == {"template": "t-a", "template_version": 1}  # type: ignore[union-attr]
    assert bank.verify().findings == []


def test_one_version_of_a_template_can_be_withdrawn_alone(bank: Bank) -> None:
    put_off(bank)
    tidings = bank.tidings
    publish(tidings.engine, Documents([], [replace(TEMPLATES[0], version=2)]), at=PUBLISHED_AT)
    tidings.engine.dispose()
    assert take_back(bank, "t-a", 2) == [2]
    bank.take([asked(at("2026-01-08 12:00"), "again")])
    bank.run(at("2026-01-08 13:00"))
    assert said(bank)[1:] == [("t-a", "accepted", None), ("t-a", "suppressed", "template_withdrawn")]
    assert take_back(bank, "t-a") == [1]


def test_what_is_ordered_already_is_not_ordered_again(bank: Bank) -> None:
    assert not order(bank, "running")
    before = rulebook_number(bank)
    assert order(bank, "paused")
    assert not order(bank, "paused")
    assert take_back(bank, "t-a") == [1]
    assert take_back(bank, "t-a") == []
    assert take_back(bank, "t-a", 1) == []
    assert rulebook_number(bank) == before + 2


def test_orders_that_come_together_are_as_the_last(bank: Bank) -> None:
    """A pause that was over before anybody ran leaves no trace with the customers."""
    order(bank, "paused")
    order(bank, "running")
    assert bank.run(MIDDLE).planned == 0
    bank.run(LATER)
    assert [template for template, _, _ in said(bank)] == ["t-a", "t-b", "t-c"]


def words(*moments: str) -> list[Envelope]:
    return [
        Envelope("x.word/1", "c-1", at(moment), CustomFact(source="/test", id=f"word {number}"))
        for number, moment in enumerate(moments)
    ]


def awaiting(bank: Bank, **given: object) -> None:
    """The customer leaves the first version, and waits for a fact in the second."""
    await_word = Await(
        step="listen", fact="x.word/1", within_days=30, at="10:00", next="heard", otherwise="unheard"
    )
    heard, unheard = send("heard", "t-c", "end"), send("unheard", "t-d", "end")
    put_in_force(bank, own(await_word, heard, unheard, End(step="end"), version=2, **given))
    bank.take([done(at("2026-01-06 13:00")), asked(at("2026-01-06 14:00"), "again")])
    bank.run(at("2026-01-06 15:00"))


def test_a_fact_that_was_waited_for_is_not_lost_by_a_pause_and_counts_once(bank: Bank) -> None:
    awaiting(bank)
    order(bank, "paused")
    bank.take(words("2026-01-08 12:00", "2026-01-09 12:00"))
    bank.run(at("2026-01-10 12:00"))
    assert [e.body.next for e in recorded(bank, "enrolment.held/1")] == ["heard"]  # type: ignore[union-attr]
    assert len(recorded(bank, "wait.ended/1")) == 1
    order(bank, "running")
    bank.run(LATER)
    assert said(bank)[1:] == [("t-c", "accepted", None)]
    assert bank.verify().findings == []


def test_an_exit_that_needs_no_fact_is_looked_at_when_resumed(bank: Bank) -> None:
    """What the customer is may have changed during the pause."""
    awaiting(bank, exits=(Exit(exit="heard", when=DaysSince(fact="x.enough/1", at_most=900)),))
    order(bank, "paused")
    enough = Envelope("x.enough/1", "c-1", at("2026-01-09 12:00"), CustomFact(source="/test", id="enough"))
    bank.take([*words("2026-01-08 12:00"), enough])
    bank.run(at("2026-01-10 12:00"))
    order(bank, "running")
    bank.run(LATER)
    assert reasons(bank) == ["goal_reached", "exit"]
    assert len(said(bank)) == 1
    assert bank.verify().findings == []


def test_a_passage_expires_in_a_pause_too(bank: Bank) -> None:
    awaiting(bank, expires_days=5)
    order(bank, "paused")
    bank.take(words("2026-01-08 12:00"))
    bank.run(LATER)
    assert reasons(bank) == ["goal_reached", "expired"]
    assert bank.verify().findings == []
