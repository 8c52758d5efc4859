"""Made-up journeys of every step, and a second reckoning of which of them come to an end."""

from collections.abc import Iterator
from datetime import date

from hypothesis import strategies as st

from domain.catalogue import Purpose
from domain.clock import WEEKDAYS
from journeys.definition import (
    Approval,
    Await,
    Branch,
    Case,
    DaysSince,
    Delay,
    Emit,
    End,
    Enter,
    EnterOnMaturity,
    Exit,
    Journey,
    Jump,
    Moved,
    Profile,
    Send,
    Split,
    Start,
    Step,
    Task,
    Update,
    Wait,
    WaitUntil,
    Way,
    Webhook,
    waits,
)

NAMES = [f"s{number}" for number in range(8)]
AHEAD = EnterOnMaturity(kinds=("term_deposit",), offsets=(-3,), at="10:00")
TITLE = {"en": "Work"}
conditions = st.builds(
    DaysSince, fact=st.just("transaction.posted/1"), at_least=st.integers(0, 20)
) | st.builds(Profile, name=st.just("seen"), one_of=st.just(("true",)))


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
            on=st.dates(date(2026, 1, 1), date(2027, 6, 1)),
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
            Send, step=named, template=st.just("birthday-greeting"), channels=st.just(("email",)), next=on
        ),
        Branch: st.builds(
            Branch, step=named, cases=st.tuples(st.builds(Case, when=conditions, next=on)), otherwise=other
        ),
        Split: st.builds(
            Split,
            step=named,
            ways=st.tuples(*(st.builds(Way, way=st.just(way), percent=st.just(50), next=on) for way in "ab")),
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
def journeys(
    draw: st.DrawFn, called: str = "made-up", enter: Enter = AHEAD, purpose: Purpose = "service"
) -> Journey:
    """Ways lead mostly onward, so that many are valid, and sometimes anywhere, so that many are not."""
    names = NAMES[: draw(st.integers(2, len(NAMES)))]
    astray = draw(st.booleans())
    drawn: list[Step] = []
    for place, name in enumerate(names[:-1]):
        near = st.sampled_from(names[place + 1 : place + 3])
        ways = near | st.sampled_from(NAMES) if astray else near
        drawn.append(draw(st.one_of(*steps(name, ways).values())))
    return Journey(
        journey=called,
        version=1,
        title={"en": "Made up"},
        purpose=purpose,
        topic="contracts",
        enter=enter,
        exits=tuple(draw(st.lists(st.builds(Exit, exit=st.just("out"), when=conditions), max_size=1))),
        expires_days=draw(st.none() | st.integers(1, 40)),
        steps=(*drawn, End(step=names[-1])),
    )


def onward(step: Step, jumps: dict[str, int]) -> Iterator[tuple[str, dict[str, int]]]:
    """Where the engine can go from a step, with the jumps taken so far: told here a second time."""
    match step:
        case End():
            return
        case Branch(cases=(case,), otherwise=otherwise):
            yield case.next, jumps
            yield otherwise, jumps
        case Split(ways=ways):
            yield from ((way.next, jumps) for way in ways)
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
    tired = [(step.otherwise, {step.step: step.at_most}) for step in known.values() if isinstance(step, Jump)]
    return all(walks(name, done, frozenset(), frozenset()) for name, done in tired) and seen == known.keys()
