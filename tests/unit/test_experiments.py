"""Splits: who goes which way, for ever and alike, and what validation says of ways."""

from collections import Counter
from itertools import combinations

import pytest
from msgspec.structs import replace

from domain.events import EnrolmentEnded, MessageRequested, SplitTaken
from journeys import experiments
from journeys.definition import End, EnterOnFact, Journey, Split, Way
from journeys.experiments import way_of
from journeys.rulebook import Rules
from journeys.validation import problems
from support.documents import journey_of
from support.facts import at, granted, paid, registered
from support.scenario import SHIPPED_RULEBOOK, SHIPPED_RULES, Scenario
from tidings.documents import faults, parse_document

NEW_YEAR = at("2026-01-01 12:00")
SUBJECTS = [f"c-{number}" for number in range(20_000)]
OFFER = """
journey: offer
version: 1
title: {en: Offer}
purpose: marketing
topic: offers
enter: {by: fact, fact: transaction.posted/1}
steps:
  - {step: which, do: split, ways: [
      {way: course, percent: 50, next: course},
      {way: survey, percent: 30, next: survey},
      {way: nothing, percent: 20, next: end}]}
  - {step: course, do: send, template: tier-course, channels: [email], next: end}
  - {step: survey, do: send, template: tier-course, channels: [email], next: end}
  - {step: end, do: end}
"""


def shared(*percents: int, experiment: str | None = "salt") -> tuple[Journey, Split]:
    """A journey of one split by ways a, b, c and so on."""
    names = "abcdefgh"
    ways = tuple(
        Way(way=name, percent=share, next="end") for name, share in zip(names, percents, strict=False)
    )
    split = Split(step="split", experiment=experiment, ways=ways)
    journey = Journey(
        journey="made-up",
        version=1,
        title={"en": "Made up"},
        purpose="service",
        topic="t",
        enter=EnterOnFact(fact="transaction.posted/1"),
        steps=(split, End(step="end")),
    )
    return journey, split


def ways(*percents: int, experiment: str | None = "salt") -> list[str]:
    """The way of each subject."""
    journey, split = shared(*percents, experiment=experiment)
    return [way_of(journey, split, subject).way for subject in SUBJECTS]


def test_the_way_taken_is_recorded_and_gone() -> None:
    rules = Rules(replace(SHIPPED_RULEBOOK, journeys=(journey_of(OFFER),)))
    told: dict[str, list[str]] = {}
    for subject in SUBJECTS[:12]:
        life = Scenario(rules=rules, subject=subject)
        life.given((NEW_YEAR, registered()), (NEW_YEAR, granted()), (at("2026-01-02 12:00"), paid()))
        (taken,) = life.bodies(SplitTaken)
        assert isinstance(taken, SplitTaken)
        assert (taken.step, taken.experiment) == ("which", "offer/which")
        asked = [body.step for body in life.bodies(MessageRequested) if isinstance(body, MessageRequested)]
        assert asked == [name for name in [taken.next] if name != "end"]
        assert len(life.bodies(EnrolmentEnded)) == 1
        told.setdefault(taken.way, []).append(subject)
    # These stand for ever: a customer is not drawn anew by another release.
    assert told == {
        "course": ["c-0", "c-3", "c-5", "c-9", "c-10", "c-11"],
        "survey": ["c-1", "c-2", "c-6", "c-7"],
        "nothing": ["c-4", "c-8"],
    }


def test_the_same_experiment_gives_the_same_way_in_any_version_journey_and_step() -> None:
    journey, split = shared(50, 50)
    other = replace(journey, journey="another", version=7)
    moved = replace(split, step="elsewhere")
    for subject in SUBJECTS[:500]:
        assert way_of(journey, split, subject) == way_of(other, moved, subject)


def test_without_a_name_each_step_of_each_journey_is_an_experiment_of_its_own() -> None:
    journey, split = shared(50, 50, experiment=None)
    mine = [way_of(journey, split, subject).way for subject in SUBJECTS]
    newer = [way_of(replace(journey, version=2), split, subject).way for subject in SUBJECTS]
    elsewhere = [way_of(journey, replace(split, step="other"), subject).way for subject in SUBJECTS]
    another = [way_of(replace(journey, journey="other"), split, subject).way for subject in SUBJECTS]
    assert mine == newer
    for theirs in (elsewhere, another):
        assert 0.48 < sum(a == b for a, b in zip(mine, theirs, strict=True)) / len(mine) < 0.52


