"""What customers did and what became of their messages, counted by day; and conditions that ask for it."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from audit.replay import replay
from domain import catalogue as facts
from domain.caps import Cap
from domain.clock import EPOCH, day_number, local_day
from domain.codec import encode_state
from domain.customer import Customer
from domain.enrolment import Enrolment
from domain.events import EnrolmentEnded, Event, MessageRejected, MessageRequested, MessageSuppressed
from domain.fold import evolve, heard
from domain.message import Message
from domain.tally import DAYS_COUNTED, Tally, by_day, count_since, one_more
from journeys.conditions import holds
from journeys.definition import Branch, Case, Emit, End, EnterOnFact, Exit, Journey, Send, Step, Wait
from journeys.rulebook import Rules
from support.bank import Bank
from support.documents import condition
from support.facts import at, erased, granted, moved, paid, registered
from support.scenario import SHIPPED_RULEBOOK, SHIPPED_RULES, Scenario, envelope
from tidings.documents import faults, parse_document

MORNING = at("2026-03-10 10:00")
PAID = "fact_count, fact: transaction.posted/1"
GOT = "message_count, ended: [accepted]"
TODAY = date(2026, 3, 10).toordinal()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 900), max_size=60), st.integers(1, DAYS_COUNTED))
def test_a_tally_counts_what_a_list_of_days_counts(days: list[int], within: int) -> None:
    """In whatever order they are told: what is askable of any day from the last one on is exact."""
    tally: Tally | None = None
    for day in days:
        tally = one_more(tally, TODAY + day)
    last = max(days, default=0)
    # A day and a half earlier is where a customer can come to who changes zones.
    for today in (last - 2, last, last + 5, last + 400):
        first = today - within + 1
        assert count_since(tally, TODAY + first) == sum(day >= first for day in days)
    if tally is not None:
        kept = {date.fromordinal(TODAY + day): n for day, n in Counter(days).items() if day > last - 368}
        assert by_day(tally).items() >= kept.items()


def test_a_tally_of_many_years_stays_small() -> None:
    tally: Tally | None = None
    for day in range(20 * 365):
        tally = one_more(one_more(tally, TODAY + day), TODAY + day)
    assert tally is not None
    assert len(by_day(tally)) < 410
    assert count_since(tally, TODAY + 20 * 365 - DAYS_COUNTED) == 2 * DAYS_COUNTED


def test_a_day_counts_as_long_as_anything_can_ask_for_it() -> None:
    """Also where the calendar has gone back two days, and whether it was told in time or late."""
    first = TODAY + 2 - DAYS_COUNTED - 1
    for late in (False, True):
        told = [first, TODAY + 2] if not late else [TODAY + 2, first]
        tally: Tally | None = None
        for day in [*told, *([TODAY + 2] * 5)]:
            tally = one_more(tally, day)
        assert count_since(tally, TODAY - DAYS_COUNTED + 1) == 7
    each: Tally | None = None
    for day in range(TODAY - 500, TODAY + 3):
        each = one_more(each, day)
        assert count_since(each, day - 2 - DAYS_COUNTED + 1) == min(day - TODAY + 501, DAYS_COUNTED + 2)


def test_more_in_a_day_than_can_be_asked_for_is_still_more() -> None:
    tally: Tally | None = None
    for _ in range(3_000):
        tally = one_more(tally, TODAY)
    tally = one_more(tally, TODAY + 1)
    for _ in range(3):
        tally = one_more(tally, TODAY)
    assert count_since(tally, TODAY) > 1_000
    assert count_since(tally, TODAY + 1) == 1


@settings(max_examples=500, deadline=None)
@given(
    st.integers(-2_200_000_000, 4_100_000_000).map(lambda seconds: EPOCH + timedelta(seconds=seconds)),
    st.sampled_from(sorted(available_timezones() - {"localtime"})),
)
def test_the_number_of_a_day_is_that_of_the_local_day(instant: datetime, zone: str) -> None:
    assert day_number(instant, zone) == local_day(instant, zone).toordinal()


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("America/St_Johns", datetime(2006, 10, 29, tzinfo=UTC)),  # back over midnight, at 00:01
        ("America/Sao_Paulo", datetime(2018, 11, 4, tzinfo=UTC)),  # midnight is skipped
        ("Pacific/Apia", datetime(2011, 12, 30, tzinfo=UTC)),  # a whole day is skipped
    ],
)
def test_days_are_numbered_right_where_clocks_change(zone: str, day: datetime) -> None:
    for minute in range(-24 * 60, 48 * 60):
        instant = day + timedelta(minutes=minute)
        assert day_number(instant, zone) == local_day(instant, zone).toordinal()


def told(text: str, customer: Customer) -> bool:
    return holds(condition(text), customer, entry={})


def payer(*days_ago: int) -> Customer:
    """Who paid at ten in the morning on these days before 10 March 2026."""
    paying = [(MORNING - timedelta(days=back), paid()) for back in days_ago]
    first = (MORNING - timedelta(days=400), registered())
    return replace(Scenario("none").given(first, *paying).customer, clock_at=MORNING)


@pytest.mark.parametrize(
    ("days_ago", "text", "expected"),
    [
        ((0, 0, 29), f"{PAID}, in_days: 30, at_least: 3", True),
        ((0, 0, 30), f"{PAID}, in_days: 30, at_least: 3", False),
        ((0, 0, 30), f"{PAID}, in_days: 31, at_least: 3", True),
        ((0, 0, 1), f"{PAID}, in_days: 1, at_least: 2, at_most: 2", True),
        ((0, 0, 1), f"{PAID}, in_days: 1, at_most: 1", False),
        ((90,), f"{PAID}, in_days: 90, at_most: 0", True),
        ((89,), f"{PAID}, in_days: 90, at_most: 0", False),
        ((365,), f"{PAID}, in_days: 366", True),
        ((366,), f"{PAID}, in_days: 366", False),
        ((), f"{PAID}, in_days: 366, at_most: 0", True),
        ((), f"{PAID}, in_days: 366", False),
        ((0,), "fact_count, fact: page.viewed/1, in_days: 366", False),
    ],
)
def test_facts_are_counted_by_the_days_of_the_calendar(
    days_ago: tuple[int, ...], text: str, expected: bool
) -> None:
    assert told(text, payer(*days_ago)) is expected


def test_a_fact_told_late_counts_on_the_day_it_happened() -> None:
    life = Scenario("none").given((MORNING - timedelta(days=20), registered()))
    life.given((MORNING - timedelta(days=1), paid()))
    customer = life.tell_late(MORNING - timedelta(days=10), paid(), now=MORNING).customer
    assert told(f"{PAID}, in_days: 10, at_most: 1", customer)
    assert told(f"{PAID}, in_days: 11, at_least: 2", customer)


def test_who_moves_keeps_the_days_on_which_they_did_something() -> None:
    """23:30 in Prague is the next day in Shanghai already; it stays the day that it was."""
    late = at("2026-03-09 23:30")
    life = Scenario("none").given((late - timedelta(days=1), registered()), (late, paid()))
    home = replace(life.customer, clock_at=at("2026-03-10 08:00"))
    away = replace(life.given((late, moved("Asia/Shanghai"))).customer, clock_at=home.clock_at)
    for customer in (home, away):
        assert told(f"{PAID}, in_days: 2", customer)
        assert not told(f"{PAID}, in_days: 1", customer)


def test_a_count_for_each_day_of_ten_years_takes_little_of_a_snapshot() -> None:
    customer = Customer("c-1", zone="Europe/Prague")
    for day in range(3_650):
        instant = MORNING + timedelta(days=day)
        customer = heard(customer, "page.viewed/1", occurred_at=instant, clock_at=instant)
    assert len(encode_state(customer)) < 2_500


def journey(*steps: Step) -> Journey:
    return Journey(
        journey="own",
        version=1,
        title={"en": "Own"},
        purpose="marketing",
        topic="offers",
        enter=EnterOnFact(fact="complaint.filed/1"),
        steps=steps,
    )


def branching(*steps: Step, ends: str = "rejected, unknown, suppressed") -> Journey:
    """Sends by e-mail, waits, and says something else where the first message did not arrive."""
    return journey(
        Send(step="first", template="tier-course", channels=("email",), next="wait"),
        Wait(step="wait", days=2, at="12:00", next="ask"),
        Branch(
            step="ask",
            cases=(
                Case(when=condition("step_outcome, step: first, is_one_of: [deferred]"), next="again"),
                Case(when=condition(f"step_outcome, step: first, is_one_of: [{ends}]"), next="second"),
            ),
            otherwise="done",
        ),
        Wait(step="again", days=1, at="12:00", next="done"),
        Send(step="second", template="tier-course", channels=("sms",), next="done"),
        End(step="done"),
    )


def rules(own: Journey, **policy: Any) -> Rules:
    book = replace(SHIPPED_RULEBOOK, journeys=(own,))
    return Rules(replace(book, policy=replace(book.policy, **policy)))


def ask() -> facts.ComplaintFiled:
    return facts.ComplaintFiled(source="/test", id="ask", complaint="ask")


def steps_taken(life: Scenario) -> list[str]:
    return [str(body.next) for event in life.history if (body := event.body) and hasattr(body, "next")]


def test_a_branch_follows_what_became_of_a_message_before() -> None:
    arrived = Scenario(rules=rules(branching())).given((MORNING, registered()), (MORNING, granted()))
    arrived.given((MORNING, ask())).until(MORNING + timedelta(days=5))
    assert steps_taken(arrived) == ["done"]
    refused = Scenario(rules=rules(branching())).given((MORNING, registered()))
    refused.given((MORNING, ask())).until(MORNING + timedelta(days=5))
    assert steps_taken(refused) == ["second"]


def test_a_branch_sees_that_a_message_is_still_put_off() -> None:
    week = Cap(name="week", purposes=("marketing",), at_most=1, in_days=7)
    own = rules(branching(), caps=(week,), valid_hours={"marketing": 24 * 30})
    life = Scenario(rules=own).given((MORNING, registered()), (MORNING, granted()))
    life.customer = replace(life.customer, sends={"2026-03-09/marketing/email": 1})
    life.given((MORNING, ask())).until(MORNING + timedelta(days=2, hours=3))
    assert steps_taken(life) == ["again"]
    (enrolment,) = life.customer.enrolments.values()
    assert enrolment.outcomes == {"first": "deferred"}


@pytest.mark.parametrize(
    ("email", "ends", "taken"),
    [
        ("a+rejected@example.com", "rejected", "second"),
        ("a+unknown@example.com", "unknown", "second"),
        ("a@example.com", "accepted", "second"),
        ("a@example.com", "rejected, unknown", "done"),
        ("a+rejected@example.com", "accepted", "done"),
    ],
)
def test_the_providers_answer_decides_the_branch(tmp_path: Path, email: str, ends: str, taken: str) -> None:
    bank = Bank(tmp_path)
    bank.publish(branching(ends=ends))
    person = (registered(email=email), granted(), ask())
    bank.take([envelope("c-1", MORNING, fact) for fact in person])
    bank.run(MORNING + timedelta(days=5))
    ways = bank.sql("SELECT body FROM events WHERE kind = 'branch.taken/1'")
    assert [f'"next":"{taken}"'.encode() in body for (body,) in ways] == [True]
    end = next(word for word in ("rejected", "unknown", "accepted") if word in email or word == "accepted")
    assert customer_of(bank).message_days.keys() >= {f"{end}/marketing/email/own/tier-course"}
    assert bank.verify().findings == []


def customer_of(bank: Bank) -> Customer:
    tidings = bank.tidings
    customer = replay(tidings.history, "c-1", as_of=None).customer
    tidings.engine.dispose()
    return customer


def test_of_two_messages_of_one_step_the_last_one_counts() -> None:
    """The first is put off till after the second, which the step sends on its second visit, is refused."""
    asked, other = (event_of(visit) for visit in (1, 2))
    enrolment = Enrolment("own", 1, "k", {}, step="say", visits={"say": 2})
    customer = Customer("c-1", enrolments={"e": enrolment})
    messages = {e.body.message: Message(e.body, 1, MORNING, 1) for e in (asked, other)}
    customer = replace(customer, messages=messages)
    for version, message in enumerate(("m-2", "m-1"), start=1):
        body = MessageSuppressed(message=message, channel="email", rule="no_consent", values={})
        if message == "m-1":
            rejected = MessageRejected(message=message, reason="test")
            customer = evolve(customer, Event(version, "message.rejected/1", MORNING, MORNING, 1, rejected))
        else:
            customer = evolve(customer, Event(version, "message.suppressed/1", MORNING, MORNING, 1, body))
    assert customer.enrolments["e"].outcomes == {"say": "suppressed"}


def event_of(visit: int) -> Any:
    body = MessageRequested(
        message=f"m-{visit}",
        enrolment="e",
        journey="own",
        version=1,
        step="say",
        visit=visit,
        channels=("email",),
        template="tier-course",
        template_version=1,
        purpose="marketing",
        topic="offers",
        variables={},
    )
    return Event(1, "message.requested/1", MORNING, MORNING, 1, body)


def test_a_fact_that_a_journey_tells_counts_too() -> None:
    teller = journey(Emit(step="tell", fact="x.told/1", next="done"), End(step="done"))
    customer = Scenario(rules=rules(teller)).given((MORNING, registered()), (MORNING, ask())).customer
    assert told("fact_count, fact: x.told/1, in_days: 1, at_least: 1, at_most: 1", customer)


def test_an_exit_can_ask_what_became_of_a_message() -> None:
    """Without consent the message is suppressed; who waits on leaves when the wait is over."""
    steps = (
        Send(step="first", template="tier-course", channels=("email",), next="wait"),
        Wait(step="wait", days=1, at="12:00", next="again"),
        Wait(step="again", days=1, at="12:00", next="done"),
        End(step="done"),
    )
    way = Exit(exit="unheard", when=condition("step_outcome, step: first, is_one_of: [suppressed]"))
    life = Scenario(rules=rules(replace(journey(*steps), exits=(way,))))
    life.given((MORNING, registered()), (MORNING, ask())).until(MORNING + timedelta(days=4))
    assert [(body.step, body.reason) for body in life.bodies(EnrolmentEnded)] == [("wait", "exit")]


def test_messages_are_counted_by_how_and_when_they_ended() -> None:
    life = Scenario("birthday").given((at("2026-01-01 12:00"), registered(birth_date=date(1980, 3, 10))))
    customer = life.until(at("2026-03-10 12:00")).customer
    assert life.messages()
    assert told(f"{GOT}, in_days: 1", customer)
    assert told(f"{GOT}, in_days: 1, purpose: care, channel: email, journey: birthday", customer)
    assert told(f"{GOT}, in_days: 1, template: birthday-greeting", customer)
    for other in ("purpose: marketing", "channel: sms", "journey: win-back", "template: tier-course"):
        assert told(f"{GOT}, in_days: 1, {other}, at_most: 0", customer)
    assert told("message_count, ended: [suppressed, rejected, unknown], in_days: 366, at_most: 0", customer)
    tomorrow = replace(customer, clock_at=at("2026-03-11 00:30"))
    assert told(f"{GOT}, in_days: 1, at_most: 0", tomorrow)
    assert told(f"{GOT}, in_days: 2", tomorrow)


def test_a_message_that_the_policy_forbids_counts_as_suppressed() -> None:
    life = Scenario(rules=rules(branching())).given((MORNING, registered()), (MORNING, ask()))
    customer = life.customer
    assert told("message_count, ended: [suppressed], in_days: 1, channel: email", customer)
    assert told(f"{GOT}, in_days: 1, at_most: 0", customer)
    gone = life.given((MORNING, erased())).customer
    assert told("message_count, ended: [suppressed], in_days: 1", gone)


def test_counts_of_messages_that_nothing_can_ask_for_are_dropped() -> None:
    old = {"accepted/care/email/old/old": one_more(None, TODAY - 369)}
    life = Scenario(rules=rules(branching())).given((MORNING, registered()))
    life.customer = replace(life.customer, message_days=old)
    life.given((MORNING, ask()))
    assert list(life.customer.message_days) == ["suppressed/marketing/email/own/tier-course"]


BAD = """\
journey: bad
version: 1
title: {en: Bad}
purpose: care
topic: bad
enter:
  by: fact
  fact: risk.assessed/1
  when: {is: step_outcome, step: greet, is_one_of: [accepted]}
