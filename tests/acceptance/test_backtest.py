"""A small bank's recorded months, lived again with other documents: every difference is known beforehand."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from channels.base import Rejected
from domain import catalogue as facts
from domain.caps import Cap
from domain.catalogue import Envelope
from journeys.definition import (
    Await,
    Branch,
    Case,
    DaysSince,
    End,
    EnterOnSegment,
    EnterOnSilence,
    FactCount,
    InSegment,
    Journey,
    Segment,
    SegmentClass,
    Step,
    Task,
    Wait,
)
from support.asking import SHIPPED
from support.bank import PUBLISHED_AT, Bank
from support.changing import TEMPLATES, asked, own, put_in_force, send
from support.facts import at, erased, granted, paid, registered
from support.reliving import relived
from support.scenario import envelope
from support.scripted import Scripted
from support.wall import MORNING, Service
from tidings.authoring import publish
from tidings.documents import Documents
from tidings.trying.backtest import Chosen
from tidings.trying.fates import Sort

BEGUN, ENDED = at("2026-01-01 00:00"), at("2026-03-01 00:00")
ASKED = at("2026-01-05 10:00")


def offers(*, days: int = 3, version: int = 1, middle: Sequence[Step] = (), **given: object) -> Journey:
    """Two offers, some days apart."""
    return own(
        send("first", "t-a", "pause"),
        Wait(step="pause", days=days, at="10:00", next=middle[0].step if middle else "second"),
        *middle,
        send("second", "t-b", "end"),
        End(step="end"),
        version=version,
        **{"purpose": "marketing", **given},
    )


def people(*names: str) -> list[Envelope]:
    known = [registered(), granted()]
    return [envelope(name, BEGUN, replace(fact, id=f"{name}-{fact.id}")) for name in names for fact in known]


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    """Two customers ask and get both offers; c-1 pays on 2 January, c-3 on the 20th."""
    bank = Bank(tmp_path)
    put_in_force(bank, offers())
    bank.take(people("c-1", "c-2", "c-3"))
    bank.take([asked(ASKED, name, subject=name) for name in ("c-1", "c-2")])
    bank.take([envelope("c-1", at("2026-01-02 12:00"), paid())])
    bank.take([envelope("c-3", at("2026-01-20 12:00"), paid())])
    bank.run(ENDED)
    return bank


def test_a_longer_wait_moves_the_second_message(bank: Bank) -> None:
    again = relived(bank, offers(days=5, version=2), begun=BEGUN, ended=ENDED)
    assert again.what == [("c-1", "second", "moved"), ("c-2", "second", "moved")]
    assert [row.moved_seconds for row in again.rows] == [2 * 86_400] * 2
    differences = again.found.differences
    assert (differences.later, differences.earlier, differences.days) == (2, 0, {2: 2})
    assert differences.customers == {"other": 2}
    assert (again.found.was.sent, again.found.tried.sent, again.found.sent) == (4, 4, 4)
    assert again.found.unlike == []


def test_a_wait_beyond_the_period_leaves_the_message_out(bank: Bank) -> None:
    again = relived(bank, offers(days=80, version=2), begun=BEGUN, ended=ENDED)
    assert again.what == [("c-1", "second", "fewer"), ("c-2", "second", "fewer")]
    assert again.found.differences.because == {("fewer", "not_asked"): 2}


def test_who_is_inside_when_the_period_begins_stays_in_their_version(bank: Bank) -> None:
    again = relived(bank, offers(days=5, version=2), begun=at("2026-01-06 00:00"), ended=ENDED)
    assert again.rows == []
    assert again.found.was.sent == 2


def test_a_condition_lets_some_through_only(bank: Bank) -> None:
    paying = DaysSince(fact="transaction.posted/1", at_most=90)
    some = Branch(step="some", cases=(Case(when=paying, next="second"),), otherwise="end")
    again = relived(bank, offers(version=2, middle=[some]), begun=BEGUN, ended=ENDED)
    assert again.what == [("c-2", "second", "fewer")]
    assert again.found.differences.customers == {"fewer": 1}


def test_a_smaller_cap_puts_off_what_it_holds_back(bank: Bank) -> None:
    weekly = Cap(name="tight", purposes=("marketing",), at_most=1, in_days=5)
    policy = replace(SHIPPED.policy, version=7, caps=(weekly,))
    again = relived(bank, policy=policy, begun=BEGUN, ended=ENDED)
    # The second offer is due after three days: to midnight of the fifth, and on to the end of the night.
    assert again.what == [("c-1", "second", "moved"), ("c-2", "second", "moved")]
    assert {row.now and row.now.at for row in again.rows} == {at("2026-01-10 08:00")}
    assert again.found.tried.held == {("tight", "put_off"): 2}
    assert again.found.was.held == {}
    never = replace(policy, caps=(replace(weekly, name="never", at_most=0),))
    again = relived(bank, policy=never, begun=BEGUN, ended=ENDED)
    assert again.found.tried.sent == 0
    assert again.found.differences.because == {("fewer", "cap:never"): 4}
    assert again.found.tried.held == {("never", "not_sent"): 4}


def test_other_words_are_told_also_under_a_number_that_is_taken(bank: Bank) -> None:
    known = next(template for template in TEMPLATES if template.template == "t-b")
    text = next(t for t in SHIPPED.templates if t.template == "win-back-offer")
    for version in (1, 2):
        drafts = Documents([], [replace(text, template="t-b", version=version)])
        again = relived(bank, drafts=drafts, begun=BEGUN, ended=ENDED)
        assert again.what == [("c-1", "second", "other"), ("c-2", "second", "other")]
    same = relived(bank, drafts=Documents([], [known]), begun=BEGUN, ended=ENDED)
    assert same.rows == []


def test_a_journey_that_never_ran_meets_those_who_were_there(bank: Bank) -> None:
    enter = EnterOnSilence(of="transaction.posted/1", days=20, at="11:00")
    new = offers(journey="new", enter=enter, version=1)
    again = relived(bank, new, begun=BEGUN, ended=ENDED)
    # c-1 paid on 2 January, c-3 on the 20th, c-2 never: who never paid does not fall silent.
    assert again.what == [
        ("c-1", "first", "more"),
        ("c-1", "second", "more"),
        ("c-3", "first", "more"),
        ("c-3", "second", "more"),
    ]
    assert again.found.tried.entered["new"] == 2
    assert again.found.assumed.accepted == 4
    assert again.found.differences.because == {("more", "not_asked"): 4}
    assert again.found.differences.customers == {"more": 2}
    late = relived(bank, new, begun=at("2026-02-15 00:00"), ended=ENDED)
    assert late.found.tried.entered["new"] == 0


def test_what_a_new_journey_takes_from_the_others_is_told(bank: Bank) -> None:
    """Three a week: two of the new journey leave one for the old, whose next makes no sense a week later."""
    new = own(
        send("one", "t-c", "two"),
        send("two", "t-d", "end"),
        End(step="end"),
        journey="new",
        purpose="marketing",
        priority=90,
    )
    again = relived(bank, new, begun=BEGUN, ended=ENDED)
    assert sorted(again.what) == sorted(
        (name, step, what)
        for name in ("c-1", "c-2")
        for step, what in (("one", "more"), ("two", "more"), ("second", "fewer"))
    )
    assert again.found.tried.held == {("marketing-week", "not_sent"): 2}
    assert again.found.differences.because["fewer", "cap:marketing-week"] == 2


def test_a_journey_that_is_left_out_lets_nobody_in(bank: Bank) -> None:
    again = relived(bank, without=["own"], begun=BEGUN, ended=ENDED)
    assert sorted(again.what) == sorted(
        (name, step, "fewer") for name in ("c-1", "c-2") for step in ("first", "second")
    )
    inside = relived(bank, without=["own"], begun=at("2026-01-06 00:00"), ended=ENDED)
    assert inside.rows == []


def test_an_older_version_is_put_in_place_of_a_newer_one(bank: Bank) -> None:
    put_in_force(bank, offers(days=6, version=2))
    bank.take([asked(at("2026-03-02 10:00"), "again", subject="c-3")])
    bank.run(at("2026-04-01 00:00"))
    again = relived(bank, offers(), begun=BEGUN, ended=at("2026-04-01 00:00"))
    assert again.what == [("c-3", "second", "moved")]
    assert again.rows[0].moved_seconds == -3 * 86_400
    newer = relived(bank, offers(days=6, version=2), begun=BEGUN, ended=at("2026-04-01 00:00"))
    assert newer.what == [("c-1", "second", "moved"), ("c-2", "second", "moved")]


@pytest.fixture
def answering(tmp_path: Path) -> Bank:
    """One customer opens the first message two hours after it, and a colleague does the task next day."""
    bank = Bank(tmp_path)
    put_in_force(bank, hearing(0))
    bank.take(people("c-1"))
    bank.take([asked(ASKED)])
    bank.run(at("2026-01-05 11:00"))
    (message,) = [entry.id for entry in bank.ledger()]
    opened = facts.MessageOpened(source="/mail", id="opened", message=message)
    bank.take([envelope("c-1", at("2026-01-05 12:00"), opened)])
    bank.run(at("2026-01-05 13:00"))
    (task,) = [task.id for task in bank.tidings.ledger.tasks()]
    done = facts.TaskDone(source="/desk", id="done", task=task)
    bank.take([envelope("c-1", at("2026-01-06 12:00"), done)])
    bank.run(ENDED)
    return bank


def hearing(days: int, *, version: int = 1, asks: bool = True) -> Journey:
    """A message, then one more to who has opened it within two days, and work for a colleague."""
    first = send("first", "t-a", "hear")
    start: tuple[Step, ...] = (Wait(step="pause", days=days, at="10:00", next="first"), first)
    return own(
        *(start if asks else start[:0]),
        Await(step="hear", fact="message.opened/1", within_days=2, at="10:00", next="work", otherwise="end"),
        Task(step="work", role="operator", title={"en": "Work"}, due_days=2, next="wait"),
        Await(step="wait", fact="task.done/1", within_days=4, at="10:00", next="second", otherwise="end"),
        send("second", "t-b", "end"),
        End(step="end"),
        version=version,
    )


def test_answers_move_with_what_they_answer_to(answering: Bank) -> None:
    again = relived(answering, hearing(4, version=2), begun=BEGUN, ended=ENDED)
    assert again.found.unlike == []
    assert again.what == [("c-1", "first", "moved"), ("c-1", "second", "moved")]
    assert {row.moved_seconds for row in again.rows} == {4 * 86_400}
    assumed = again.found.assumed
    assert (assumed.moved, assumed.left_out, assumed.accepted) == (2, 2, 0)


def test_answers_to_what_is_not_there_are_left_out(answering: Bank) -> None:
    again = relived(answering, hearing(0, version=2, asks=False), begun=BEGUN, ended=ENDED)
    assert again.what == [("c-1", "first", "fewer"), ("c-1", "second", "fewer")]
    assert (again.found.assumed.left_out, again.found.assumed.moved) == (2, 0)


def test_facts_that_came_late_come_in_the_order_in_which_they_were_taken(tmp_path: Path) -> None:
    """The second was heard before the silence after the first was looked at, long after both."""
    bank = Bank(tmp_path)
    silent = offers(enter=EnterOnSilence(of="transaction.posted/1", days=3, at="11:00"))
    put_in_force(bank, silent)
    bank.take(people("c-1"))
    bank.run(at("2026-02-01 00:00"))
    bank.take([envelope("c-1", at(f"2026-01-{day} 12:00"), paid()) for day in ("10", "11")])
    bank.run(ENDED)
    again = relived(bank, begun=at("2026-01-20 00:00"), ended=ENDED)
    assert again.found.unlike == []
    assert again.found.compared == again.found.events > 2


def test_a_history_that_was_altered_is_told_and_compared_life_with_life(bank: Bank) -> None:
    bank.sql(
        "UPDATE events SET body = replace(body, '\"t-b\"', '\"t-c\"') WHERE kind = 'message.requested/1' "
        "AND stream = (SELECT stream FROM streams WHERE subject = 'c-1') AND partition = "
        "(SELECT partition FROM streams WHERE subject = 'c-1')"
    )
    again = relived(bank, begun=BEGUN, ended=ENDED)
    (astray,) = again.found.unlike
    assert (astray.customer, astray.reason, astray.found) == ("c-1", "differs", "message.requested/1")
    assert again.found.compared < again.found.events
    assert again.rows == []
    bank.sql("UPDATE events SET body = 'x' WHERE kind = 'timers.planned/1' OR kind = 'enrolment.started/1'")
    again = relived(bank, begun=at("2026-02-01 00:00"), ended=ENDED)
    assert again.found.astray == {"unreadable": 3}
    assert again.found.customers == 0


def test_a_sample_is_the_same_for_a_seed(bank: Bank) -> None:
    draft = offers(days=5, version=2)
    shares = sorted(Chosen(seed=3).share(name) for name in ("c-1", "c-2", "c-3"))
    some = [
        relived(bank, draft, begun=BEGUN, ended=ENDED, chosen=Chosen(below=below, seed=3)).found.customers
        for below in (*shares, 1.0)
    ]
    assert some == [0, 1, 2, 3]


def test_by_the_clock_on_the_wall_an_answer_that_came_late_comes_as_late(tmp_path: Path) -> None:
    service = Service(tmp_path, Scripted())
    for hours in range(3):
        service.ask(MORNING + timedelta(hours=hours)).step(MORNING + timedelta(hours=hours))
    ended = MORNING + timedelta(hours=3)
    again = relived(service.bank, begun=MORNING, ended=ended)
    assert again.found.unlike == []
    assert again.found.was.sent == 3


def test_the_very_instant_of_the_end_is_not_in_the_period(bank: Bank) -> None:
    due = at("2026-01-08 10:00")
    assert relived(bank, begun=due, ended=ENDED).found.was.sent == 2
    assert relived(bank, begun=BEGUN, ended=due).found.was.sent == 2


def test_what_a_document_rests_on_may_have_been_published_later(bank: Bank) -> None:
    """A rulebook of that time lacks the template and the segment; the newest are taken."""
    paying = SegmentClass(
        name="paying", title={"en": "Paying"}, when=DaysSince(fact="transaction.posted/1", at_most=90)
    )
    segment = Segment(segment="habits", version=3, title={"en": "Habits"}, classes=(paying,))
    later = replace(TEMPLATES[0], template="t-later", version=2)
    tidings = bank.tidings
    publish(tidings.engine, Documents([], [later], segments=(segment,)), at=PUBLISHED_AT)
    tidings.engine.dispose()
    bank.run(ENDED + timedelta(days=1))
    some = Branch(
        step="some",
        cases=(Case(when=InSegment(segment="habits", classes=("paying",)), next="third"),),
        otherwise="end",
    )
    draft = offers(version=2, middle=[some, send("third", "t-later", "second")])
    again = relived(bank, draft, begun=BEGUN, ended=ENDED)
    assert again.found.unlike == []
    assert sorted(again.what) == [("c-1", "third", "more"), ("c-2", "second", "fewer")]
    assert again.found.tried.messages.keys() >= {Sort("own", "t-later", "email", "marketing", "sent", "")}


def test_a_tried_segment_holds_in_place_of_the_one_in_force(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    known, tried = (
        Segment(
            segment="habits",
            version=1,
            title={"en": "Habits"},
            classes=(
                SegmentClass(
                    name="busy",
                    title={"en": "Busy"},
                    when=FactCount(fact="transaction.posted/1", in_days=30, at_least=at_least),
                ),
            ),
        )
        for at_least in (2, 1)
    )
    journey = offers(enter=EnterOnSegment(segment="habits", on="entered"))
    tidings = bank.tidings
    publish(tidings.engine, Documents([journey], TEMPLATES, segments=(known,)), at=PUBLISHED_AT)
    tidings.engine.dispose()
    bank.take(people("c-1"))
    bank.take([envelope("c-1", at(f"2026-01-{day} 12:00"), paid()) for day in ("10", "15")])
    bank.run(ENDED)
    again = relived(bank, drafts=Documents([], [], segments=(tried,)), begun=BEGUN, ended=ENDED)
    # The occasion is another event of the record, so the messages are others.
    assert Counter(again.what) == {
        ("c-1", step, what): 1 for step in ("first", "second") for what in ("more", "fewer")
    }
    sent = sorted(row.now.at for row in again.rows if row.now)
    assert sent == [at("2026-01-10 12:00"), at("2026-01-14 10:00")]


def test_work_is_the_same_also_where_its_place_in_the_history_has_shifted(tmp_path: Path) -> None:
    """Who enters by a segment enters by the event's place: other messages before it change all ids."""
    bank = Bank(tmp_path)
    bank.channels = Scripted(Rejected("busy line")).channels
    busy = SegmentClass(
        name="busy",
        title={"en": "Busy"},
        when=FactCount(fact="transaction.posted/1", in_days=30, at_least=1),
    )
    segment = Segment(segment="habits", version=1, title={"en": "Habits"}, classes=(busy,))
    working = Task(step="work", role="operator", title={"en": "Work"}, due_days=2, next="wait")
    done = Await(step="wait", fact="task.done/1", within_days=4, at="10:00", next="second", otherwise="end")
    journey = offers(enter=EnterOnSegment(segment="habits", on="entered"), middle=[working, done])
    tidings = bank.tidings
    publish(tidings.engine, Documents([journey], TEMPLATES, segments=(segment,)), at=PUBLISHED_AT)
    tidings.engine.dispose()
    bank.take([*people("c-1"), asked(ASKED), envelope("c-1", at("2026-01-20 12:00"), paid())])
    bank.run(at("2026-01-25 12:00"))
    (task,) = [task.id for task in bank.tidings.ledger.tasks()]
    told = facts.TaskDone(source="/desk", id="done", task=task)
    bank.take([envelope("c-1", at("2026-01-26 12:00"), told)])
    bank.run(ENDED)
    new = own(send("one", "t-c", "end"), End(step="end"), journey="new")
    again = relived(bank, new, begun=BEGUN, ended=ENDED)
    then = {(sort.template, sort.status) for sort in again.found.was.messages}
    assert then == {("t-a", "rejected"), ("t-b", "sent")}
    assert again.what == [("c-1", "one", "more")]
    assumed = again.found.assumed
    assert (assumed.accepted, assumed.left_out, assumed.moved) == (1, 0, 0)


