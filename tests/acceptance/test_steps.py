"""What the steps of a journey do: given a journey and facts, exactly these things are decided."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain import catalogue as facts
from domain.catalogue import Fact
from domain.clock import to_micros
from domain.enrolment import work_id
from domain.events import (
    AdmissionRefused,
    BranchTaken,
    EnrolmentEnded,
    EnrolmentStarted,
    EnrolmentWaiting,
    FactEmitted,
    MessageRequested,
    TaskCreated,
    TaskEscalated,
    WaitEnded,
    WebhookCalled,
)
from journeys.definition import (
    Approval,
    Await,
    Branch,
    Case,
    Delay,
    Emit,
    End,
    EnterOnFact,
    EntryValue,
    Exit,
    Journey,
    Jump,
    Moved,
    Profile,
    Reentry,
    Send,
    Start,
    Step,
    Task,
    Update,
    Wait,
    WaitUntil,
    Webhook,
)
from journeys.rulebook import Rulebook, Rules
from support.bank import Bank
from support.facts import at, registered
from support.scenario import SHIPPED_RULEBOOK, Scenario, envelope

GO = "x.go/1"
END = End(step="end")


def own(*steps: Step, name: str = "own", **given: Any) -> Journey:
    values: dict[str, Any] = {
        "journey": name,
        "version": 1,
        "title": {"en": "Own"},
        "purpose": "care",
        "topic": "greetings",
        "enter": EnterOnFact(fact=GO, values=("day", "amount")),
        "steps": steps,
        **given,
    }
    return Journey(**values)


def life(*journeys: Journey) -> Scenario:
    book = Rulebook(
        journeys=journeys,
        templates=SHIPPED_RULEBOOK.templates,
        policy=SHIPPED_RULEBOOK.policy,
        calendars=SHIPPED_RULEBOOK.calendars,
    )
    return Scenario(rules=Rules(book)).given((at("2026-01-01 00:00"), registered()))


def go(identity: str = "go", kind: str = GO, **data: str | int | bool | None) -> Fact:
    return facts.CustomFact(source=kind, id=identity, data=data)


def told(kind: type[Fact], identity: str, **fields: Any) -> Fact:
    return kind(source="/bank", id=identity, **fields)


def tasks_of(scenario: Scenario) -> list[TaskCreated]:
    return [body for body in scenario.bodies(TaskCreated)]


def over_at(scenario: Scenario) -> datetime:
    """When the passage ended."""
    (ended,) = [event for event in scenario.history if isinstance(event.body, EnrolmentEnded)]
    return ended.recorded_at


@pytest.mark.parametrize(
    ("step", "over"),
    [
        # Friday 2026-01-30, noon in Prague, is when it begins.
        (Wait(step="w", days=2, at="09:00", next="end"), "2026-02-02 09:00"),
        (Wait(step="w", days=0, at="12:00", next="end"), "2026-01-30 12:00"),
        (Wait(step="w", days=0, at="09:00", weekdays=("tue", "thu"), next="end"), "2026-02-03 09:00"),
        (Wait(step="w", days=3, at="09:00", working="cz", next="end"), "2026-02-04 09:00"),
        (Wait(step="w", days=0, at="09:00", working="cz", next="end"), "2026-02-02 09:00"),
        # The 14th is a Saturday that is worked in China: the feast of spring follows.
        (Wait(step="w", days=10, at="09:00", working="cn", next="end"), "2026-02-13 09:00"),
        (Wait(step="w", days=11, at="09:00", working="cn", next="end"), "2026-02-14 09:00"),
        (Delay(step="w", hours=4, minutes=30, next="end"), "2026-01-30 16:30"),
        (WaitUntil(step="w", on=date(2026, 3, 1), at="10:00", next="end"), "2026-03-01 10:00"),
        (WaitUntil(step="w", on=date(2025, 3, 1), at="10:00", next="end"), "2026-01-30 12:00"),
        (WaitUntil(step="w", value="day", offset_days=-3, at="10:00", next="end"), "2026-04-03 10:00"),
        (WaitUntil(step="w", value="amount", at="10:00", next="end"), "2026-01-30 12:00"),
        (
            WaitUntil(step="w", value="day", at="10:00", moved=Moved(calendar="cz", to="after"), next="end"),
            "2026-04-07 10:00",  # the 6th is Easter Monday
        ),
    ],
)
def test_a_wait_is_over_at(step: Step, over: str) -> None:
    scenario = life(own(step, END)).given((at("2026-01-30 12:00"), go(day="2026-04-06", amount=7)))
    assert over_at(scenario.until(at("2026-12-31 12:00"))) == at(over)
    assert [waiting.until for waiting in scenario.bodies(EnrolmentWaiting)] == [at(over)]


def test_a_delay_counts_time_and_not_the_clock_on_the_wall() -> None:
    """In the night of 29 March 2026 the clocks of Prague go from two to three."""
    scenario = life(own(Delay(step="w", hours=24, next="end"), END))
    scenario.given((at("2026-03-28 12:00"), go())).until(at("2026-12-31 12:00"))
    assert over_at(scenario) == at("2026-03-29 13:00")


AWAIT = Await(
    step="answer",
    fact="survey.answered/1",
    when=EntryValue(name="score", at_most=5),
    values=("score",),
    within_days=3,
    at="10:00",
    next="thanks",
    otherwise="end",
)
THANKS = Send(step="thanks", template="birthday-greeting", channels=("email",), next="end")


def answered(score: int) -> Fact:
    return told(facts.SurveyAnswered, f"answer-{score}", survey="s", score=score)


def test_a_fact_that_is_waited_for_lets_the_customer_go_on_with_its_values() -> None:
    scenario = life(own(AWAIT, THANKS, END)).given(
        (at("2026-01-30 12:00"), go()),
        (at("2026-01-31 12:00"), answered(9)),  # not one that is waited for
        (at("2026-02-01 12:00"), answered(2)),
    )
    assert scenario.bodies(WaitEnded) == [
        WaitEnded(
            enrolment=scenario.bodies(EnrolmentStarted)[0].enrolment,
            step="answer",
            reason="fact",
            next="thanks",
            values={"score": 2},
        )
    ]
    assert over_at(scenario) == at("2026-02-01 12:00")
    assert scenario.customer.timers.keys() == {
        name for name in scenario.customer.timers if "wait" not in name
    }


def test_a_fact_that_does_not_come_in_time_leads_otherwise() -> None:
    scenario = life(own(AWAIT, THANKS, END)).given(
        (at("2026-01-30 12:00"), go()), (at("2026-02-03 12:00"), answered(2))
    )
    assert [(body.reason, body.next) for body in scenario.bodies(WaitEnded)] == [("timeout", "end")]
    assert over_at(scenario) == at("2026-02-03 10:00")
    assert scenario.bodies(MessageRequested) == []


@pytest.mark.parametrize(("amount", "met"), [(7, True), (8, False), (None, False)])
def test_a_fact_about_something_else_is_not_the_one_that_is_waited_for(amount: int | None, met: bool) -> None:
    step = Await(
        step="a", fact="x.paid/1", same=("amount",), within_days=3, at="10:00", next="end", otherwise="end"
    )
    scenario = life(own(step, END)).given(
        (at("2026-01-30 12:00"), go(amount=7)),
        (at("2026-01-31 12:00"), go("paid", "x.paid/1", amount=amount)),
    )
    assert [body.reason for body in scenario.bodies(WaitEnded)] == ["fact"] * met


def test_what_nobody_told_is_the_same_as_nothing() -> None:
    step = Await(
        step="a", fact="x.paid/1", same=("amount",), within_days=3, at="10:00", next="end", otherwise="end"
    )
    scenario = life(own(step, END)).given(
        (at("2026-01-30 12:00"), go()), (at("2026-01-31 12:00"), go("paid", "x.paid/1"))
    )
    assert scenario.bodies(WaitEnded) == []


def test_another_channel_follows_when_the_first_is_not_opened() -> None:
    steps = (
        Send(step="push", template="birthday-greeting", channels=("email",), next="opened"),
        Await(
            step="opened",
            fact="message.opened/1",
            of_step="push",
            within_hours=4,
            next="end",
            otherwise="text",
        ),
        Send(step="text", template="birthday-greeting", channels=("sms",), next="end"),
        END,
    )
    begun = (at("2026-01-30 12:00"), go())

    def opened(message: str) -> tuple[datetime, Fact]:
        return at("2026-01-30 13:00"), told(facts.MessageOpened, "opened", message=message)

    unopened = life(own(*steps)).given(begun).until(at("2026-01-31 12:00"))
    (request, second) = unopened.bodies(MessageRequested)
    assert second.channels == ("sms",)
    seen = life(own(*steps)).given(begun, opened(request.message)).until(at("2026-01-31 12:00"))
    assert len(seen.bodies(MessageRequested)) == 1
    another = life(own(*steps)).given(begun, opened("another")).until(at("2026-01-31 12:00"))
    assert len(another.bodies(MessageRequested)) == 2


def test_a_jump_leads_round_so_often_and_no_more() -> None:
    steps = (
        Send(step="ask", template="birthday-greeting", channels=("email",), next="pause"),
        Wait(step="pause", days=1, at="10:00", next="again"),
        Jump(step="again", to="ask", at_most=2, otherwise="end"),
        END,
    )
    scenario = life(own(*steps)).given((at("2026-01-30 12:00"), go())).until(at("2026-12-31 12:00"))
    asked = [body for body in scenario.bodies(MessageRequested)]
    assert [body.visit for body in asked] == [1, 2, 3]
    assert len({body.message for body in asked}) == 3
    taken = [body for body in scenario.bodies(BranchTaken)]
    assert [(body.next, body.values["jumps"]) for body in taken] == [("ask", 0), ("ask", 1), ("end", 2)]


def test_what_is_noted_is_known_to_other_journeys() -> None:
    first = own(Update(step="note", set={"course": "begun", "visits": 3}, next="end"), END)
    warm = EnterOnFact(fact="x.later/1", when=Profile(name="course", one_of=("begun",)))
    cold = EnterOnFact(fact="x.later/1", when=Profile(name="visits", at_least=4))
    scenario = life(first, own(END, name="warm", enter=warm), own(END, name="cold", enter=cold))
    scenario.given((at("2026-01-30 12:00"), go()), (at("2026-01-31 12:00"), go("later", "x.later/1")))
    assert {body.journey for body in scenario.bodies(EnrolmentStarted)} == {"own", "warm"}
    assert scenario.customer.profile == {"course": "begun", "visits": 3}


def test_a_fact_that_a_journey_tells_starts_others_and_is_waited_for() -> None:
    teller = own(Emit(step="tell", fact="x.told/1", values=("amount",), next="end"), END)
    starter = own(END, name="starter", enter=EnterOnFact(fact="x.told/1", values=("amount",)))
    waiter = own(
        Await(step="w", fact="x.told/1", within_hours=1, next="end", otherwise="end"), END, name="awaits"
    )
    scenario = life(waiter, teller, starter).given((at("2026-01-30 12:00"), go(amount=7)))
    (emitted,) = scenario.bodies(FactEmitted)
    assert emitted.data == {"amount": 7}
    begun = {b.journey: b for b in scenario.bodies(EnrolmentStarted)}
    assert begun["starter"].entry == {"fact": emitted.id, "amount": 7}
    assert [body.reason for body in scenario.bodies(WaitEnded)] == ["fact"]
    told_at = next(e.version for e in scenario.history if isinstance(e.body, FactEmitted))
    starts = [e for e in scenario.history if isinstance(e.body, EnrolmentStarted)]
    assert starts[-1].cause == told_at


def test_a_journey_starts_another_with_the_values_that_it_takes() -> None:
    first = own(Start(step="call", journey="second", next="end"), END)
    second = own(END, name="second", enter=EnterOnFact(fact="x.never/1", values=("amount",)))
    scenario = life(first, second).given((at("2026-01-30 12:00"), go(amount=7, day="2026-04-06")))
    begun = {b.journey: b for b in scenario.bodies(EnrolmentStarted)}
    assert begun["second"].entry == {"amount": 7, "fact": "go"}
    assert begun["second"].depth == 1


def test_journeys_that_start_each_other_in_a_round_come_to_an_end() -> None:
    first = own(Start(step="call", journey="second", next="end"), END)
    second = own(Start(step="call", journey="own", next="end"), END, name="second")
    scenario = life(first, second).given((at("2026-01-30 12:00"), go()))
    refused = [b for b in scenario.bodies(AdmissionRefused)]
    assert {b.rule for b in refused} == {"chain_too_long"}
    assert len(scenario.bodies(EnrolmentStarted)) <= 12


def test_work_that_is_not_done_in_time_goes_to_somebody_else_once() -> None:
    step = Task(
        step="call",
        role="relationship_manager",
        title={"en": "Call"},
        due_days=2,
        escalate_to="operator",
        next="end",
    )
    late = life(own(step, END)).given((at("2026-01-30 12:00"), go())).until(at("2026-03-01 12:00"))
    assert [b.role for b in late.bodies(TaskEscalated)] == ["operator"]
    (when,) = [e.recorded_at for e in late.history if isinstance(e.body, TaskEscalated)]
    assert when == at("2026-02-01 12:00")
    task = tasks_of(late)[0].task
    done = told(facts.TaskDone, "done", task=task)
    in_time = life(own(step, END)).given((at("2026-01-30 12:00"), go()), (at("2026-02-01 11:59"), done))
    assert not any(name.startswith("task:") for name in in_time.customer.timers)
    assert in_time.until(at("2026-03-01 12:00")).bodies(TaskEscalated) == []
    assert in_time.customer.tasks == {}


APPROVAL = Approval(
    step="check",
    role="relationship_manager",
    title={"en": "Check"},
    due_days=2,
    at="18:00",
    next="thanks",
    otherwise="end",
)


@pytest.mark.parametrize(
    ("outcome", "reason", "sent"), [("approved", "approved", 1), ("no", "refused", 0), (None, "timeout", 0)]
)
def test_a_person_must_say_yes_before_the_journey_goes_on(
    outcome: str | None, reason: str, sent: int
) -> None:
    scenario = life(own(APPROVAL, THANKS, END)).given((at("2026-01-30 12:00"), go()))
    task = tasks_of(scenario)[0].task
    assert scenario.bodies(MessageRequested) == []
    other = told(facts.TaskDone, "other", task="another", outcome="approved")
    scenario.given((at("2026-01-31 11:00"), other))
    assert scenario.bodies(WaitEnded) == []
    if outcome is not None:
        scenario.given((at("2026-01-31 12:00"), told(facts.TaskDone, "done", task=task, outcome=outcome)))
    scenario.until(at("2026-03-01 12:00"))
    assert [body.reason for body in scenario.bodies(WaitEnded)] == [reason]
    assert len(scenario.bodies(MessageRequested)) == sent
    if outcome is None:
        assert over_at(scenario) == at("2026-02-01 18:00")


def test_nobody_is_asked_while_a_care_hold_lasts() -> None:
    scenario = life(own(APPROVAL, THANKS, END)).given(
        (at("2026-01-29 12:00"), told(facts.CareHoldPlaced, "hold", reason="bereavement")),
        (at("2026-01-30 12:00"), go()),
    )
    assert tasks_of(scenario) == []
    assert over_at(scenario) == at("2026-01-30 12:00")


def test_a_call_waits_for_its_answer_and_takes_its_values_along() -> None:
    steps = (
        Webhook(
            step="score",
            endpoint="scoring",
            values=("amount",),
            answers=("score",),
            within_hours=2,
            next="choose",
            otherwise="end",
        ),
        Branch(
            step="choose",
            cases=(Case(when=EntryValue(name="score", at_least=50), next="thanks"),),
            otherwise="end",
        ),
        THANKS,
        END,
    )
    begun = (at("2026-01-30 12:00"), go(amount=7))
    scenario = life(own(*steps)).given(begun)
    (called,) = scenario.bodies(WebhookCalled)
    assert called.values == {"amount": 7}

    def answer(score: int, *, ok: bool = True) -> tuple[datetime, Fact]:
        values = {"score": score, "other": 1}
        fact = told(facts.WebhookAnswered, "answer", call=called.call, ok=ok, values=values)
        return at("2026-01-30 13:00"), fact

    assert len(life(own(*steps)).given(begun, answer(51)).bodies(MessageRequested)) == 1
    assert life(own(*steps)).given(begun, answer(49)).bodies(MessageRequested) == []
    failed = life(own(*steps)).given(begun, answer(51, ok=False))
    assert [body.reason for body in failed.bodies(WaitEnded)] == ["failed"]
    late = scenario.until(at("2026-01-31 12:00"))
    assert [body.reason for body in late.bodies(WaitEnded)] == ["timeout"]
    assert over_at(late) == at("2026-01-30 14:00")


PAUSE = Wait(step="pause", days=30, at="10:00", next="thanks")


def ended(scenario: Scenario) -> list[tuple[str, str]]:
    bodies = [body for body in scenario.bodies(EnrolmentEnded)]
    return [(body.reason, body.exit) for body in bodies]


def test_an_exit_takes_out_who_it_concerns() -> None:
    ways = (Exit(exit="unhappy", fact="survey.answered/1", when=Profile(name="mood", one_of=("low",))),)
    quiet = life(own(PAUSE, THANKS, END, exits=ways))
    quiet.given((at("2026-01-30 12:00"), go()), (at("2026-01-31 12:00"), answered(1)))
    assert ended(quiet) == []
    low = own(Update(step="note", set={"mood": "low"}, next="pause"), PAUSE, THANKS, END, exits=ways)
    loud = life(low).given((at("2026-01-30 12:00"), go()), (at("2026-01-31 12:00"), answered(1)))
    assert ended(loud) == [("exit", "unhappy")]
    assert not any(name.startswith("wait:") for name in loud.customer.timers)


def test_an_exit_without_a_fact_is_looked_at_when_a_wait_is_over() -> None:
    ways = (Exit(exit="known", when=Profile(name="seen", one_of=("true",))),)
    other = own(Update(step="note", set={"seen": True}, next="end"), END, name="other")
    scenario = life(own(PAUSE, THANKS, END, exits=ways), other).given((at("2026-01-30 12:00"), go()))
    assert ended(scenario) == [("end", "")]
    assert ended(scenario.until(at("2026-03-31 12:00"))) == [("end", ""), ("exit", "known")]
    assert scenario.bodies(MessageRequested) == []


def test_nobody_stays_longer_than_the_journey_lets_them() -> None:
    scenario = life(own(PAUSE, THANKS, END, expires_days=10)).given((at("2026-01-30 12:00"), go()))
    assert ended(scenario.until(at("2026-03-31 12:00"))) == [("expired", "")]
    assert over_at(scenario) == at("2026-01-30 12:00") + timedelta(days=10)
    short = life(own(THANKS, END, expires_days=10)).given((at("2026-01-30 12:00"), go()))
    assert ended(short) == [("end", "")]
    assert not any(name.startswith("expire:") for name in short.customer.timers)


@pytest.mark.parametrize(
    ("inside", "entries", "ends"),
    [("beside", 2, []), ("refuse", 1, []), ("replace", 2, [("superseded", "")])],
)
def test_who_is_inside_may_enter_again_as_the_journey_says(
    inside: Any, entries: int, ends: list[tuple[str, str]]
) -> None:
    journey = own(PAUSE, THANKS, END, reentry=Reentry(inside=inside))
    scenario = life(journey).given((at("2026-01-30 12:00"), go("a")), (at("2026-01-31 12:00"), go("b")))
    assert len(scenario.bodies(EnrolmentStarted)) == entries
    assert ended(scenario) == ends
    refused = [b.rule for b in scenario.bodies(AdmissionRefused)]
    assert refused == (["still_inside"] if inside == "refuse" else [])


def test_a_task_has_the_id_of_its_visit() -> None:
    scenario = life(own(APPROVAL, THANKS, END)).given((datetime(2026, 1, 30, 11, tzinfo=UTC), go()))
    (started,) = scenario.bodies(EnrolmentStarted)
    (waiting,) = scenario.bodies(EnrolmentWaiting)
    assert waiting.work == tasks_of(scenario)[0].task == work_id(started.enrolment, step="check", visit=1)
    assert scenario.customer.enrolments[started.enrolment].visits == {"check": 1}


@pytest.mark.parametrize("in_one_go", [True, False])
def test_the_list_of_tasks_tells_who_had_it_last_and_how_it_ended(tmp_path: Path, in_one_go: bool) -> None:
    step = Task(
        step="call", role="call_centre", title={"en": "Call"}, due_days=2, escalate_to="operator", next="end"
    )
    begin = at("2026-01-30 12:00")
    bank = Bank(tmp_path)
    bank.publish(own(step, END, enter=EnterOnFact(fact="feedback.given/1")))
    feedback = told(facts.FeedbackGiven, "go", topic="t")
    bank.take([envelope("c-1", begin, registered()), envelope("c-1", begin, feedback)])
    bank.run(at("2026-01-31 12:00"))
    (task,) = [task for task in bank.tidings.ledger.tasks() if task.journey == "own"]
    assert (task.role, task.status, task.done_at) == ("call_centre", "open", None)
    bank.run(at("2026-02-02 12:00"))
    if not in_one_go:
        (late,) = [task for task in bank.tidings.ledger.tasks() if task.journey == "own"]
        assert (late.role, late.status, late.done_at) == ("operator", "escalated", None)
    done = told(facts.TaskDone, "done", task=task.id, outcome="reached")
    bank.take([envelope("c-1", at("2026-02-03 12:00"), done)])
    bank.run(at("2026-02-04 12:00"))
    (over,) = [task for task in bank.tidings.ledger.tasks() if task.journey == "own"]
    assert (over.role, over.status) == ("operator", "reached")
    assert over.done_at == to_micros(at("2026-02-03 12:00"))
