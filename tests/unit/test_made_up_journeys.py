"""Made-up journeys of every step: what validation lets through is run to its end, and only that."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import catalogue as facts
from domain.catalogue import Fact
from domain.clock import WEEKDAYS
from domain.events import EnrolmentEnded, EnrolmentStarted, MessageRequested, MessageSending
from journeys.definition import (
    Approval,
    Await,
    Branch,
    Case,
    Delay,
    Emit,
    End,
    EnterOnMaturity,
    EntryValue,
    Exit,
    Journey,
    Jump,
    Moved,
    Profile,
    Send,
    Start,
    Step,
    Task,
    Update,
    Wait,
    WaitUntil,
    Webhook,
    waits,
)
from journeys.rulebook import Rulebook, Rules
from journeys.validation import problems
from support.facts import at, opened, registered
from support.scenario import SHIPPED_RULEBOOK, SHIPPED_RULES, Scenario

NAMES = [f"s{number}" for number in range(8)]
ROUNDS = {"journey.round", "journey.round_at_once"}
GRAPH = ROUNDS | {"journey.dangling", "journey.unreachable", "journey.step_twice"}
TITLE = {"en": "Work"}
conditions = st.builds(EntryValue, name=st.just("offset_days"), at_most=st.integers(-5, 5)) | st.builds(
    Profile, name=st.just("seen"), one_of=st.just(("true",))
)


def steps(name: str, ways: st.SearchStrategy[str]) -> dict[type[Step], st.SearchStrategy[Step]]:
    """A strategy for each sort of step, each leading to one of these ways."""
    named, on, other = st.just(name), ways, ways
    role = st.just("operator")
    return {
        Wait: st.builds(
            Wait,
            step=named,
            days=st.integers(0, 9),
            at=st.just("12:00"),
            next=on,
        )
        | st.builds(
            Wait,
            step=named,
            days=st.integers(0, 9),
            at=st.just("12:00"),
            working=st.sampled_from(["cz", "cn"]),
            next=on,
        )
        | st.builds(
            Wait,
            step=named,
            at=st.just("12:00"),
            weekdays=st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=3).map(tuple),
            next=on,
        ),
        Delay: st.builds(Delay, step=named, hours=st.integers(1, 50), next=on),
        WaitUntil: st.builds(
            WaitUntil,
            step=named,
            value=st.just("matures_on"),
            offset_days=st.integers(-9, 9),
            at=st.just("09:00"),
            moved=st.sampled_from([None, Moved(calendar="cz", to="after")]),
            next=on,
        ),
        Await: st.builds(
            Await,
            step=named,
            fact=st.sampled_from(["survey.answered/1", "x.told/1"]),
            when=st.none() | conditions,
            within_days=st.integers(0, 9),
            at=st.just("10:00"),
            next=on,
            otherwise=other,
        ),
        Send: st.builds(
            Send, step=named, template=st.just("maturity-ahead"), channels=st.just(("email",)), next=on
        ),
        Branch: st.builds(
            Branch, step=named, cases=st.tuples(st.builds(Case, when=conditions, next=on)), otherwise=other
        ),
        Jump: st.builds(
            Jump,
            step=named,
            to=st.sampled_from(NAMES),
            at_most=st.integers(1, 2),
            otherwise=other,
        ),
        Update: st.builds(Update, step=named, set=st.just({"seen": True}), next=on),
        Emit: st.builds(Emit, step=named, fact=st.just("x.told/1"), next=on),
        Start: st.builds(Start, step=named, journey=st.just("made-up"), next=on),
        Task: st.builds(
            Task, step=named, role=role, title=st.just(TITLE), due_days=st.integers(0, 3), next=on
        ),
        Approval: st.builds(
            Approval,
            step=named,
            role=role,
            title=st.just(TITLE),
            due_days=st.integers(0, 3),
            next=on,
            otherwise=other,
        ),
        Webhook: st.builds(Webhook, step=named, endpoint=st.just("scores"), next=on, otherwise=other),
        End: st.builds(End, step=named),
    }


@st.composite
def journeys(draw: st.DrawFn) -> Journey:
    """Ways lead mostly onward, so that many are valid, and sometimes anywhere, so that many are not."""
    names = NAMES[: draw(st.integers(2, len(NAMES)))]
    astray = draw(st.booleans())
    drawn: list[Step] = []
    for place, name in enumerate(names[:-1]):
        near = st.sampled_from(names[place + 1 : place + 3])
        ways = near | st.sampled_from(NAMES) if astray else near
        drawn.append(draw(st.one_of(*steps(name, ways).values())))
    return Journey(
        journey="made-up",
        version=1,
        title={"en": "Made up"},
        purpose="service",
        topic="contracts",
        enter=EnterOnMaturity(kinds=("term_deposit",), offsets=(-3,), at="10:00"),
        exits=tuple(draw(st.lists(st.builds(Exit, exit=st.just("out"), when=conditions), max_size=1))),
        expires_days=draw(st.none() | st.integers(1, 40)),
        steps=(*drawn, End(step=names[-1])),
    )


def test_every_sort_of_step_is_made_up() -> None:
    assert steps("s", st.just("t")).keys() == set(get_args(Step))


def onward(step: Step, jumps: dict[str, int]) -> Iterator[tuple[str, dict[str, int]]]:
    """Where the engine can go from a step, with the jumps taken so far: told here a second time."""
    match step:
        case End():
            return
        case Branch(cases=(case,), otherwise=otherwise):
            yield case.next, jumps
            yield otherwise, jumps
        case Jump(step=name, to=to, at_most=most, otherwise=otherwise):
            done = jumps.get(name, 0)
            yield (to if done < most else otherwise), {**jumps, name: min(done + 1, most)}
        case Await() | Approval() | Webhook():
            yield step.next, jumps
            yield step.otherwise, jumps
        case _:
            yield step.next, jumps  # type: ignore[union-attr]


def runs_to_its_end(journey: Journey) -> bool:
    """Every walk ends, none comes round without a wait, and every step is on one.

    Of a jump's ways both count as walked, however often it is come to.
    """
    known = {step.step: step for step in journey.steps}
    seen: set[str] = set()

    def walks(name: str, jumps: dict[str, int], path: frozenset[object], at_once: frozenset[str]) -> bool:
        place = (name, *sorted(jumps.items()))
        if name not in known or place in path or name in at_once:
            return False
        seen.add(name)
        step = known[name]
        since = frozenset[str]() if waits(step) else at_once | {name}
        return all(walks(then, taken, path | {place}, since) for then, taken in onward(step, jumps))

    if not walks(journey.steps[0].step, {}, frozenset(), frozenset()):
        return False
    done = {step.step: step.at_most for step in journey.steps if isinstance(step, Jump)}
    tired = [step.otherwise for step in journey.steps if isinstance(step, Jump)]
    return all(walks(name, done, frozenset(), frozenset()) for name in tired) and seen == known.keys()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
    assert len(set(begun)) == len(begun) <= 6
    assert life.customer.timers == {}
    asked = [(body.enrolment, body.step, body.visit) for body in life.bodies(MessageRequested)]
    assert len(set(asked)) == len(asked)
    sent = [body.message for body in life.bodies(MessageSending)]
    assert len(set(sent)) == len(sent)
