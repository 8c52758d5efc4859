"""Made-up versions of a journey, passages through it, and migrations from each version to the next."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from hypothesis import strategies as st

from domain.catalogue import CustomFact, Envelope
from domain.events import (
    EnrolmentEnded,
    EnrolmentMigrated,
    EnrolmentStarted,
    MessageRequested,
    StepSkipped,
)
from journeys.definition import (
    Approval,
    Await,
    Branch,
    Case,
    DaysSince,
    Delay,
    End,
    Journey,
    Step,
    Task,
    Wait,
)
from support.changing import TEMPLATES, asked, done, own, send
from support.facts import PRAGUE, registered
from support.scenario import envelope
from support.strategies import START

NAMES = ("one", "two", "three", "four", "five", "six")
QUIET = DaysSince(fact="x.done/1", at_most=900)


@st.composite
def versions(draw: st.DrawFn, *, version: int) -> Journey:
    """A valid journey of some steps in any order: each leads to the next, a branch to a later one too."""
    names = draw(st.permutations(NAMES))[: draw(st.integers(2, len(NAMES)))]
    steps: list[Step] = []
    for place, name in enumerate(names):
        following = names[place + 1] if place + 1 < len(names) else "end"
        later = draw(st.sampled_from([*names[place + 1 :], "end"]))
        steps.append(draw(_step(name, following, later)))
    return own(*steps, End(step="end"), version=version)


@st.composite
def _step(draw: st.DrawFn, name: str, following: str, later: str) -> Step:
    template = draw(st.sampled_from([t.template for t in TEMPLATES]))
    days = draw(st.integers(0, 9))
    kinds: tuple[Step, ...] = (
        send(name, template, following),
        send(name, template, following),
        Wait(step=name, days=days, at="10:00", next=following),
        Wait(step=name, days=days, at="23:00", next=following),
        Branch(step=name, cases=(Case(when=QUIET, next=later),), otherwise=following),
        Delay(step=name, hours=days, minutes=30, next=following),
        Await(step=name, fact="x.word/1", within_hours=24 * days + 1, next=following, otherwise=later),
        Approval(
            step=name, role="operator", title={"en": "Yes?"}, due_days=days, next=later, otherwise=following
        ),
        Task(step=name, role="operator", title={"en": "Work"}, due_days=days, next=following),
    )
    return draw(st.sampled_from(kinds))


@st.composite
def passages(draw: st.DrawFn) -> list[Envelope]:
    """Up to four customers, each asking on some days, some reaching the goal."""
    told: list[Envelope] = []
    for number in range(1, draw(st.integers(1, 4)) + 1):
        subject = f"c-{number}"
        told.append(
            envelope(subject, START, registered(zone=draw(st.sampled_from([PRAGUE, "Asia/Shanghai"]))))
        )
        hours = st.lists(st.integers(1, 24 * 60), min_size=1, max_size=3)
        for place, hour in enumerate(draw(hours)):
            told.append(asked(START + timedelta(hours=hour), f"{number}-{place}", subject=subject))
        for place, hour in enumerate(draw(st.lists(st.integers(1, 24 * 60), max_size=3))):
            word = CustomFact(source="/test", id=f"word {number}-{place}")
            told.append(Envelope("x.word/1", subject, START + timedelta(hours=hour), word))
        if draw(st.booleans()):
            told.append(done(START + timedelta(hours=draw(st.integers(1, 24 * 70))), subject=subject))
    return told


class Change(NamedTuple):
    """The versions that come one after the other, and of each where the steps before it lead."""

    versions: tuple[Journey, Journey, Journey]
    mappings: tuple[Mapping[str, str], Mapping[str, str]]
    ends: tuple[tuple[str, ...], tuple[str, ...]]
    paused: bool
    together: bool


@st.composite
def changes(draw: st.DrawFn) -> Change:
    one, two, three = (draw(versions(version=number)) for number in (1, 2, 3))
    mappings, ends = [], []
    for older, new in (((one,), two), ((one, two), three)):
        old = sorted({step.step for journey in older for step in journey.steps})
        names = [step.step for step in new.steps]
        mapped = draw(st.dictionaries(st.sampled_from(old), st.sampled_from(names), max_size=4))
        mappings.append(mapped)
        left = [name for name in old if name not in mapped]
        ends.append(tuple(draw(st.sets(st.sampled_from(left), max_size=1))) if left else ())
    return Change(
        (one, two, three),
        (mappings[0], mappings[1]),
        (ends[0], ends[1]),
        draw(st.booleans()),
        draw(st.booleans()),
    )


def check_one(bodies: list[object]) -> None:
    """Of one customer: what was asked for before a migration is not asked for after it, and all is over."""
    before: dict[str, list[tuple[str, str]]] = {}
    now: dict[str, list[tuple[str, str]]] = {}
    open_: set[str] = set()
    for body in bodies:
        match body:
            case EnrolmentStarted():
                open_.add(body.enrolment)
            case EnrolmentMigrated():
                before[body.enrolment] = list(now.get(body.enrolment, []))
            case MessageRequested():
                steps, templates = zip(*before.get(body.enrolment, []) or [("", "")], strict=True)
                assert body.step not in steps
                assert body.template not in templates
                now.setdefault(body.enrolment, []).append((body.step, body.template))
            case StepSkipped():
                assert before[body.enrolment]
            case EnrolmentEnded():
                open_.remove(body.enrolment)
            case _:
                pass
    assert open_ == set()