steps:
  - {step: greet, do: send, template: birthday-greeting, channels: [email], next: at-once}
  - step: at-once
    do: branch
    cases:
      - {when: {is: step_outcome, step: greet, is_one_of: [accepted]}, next: wait}
    otherwise: wait
  - {step: wait, do: wait, days: 1, at: "09:00", next: later}
  - step: later
    do: branch
    cases:
      - {when: {is: step_outcome, step: greet, is_one_of: [accepted]}, next: done}
      - {when: {is: step_outcome, step: wait, is_one_of: [accepted]}, next: done}
      - {when: {is: fact_count, fact: nothing.happened/1, in_days: 3}, next: done}
      - {when: {is: fact_count, fact: page.viewed/1, in_days: 3, at_least: 3, at_most: 1}, next: done}
      - {when: {is: message_count, ended: [accepted], in_days: 3, journey: nowhere}, next: done}
      - {when: {is: message_count, ended: [accepted], in_days: 3, template: nothing}, next: done}
      - {when: {is: message_count, ended: [accepted], in_days: 3, at_least: 3, at_most: 1}, next: done}
    otherwise: done
  - {step: done, do: end}
"""


def test_what_can_never_be_true_is_told_with_its_place() -> None:
    found = faults(parse_document(BAD, name="bad.yaml"), SHIPPED_RULES.templates, {}, {"birthday"})[1]
    assert [(fault.line, fault.code) for fault in found] == [
        (9, "journey.unknown_outcome"),
        (15, "journey.unknown_outcome"),
        (22, "journey.unknown_outcome"),
        (23, "journey.unknown_fact"),
        (24, "journey.bounds_crossed"),
        (25, "journey.unknown_journey"),
        (26, "journey.unknown_template"),
        (27, "journey.bounds_crossed"),
    ]
    assert found[2].values == {"found": "wait", "expected": "greet"}
