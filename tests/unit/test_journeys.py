"""The journey language: what validation finds, and that what it lets through ends."""

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.events import BranchTaken, EnrolmentEnded, EnrolmentStarted
from journeys.definition import (
    AssetsGrew,
    Branch,
    Case,
    Condition,
    End,
    EnterOnMaturity,
    EntryValue,
    Journey,
    Not,
    Send,
    Step,
    Wait,
)
from journeys.rulebook import Rulebook, Rules, canonical, digest
from journeys.validation import problems
from support.facts import at, opened, registered
from support.scenario import SHIPPED_RULEBOOK, SHIPPED_RULES, Scenario
from tidings.authoring import decode_rulebook

NAMES = [f"s{number}" for number in range(8)]
names = st.sampled_from(NAMES)
conditions: st.SearchStrategy[Condition] = st.recursive(
    st.builds(EntryValue, name=st.just("offset_days"), at_most=st.integers(-40, 5))
    | st.builds(AssetsGrew, over_percent=st.just(20), months=st.integers(1, 3)),
    lambda inner: st.builds(Not, of=inner),
    max_leaves=3,
)


def steps(name: str) -> st.SearchStrategy[Step]:
    named = st.just(name)
    return st.one_of(
        st.builds(Wait, step=named, days=st.integers(0, 9), at=st.just("12:00"), next=names),
        st.builds(
            Send, step=named, template=st.just("maturity-ahead"), channels=st.just(("email",)), next=names
        ),
        st.builds(
            Branch,
            step=named,
            cases=st.tuples(st.builds(Case, when=conditions, next=names)),
            otherwise=names,
        ),
        st.builds(End, step=named),
    )


@st.composite
def journeys(draw: st.DrawFn) -> Journey:
    count = draw(st.integers(1, len(NAMES)))
    return Journey(
        journey="made-up",
        version=1,
        title={"en": "Made up"},
        purpose="service",
        topic="contracts",
        enter=EnterOnMaturity(kinds=("term_deposit",), offsets=(-3,), at="10:00"),
        steps=tuple(draw(steps(name)) for name in NAMES[:count]),
    )


@settings(max_examples=400, deadline=None)
@given(journeys())
def test_what_validation_lets_through_ends_and_what_it_refuses_it_refuses_for_a_reason(
    journey: Journey,
) -> None:
    found = problems(journey, SHIPPED_RULES.templates, SHIPPED_RULES.calendars)
    if found:
        assert all(problem.code.startswith("journey.") for problem in found)
        return
    book = Rulebook(journeys=(journey,), templates=SHIPPED_RULEBOOK.templates, policy=SHIPPED_RULEBOOK.policy)
    life = Scenario(rules=Rules(book)).given(
        (at("2026-01-01 12:00"), registered()),
        (at("2026-01-01 12:00"), opened(matures_on=date(2026, 2, 1))),
    )
    life.until(at("2027-01-01 12:00"))
    assert len(life.bodies(EnrolmentStarted)) == len(life.bodies(EnrolmentEnded)) == 1
    assert life.customer.timers == {}


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