def test_an_erased_customer_is_told_apart_from_an_altered_record(tmp_path: Path) -> None:
    """What their decisions rested on is gone; everybody else comes out as recorded."""
    bank = Bank(tmp_path)
    bank.take([envelope(name, BEGUN, registered()) for name in ("c-1", "c-2")])
    bank.run(at("2026-06-01 00:00"))
    bank.take([envelope("c-1", at("2026-06-01 12:00"), erased())])
    bank.run(at("2026-07-01 00:00"))
    bank.sql(
        "UPDATE events SET body = json_remove(body, '$.birth_date', '$.email', '$.phone', '$.device') "
        "WHERE kind = 'customer.registered/1' AND (partition, stream) = "
        "(SELECT partition, stream FROM streams WHERE subject = 'c-1')"
    )
    again = relived(bank, begun=BEGUN, ended=at("2026-07-01 00:00"))
    assert again.found.astray == {"erased": 1}
    assert again.found.customers == 2
    assert (again.found.sent, again.found.was.sent) == (2, 1)
    assert again.rows == []


def test_rules_that_came_in_between_hold_for_who_has_no_entry_under_them(bank: Bank) -> None:
    """Nothing was recorded of c-3 after the new policy: its day is known by the others of the partition."""
    bank.run(ENDED)
    never = Cap(name="never", purposes=("marketing",), at_most=0, in_days=1)
    tidings = bank.tidings
    policy = replace(SHIPPED.policy, version=7, caps=(never,))
    publish(tidings.engine, Documents([], [], policy=policy), at=PUBLISHED_AT)
    tidings.engine.dispose()
    names = [f"n-{number}" for number in range(8)]
    bank.take([envelope(name, at("2026-03-02 12:00"), registered()) for name in names])
    ended = at("2026-04-01 00:00")
    bank.run(ended)
    quiet = EnterOnSilence(of="transaction.posted/1", days=50, at="11:00")
    again = relived(bank, offers(journey="new", enter=quiet), begun=BEGUN, ended=ended)
    held = {(row.customer, row.step, row.now and row.now.rule) for row in again.rows if row.what == "held"}
    assert held == {("c-3", "first", "cap:never"), ("c-3", "second", "cap:never")}
    assert [row for row in again.what if row[0] == "c-1"] == [
        ("c-1", "first", "more"),
        ("c-1", "second", "more"),
    ]