@pytest.mark.parametrize("salt", ["salt", "salz", "spring-2026", "spring-2027", "x"])
@pytest.mark.parametrize("percents", [(50, 50), (10, 90), (1, 99), (33, 33, 34), (0, 100), (100, 0)])
def test_each_way_gets_its_share(salt: str, percents: tuple[int, ...]) -> None:
    """Within five standard deviations of the binomial distribution, and exact where it has none."""
    found = Counter(ways(*percents, experiment=salt))
    for name, percent in zip("abc", percents, strict=False):
        share = percent / 100
        deviation = (share * (1 - share) / len(SUBJECTS)) ** 0.5
        assert abs(found[name] / len(SUBJECTS) - share) <= 5 * deviation


def test_experiments_do_not_go_together() -> None:
    """Of two experiments each pair of ways is as frequent as chance has it (chi-square, p about 1e-5)."""
    for one, other in combinations(["salt", "salz", "a", "b"], 2):
        pairs = Counter(
            zip(ways(40, 30, 30, experiment=one), ways(40, 30, 30, experiment=other), strict=True)
        )
        share = {"a": 0.4, "b": 0.3, "c": 0.3}
        expected = {(x, y): len(SUBJECTS) * share[x] * share[y] for x in share for y in share}
        assert sum((pairs[pair] - e) ** 2 / e for pair, e in expected.items()) < 35


@pytest.mark.parametrize(
    ("before", "after", "moves"),
    [
        ((50, 50), (60, 40), {("b", "a")}),
        ((50, 50), (40, 60), {("a", "b")}),
        ((50, 50), (100, 0), {("b", "a")}),
        ((50, 50, 0), (50, 25, 25), {("b", "c")}),
        ((20, 30, 50), (30, 30, 40), {("b", "a"), ("c", "b")}),
    ],
)
def test_other_percents_move_only_whom_a_border_passes(
    before: tuple[int, ...], after: tuple[int, ...], moves: set[tuple[str, str]]
) -> None:
    changed = Counter(pair for pair in zip(ways(*before), ways(*after), strict=True) if pair[0] != pair[1])
    assert changed.keys() == moves
    borders = [sum(before[: n + 1]) - sum(after[: n + 1]) for n in range(len(before))]
    passed = sum(map(abs, borders)) / 100
    assert abs(sum(changed.values()) / len(SUBJECTS) - passed) < 0.02


def test_the_largest_share_still_has_a_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A share just below 1 is 1.0 as a float."""
    monkeypatch.setattr(experiments, "share_of", lambda *_: 1.0)
    assert way_of(*shared(50, 50), "c-1").way == "b"
    assert way_of(*shared(50, 50, 0), "c-1").way == "b"


def test_what_is_wrong_with_a_split_is_told_with_its_place() -> None:
    wrong = (
        OFFER.replace("percent: 30", "percent: 35")
        .replace("way: nothing", "way: course")
        .replace("next: survey}", "next: gone}")
    )
    document = parse_document(wrong, name="offer.yaml")
    _, found = faults(document, SHIPPED_RULES.templates, SHIPPED_RULES.calendars)
    assert [(fault.line, fault.code) for fault in found] == [
        (9, "journey.percents"),
        (11, "journey.dangling"),
        (12, "journey.way_twice"),
        (14, "journey.unreachable"),
    ]


def test_two_steps_that_name_one_experiment_share_it_out_alike() -> None:
    journey, split = shared(50, 50)
    onward = replace(split, ways=tuple(replace(way, next="again") for way in split.ways))
    for percent, codes in [((50, 50), []), ((60, 40), ["journey.experiment_differs"])]:
        again = replace(shared(*percent)[1], step="again")
        both = replace(journey, steps=(onward, again, End(step="end")))
        assert [problem.code for problem in problems(both, {}, {})] == codes
