"""Who is in the middle of a journey goes on in another version, where they should, and gets nothing twice."""

from pathlib import Path

import pytest

from domain.catalogue import TaskDone
from domain.errors import InputRefused, NotFound
from journeys.definition import Approval, Branch, Case, End, EntryValue, Task, Wait
from support.bank import Bank
from support.changing import (
    Recorded,
    asked,
    instant,
    migrate,
    order,
    own,
    planned,
    put_in_force,
    recorded,
    said,
    send,
)
from support.facts import at, registered
from support.postgres import fresh_database
from support.scenario import envelope

NEW_YEAR = at("2026-01-01 12:00")
ASKED = at("2026-01-05 12:00")
MIDDLE = at("2026-01-06 12:00")
LATER = at("2026-01-20 12:00")
FIRST = own(
    send("hello", "t-a", "pause"),
    Wait(step="pause", days=3, at="10:00", next="again"),
    send("again", "t-b", "rest"),
    Wait(step="rest", days=3, at="10:00", next="end"),
    End(step="end"),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def bank(request: pytest.FixtureRequest, tmp_path: Path) -> Bank:
    """A bank with one customer who waits at the first wait of the first version."""
    bank = Bank(tmp_path, url=fresh_database() if request.param == "postgresql" else None)
    put_in_force(bank, FIRST)
    bank.take([envelope("c-1", NEW_YEAR, registered()), asked(ASKED)])
    bank.run(MIDDLE)
    return bank


def moved(bank: Bank) -> list[Recorded]:
    return recorded(bank, "enrolment.migrated/1", "enrolment.ended/1")


def test_without_a_migration_who_is_inside_keeps_their_version(bank: Bank) -> None:
    put_in_force(bank, own(send("hello", "t-c", "end"), End(step="end"), version=2))
    bank.run(LATER)
    assert said(bank) == [("t-a", "accepted", None), ("t-b", "accepted", None)]


def test_a_wait_that_stays_goes_on_to_the_same_instant(bank: Bank) -> None:
    put_in_force(
        bank,
        own(
            send("hello", "t-a", "pause"),
            Wait(step="pause", days=9, at="18:00", next="other"),
            send("other", "t-c", "end"),
            End(step="end"),
            version=2,
        ),
    )
    plan = planned(bank, 2)
    assert [(g.version, g.step, g.enrolments, g.to, g.goes, g.next) for g in plan.going] == [
        (1, "pause", 1, "pause", "stays", None)
    ]
    assert plan.repeats == []
    assert migrate(bank, 2)
    assert bank.run(MIDDLE).planned == 1
    (event,) = moved(bank)
    assert event.body.until == at("2026-01-09 10:00")  # type: ignore[union-attr]
    bank.run(LATER)
    assert said(bank) == [("t-a", "accepted", None), ("t-c", "accepted", None)]
    assert recorded(bank, "message.requested/1")[1].at == instant(at("2026-01-09 10:00"))
    assert bank.verify().findings == []


def test_a_step_that_is_gone_ends_who_stands_there(bank: Bank) -> None:
    """In the field, deleting a step sent 11,500 mails to 100 people."""
    put_in_force(
        bank, own(send("hello", "t-a", "again"), send("again", "t-b", "end"), End(step="end"), version=2)
    )
    assert [(g.step, g.goes, g.explicit) for g in planned(bank, 2).going] == [("pause", "ends", False)]
    migrate(bank, 2)
    bank.run(LATER)
    (event,) = moved(bank)
    assert (event.body.reason, event.body.step) == ("migrated_out", "pause")  # type: ignore[union-attr]
    assert said(bank) == [("t-a", "accepted", None)]
    assert bank.verify().findings == []


def test_who_is_moved_to_another_step_than_a_wait_begins_it_at_once(bank: Bank) -> None:
    put_in_force(
        bank, own(send("hello", "t-c", "again"), send("again", "t-b", "end"), End(step="end"), version=2)
    )
    migrate(bank, 2, mapping={"pause": "again"})
    bank.run(MIDDLE)
    assert said(bank) == [("t-a", "accepted", None), ("t-b", "accepted", None)]
    assert recorded(bank, "message.requested/1")[1].at == instant(MIDDLE)
    assert [e.body.reason for e in recorded(bank, "enrolment.ended/1")] == ["end"]  # type: ignore[union-attr]
    assert bank.verify().findings == []


def test_what_was_sent_is_skipped_whatever_step_or_template_it_comes_by(bank: Bank) -> None:
    """Back to the beginning: the same step with other words, and the same words in another step."""
    put_in_force(
        bank,
        own(
            send("hello", "t-c", "new"),
            send("new", "t-a", "last"),
            send("last", "t-d", "end"),
            End(step="end"),
            version=2,
        ),
    )
    plan = planned(bank, 2, mapping={"pause": "hello"})
    assert [(r.step, r.template, r.enrolments) for r in plan.repeats] == [
        ("hello", "t-c", 1),
        ("new", "t-a", 1),
    ]
    migrate(bank, 2, mapping={"pause": "hello"})
    bank.run(MIDDLE)
    skipped = recorded(bank, "step.skipped/1")
    assert [(s.body.step, s.body.reason, s.body.values) for s in skipped] == [  # type: ignore[union-attr]
        ("hello", "sent_before_migration", {"sent_step": "hello", "template": "t-a"}),
        ("new", "sent_before_migration", {"sent_step": "hello", "template": "t-a"}),
    ]
    assert said(bank) == [("t-a", "accepted", None), ("t-d", "accepted", None)]
    assert bank.verify().findings == []


def test_another_passage_is_sent_everything(bank: Bank) -> None:
    """What was sent counts for the enrolment that was migrated, not for the customer."""
    put_in_force(bank, own(send("hello", "t-a", "end"), End(step="end"), version=2))
    migrate(bank, 2, mapping={"pause": "hello"})
    bank.take([asked(at("2026-01-07 12:00"), "again")])
    bank.run(LATER)
    assert said(bank) == [("t-a", "accepted", None), ("t-a", "accepted", None)]


def test_what_was_put_off_is_not_sent_to_who_leaves(bank: Bank) -> None:
    night = at("2026-01-07 23:00")
    bank.take([envelope("c-2", NEW_YEAR, registered()), asked(night, "night", subject="c-2")])
    bank.run(night)
    put_in_force(bank, own(send("hello", "t-c", "end"), End(step="end"), version=2))
    migrate(bank, 2, ends=["pause"])
    bank.run(LATER)
    assert said(bank) == [("t-a", "accepted", None), ("t-a", "suppressed", "journey_left")]
    assert bank.verify().findings == []


def test_migrations_that_come_together_take_no_step_in_between(bank: Bank) -> None:
    put_in_force(bank, own(send("between", "t-c", "end"), End(step="end"), version=2))
    migrate(bank, 2, mapping={"pause": "between"})
    put_in_force(bank, own(send("between", "t-d", "end"), End(step="end"), version=3))
    migrate(bank, 3)
    bank.run(LATER)
    versions = [(e.body.from_version, e.body.version) for e in recorded(bank, "enrolment.migrated/1")]  # type: ignore[union-attr]
    assert versions == [(1, 2), (2, 3)]
    assert said(bank) == [("t-a", "accepted", None), ("t-d", "accepted", None)]
    assert bank.verify().findings == []


def test_who_is_held_up_goes_on_behind_a_wait_and_at_any_other_step(bank: Bank) -> None:
    order(bank, "paused")
    bank.run(at("2026-01-10 12:00"))
    assert [e.body.next for e in recorded(bank, "enrolment.held/1")] == ["again"]  # type: ignore[union-attr]
    put_in_force(
        bank,
        own(
            Wait(step="pause", days=1, at="10:00", next="other"),
            send("other", "t-c", "end"),
            End(step="end"),
            version=2,
        ),
    )
    assert [(g.goes, g.next, g.held) for g in planned(bank, 2).going] == [("stays", "other", True)]
    migrate(bank, 2)
    bank.run(at("2026-01-11 12:00"))
    assert said(bank) == [("t-a", "accepted", None)]
    assert [(g.step, g.held) for g in bank.tidings.ledger.inside("own")] == [("pause", "other")]
    put_in_force(bank, own(send("other", "t-d", "end"), End(step="end"), version=3))
    migrate(bank, 3, mapping={"pause": "other"})
    bank.run(at("2026-01-12 12:00"))
    order(bank, "running")
    bank.run(LATER)
    assert said(bank) == [("t-a", "accepted", None), ("t-d", "accepted", None)]
    assert recorded(bank, "message.requested/1")[1].at == instant(at("2026-01-12 12:00"))
    assert bank.verify().findings == []


def test_who_is_moved_while_paused_begins_when_it_is_resumed(bank: Bank) -> None:
    order(bank, "paused")
    put_in_force(bank, own(send("other", "t-c", "end"), End(step="end"), version=2))
    migrate(bank, 2, mapping={"pause": "other"})
    bank.run(at("2026-01-07 12:00"))
    assert said(bank) == [("t-a", "accepted", None)]
    order(bank, "running")
    bank.run(at("2026-01-07 12:00"))
    assert said(bank) == [("t-a", "accepted", None), ("t-c", "accepted", None)]
    assert bank.verify().findings == []


def test_the_ledger_knows_where_everybody_stands(bank: Bank) -> None:
    told = [envelope(f"c-{n}", NEW_YEAR, registered()) for n in (2, 3)]
    told += [asked(at("2026-01-06 11:00"), f"of {n}", subject=f"c-{n}") for n in (2, 3)]
    bank.take(told)
    bank.run(at("2026-01-09 12:00"))
    known = [(g.version, g.step, g.held, g.sent, g.enrolments) for g in bank.tidings.ledger.inside("own")]
    assert known == [
        (1, "pause", None, (("hello", "t-a"),), 2),
        (1, "rest", None, (("hello", "t-a"), ("again", "t-b")), 1),
    ]
    bank.tidings.ledger.rebuild([1, 2], progress=lambda _: None)
    again = [(g.version, g.step, g.held, g.sent, g.enrolments) for g in bank.tidings.ledger.inside("own")]
    assert again == known
    bank.run(LATER)
    assert bank.tidings.ledger.inside("own") == []


def test_a_plan_is_put_in_force_once_and_by_its_digest(bank: Bank) -> None:
    put_in_force(bank, own(send("hello", "t-c", "end"), End(step="end"), version=2))
    first = planned(bank, 2)
    assert planned(bank, 2, ends=["hello"]).digest != first.digest
    assert migrate(bank, 2)
    assert not migrate(bank, 2)
    assert planned(bank, 2).published
    assert planned(bank, 2).digest == first.digest


def test_names_that_nobody_knows_are_refused(bank: Bank) -> None:
    put_in_force(bank, own(send("hello", "t-c", "end"), End(step="end"), version=2))
    with pytest.raises(NotFound, match=r"migrate\.unknown_old_step"):
        planned(bank, 2, mapping={"paus": "hello"})
    with pytest.raises(NotFound, match=r"migrate\.unknown_new_step"):
        planned(bank, 2, mapping={"pause": "pause"})
    with pytest.raises(NotFound, match=r"journey\.unknown_version"):
        planned(bank, 3)
    with pytest.raises(InputRefused, match=r"migrate\.nothing_older"):
        planned(bank, 1)
    with pytest.raises(InputRefused, match=r"migrate\.mapped_and_ended"):
        planned(bank, 2, mapping={"pause": "hello"}, ends=["pause"])


def test_a_step_of_another_kind_is_not_the_same_step(bank: Bank) -> None:
    again = Branch(
        step="pause", cases=(Case(when=EntryValue(name="fact", at_least=1), next="end"),), otherwise="work"
    )
    work = Task(step="work", role="operator", title={"en": "Work"}, due_days=1, next="end")
    put_in_force(bank, own(send("hello", "t-a", "pause"), again, work, End(step="end"), version=2))
    assert [g.goes for g in planned(bank, 2).going] == ["ends"]
    migrate(bank, 2, mapping={"pause": "pause"})
    bank.run(MIDDLE)
    assert len(recorded(bank, "task.created/1")) == 1
    assert bank.verify().findings == []


ASK = Approval(
    step="ask", role="operator", title={"en": "Yes?"}, due_days=5, at="18:00", next="yes", otherwise="end"
)
YES = send("yes", "t-d", "end")


def test_who_comes_to_a_person_s_word_asks_for_it_and_keeps_it_in_the_next_version(bank: Bank) -> None:
    put_in_force(bank, own(ASK, YES, End(step="end"), version=2))
    assert [g.next for g in planned(bank, 2, mapping={"pause": "ask"}).going] == ["ask"]
    migrate(bank, 2, mapping={"pause": "ask"})
    bank.run(MIDDLE)
    (task,) = recorded(bank, "task.created/1")
    put_in_force(bank, own(ASK, send("yes", "t-c", "end"), End(step="end"), version=3))
    assert [g.next for g in planned(bank, 3).going] == [None]
    migrate(bank, 3)
    bank.run(MIDDLE)
    word = TaskDone(source="/test", id="word", task=task.body.task, outcome="approved")  # type: ignore[union-attr]
    bank.take([envelope("c-1", at("2026-01-07 12:00"), word)])
    bank.run(LATER)
    assert said(bank) == [("t-a", "accepted", None), ("t-c", "accepted", None)]
    assert len(recorded(bank, "task.created/1")) == 1
    assert bank.verify().findings == []


def test_a_word_for_who_was_moved_on_changes_nothing(bank: Bank) -> None:
    put_in_force(bank, own(ASK, YES, End(step="end"), version=2))
    migrate(bank, 2, mapping={"pause": "ask"})
    bank.run(MIDDLE)
    (task,) = recorded(bank, "task.created/1")
    put_in_force(bank, own(Wait(step="rest", days=1, at="10:00", next="end"), End(step="end"), version=3))
    migrate(bank, 3, mapping={"ask": "rest"})
    bank.run(MIDDLE)
    word = TaskDone(source="/test", id="word", task=task.body.task, outcome="approved")  # type: ignore[union-attr]
    bank.take([envelope("c-1", at("2026-01-07 12:00"), word)])
    bank.run(LATER)
    (ended,) = recorded(bank, "enrolment.ended/1")
    # The wait goes on to the moment up to which the word was waited for.
    assert ended.at == instant(at("2026-01-11 18:00"))
    assert bank.verify().findings == []
