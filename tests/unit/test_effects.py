"""Intervals and tests of a report, held against worked examples that were published."""

import sys

import pytest
from msgspec.structs import replace

from domain.errors import StoreUnusable
from journeys.definition import Journey
from stores.experiments import Count
from support.documents import journey_of
from tidings import effects as module
from tidings.effects import difference, effects, lift, p_value, rate

JOURNEY = journey_of("""
journey: offer
version: 1
title: {en: Offer}
purpose: service
topic: offers
enter: {by: fact, fact: transaction.posted/1}
goal: {fact: holding.opened/1}
steps:
  - {step: which, do: split, ways: [
      {way: one, percent: 40, next: later},
      {way: another, percent: 60, next: later}]}
  - {step: later, do: split, ways: [
      {way: b, percent: 50, next: end},
      {way: a, percent: 50, next: end}]}
  - {step: end, do: end}
""")


@pytest.mark.parametrize(
    ("reached", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_rates_have_wilsons_interval(reached: int, of: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998), p. 857, table I, method 3."""
    found = rate(reached, of, confidence=0.95)
    assert found.value == reached / of
    assert [found.low, found.high] == pytest.approx([low, high], abs=5e-5)


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0000),
        ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)
def test_differences_have_newcombes_interval(
    one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    """Newcombe, Statistics in Medicine 17 (1998), p. 873, table II, method 10."""
    found = difference(one, other, confidence=0.95)
    assert found.value == pytest.approx(one[0] / one[1] - other[0] / other[1])
    assert [found.low, found.high] == pytest.approx([low, high], abs=5e-5)
    turned = difference(other, one, confidence=0.95)
    assert [turned.low, turned.high] == pytest.approx([-found.high, -found.low])


def test_a_lift_has_koopmans_interval() -> None:
    """Koopman, Biometrics 40 (1984), p. 513: 36 of 40 against 16 of 80 is 4.5 times, 2.94 to 7.15."""
    found = lift((36, 40), (16, 80), confidence=0.95)
    assert found is not None
    assert found.value == pytest.approx(3.5)
    assert [found.low, found.high] == pytest.approx([1.94, 6.15], abs=5e-3)


@pytest.mark.parametrize("one", [(0, 10), (10, 10)])
def test_a_lift_without_sense_is_none(one: tuple[int, int]) -> None:
    assert lift(one, (5, 10), confidence=0.95) is None
    assert lift((5, 10), one, confidence=0.95) is None


def test_the_p_value_is_fishers() -> None:
    """The lady tasting tea: three of four right, 34 of 70 ways are as good or as bad."""
    assert p_value((3, 4), (1, 4)) == pytest.approx(34 / 70)
    assert p_value((0, 10), (0, 20)) == 1


def test_more_confidence_makes_wider_intervals() -> None:
    narrow, wide = (difference((56, 70), (48, 80), confidence=c) for c in (0.8, 0.99))
    assert wide.low < narrow.low < 0.2 < narrow.high < wide.high
    assert rate(5, 10, confidence=0.99).low < rate(5, 10, confidence=0.9).low


def counts(later: int = 150) -> list[Count]:
    """Enrolled 56 of 70 and so on; ``later`` came to the second split."""
    return [
        Count("", "", False, 150, 140, 140, 100),
        Count("", "", True, 90, 0, 80, 48),
        Count("later", "a", False, later - 60, 50, 60, 30),
        Count("later", "b", False, 60, 50, 60, 50),
        Count("which", "another", False, 80, 75, 70, 44),
        Count("which", "one", False, 70, 65, 70, 56),
    ]


def test_ways_are_compared_with_the_first_of_the_document_and_with_who_was_held_out() -> None:
    found = effects(JOURNEY, counts(), confidence=0.95)
    assert [(g.group, g.step, g.way) for g in found.groups] == [
        ("enrolled", None, None),
        ("held_out", None, None),
        ("way", "which", "one"),
        ("way", "which", "another"),
        ("way", "later", "b"),
        ("way", "later", "a"),
    ]
    assert [(c.step, c.way, c.over) for c in found.comparisons] == [
        (None, None, "held_out"),
        ("which", "another", "one"),
        ("which", "one", "held_out"),
        ("which", "another", "held_out"),
        ("later", "a", "b"),
        ("later", "b", "held_out"),
        ("later", "a", "held_out"),
    ]
    one = found.comparisons[2]
    assert one.shown
    assert one.difference == difference((56, 70), (48, 80), confidence=0.95)
    assert one.lift == lift((56, 70), (48, 80), confidence=0.95)
    assert one.p_value == p_value((56, 70), (48, 80))
    another = found.comparisons[3]
    assert another.difference.low < 0 < another.difference.high
    assert not another.shown


def test_a_split_to_which_not_all_come_is_not_compared_with_who_was_held_out() -> None:
    """Who has left before, mostly by the goal, is not among those who come: they are another sort."""
    found = effects(JOURNEY, counts(later=149), confidence=0.95)
    assert [(c.way, c.over) for c in found.comparisons if c.step == "later"] == [("a", "b")]
    assert ("report.late_split", {"step": "later"}) in found.notes


def codes(given: list[Count], journey: Journey = JOURNEY) -> list[str]:
    return [code for code, _ in effects(journey, given, confidence=0.95).notes]


def test_what_must_be_known_to_read_the_figures_is_said() -> None:
    told = dict(effects(JOURNEY, counts(), confidence=0.9).notes)
    assert told == {
        "report.still_open": {"customers": 20},
        "report.reading": {"percent": "90"},
        "report.not_shown": {},
        "report.several": {"comparisons": 7, "percent": "10"},
    }
    few = [Count("", "", False, 29, 0, 29, 29), Count("", "", True, 30, 0, 30, 0)]
    assert codes(few) == ["report.small", "report.reading"]
    assert codes([replace(few[0], customers=30, counted=30)]) == []
    assert codes([replace(few[0], counted=0, reached=0)]) == ["report.still_open"]
    assert codes([replace(few[0], counted=0, reached=0)], replace(JOURNEY, goal=None)) == ["report.no_goal"]


def test_nobody_to_count_gives_no_rate_and_no_comparison() -> None:
    none = [Count("", "", False, 10, 0, 0, 0), Count("", "", True, 10, 0, 5, 5)]
    found = effects(JOURNEY, none, confidence=0.95)
    assert [group.rate is None for group in found.groups] == [True, False]
    assert found.comparisons == []


def test_without_the_library_it_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    module._library.cache_clear()
    monkeypatch.setitem(sys.modules, "statsmodels.stats", None)
    with pytest.raises(StoreUnusable, match=r"report\.no_library"):
        rate(1, 2, confidence=0.95)
