"""The parts of a condition that decided against it: each that is to blame, and no other."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.unmet import Asked, unmet
from domain.customer import Customer
from journeys.definition import All, Attribute, Condition, EntryValue, Not
from journeys.definition import Any as AnyOf

SOMEBODY = Customer("c-1", language="cs", region="Pisek", profile={"tier": "gold"})


def language(*names: str) -> Attribute:
    return Attribute(name="language", one_of=names)


CZECH, CHINESE = language("cs"), language("zh-CN")
PISEK, PRAGUE = (Attribute(name="region", one_of=(name,)) for name in ("Pisek", "Prague"))


def blamed(condition: Condition, **entry: Any) -> list[tuple[Condition, bool, object]]:
    return [(leaf.condition, leaf.wanted, leaf.seen) for leaf in unmet(condition, Asked(SOMEBODY, entry))]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (CZECH, []),
        (CHINESE, [(CHINESE, True, "cs")]),
        (Not(of=CZECH), [(CZECH, False, "cs")]),
        (All(of=(CZECH, CHINESE, PRAGUE)), [(CHINESE, True, "cs"), (PRAGUE, True, "Pisek")]),
        (AnyOf(of=(CHINESE, PRAGUE)), [(CHINESE, True, "cs"), (PRAGUE, True, "Pisek")]),
        (Not(of=AnyOf(of=(CHINESE, PISEK))), [(PISEK, False, "Pisek")]),
        (Not(of=All(of=(CZECH, PISEK))), [(CZECH, False, "cs"), (PISEK, False, "Pisek")]),
        (All(of=(Not(of=Not(of=CHINESE)), PISEK)), [(CHINESE, True, "cs")]),
    ],
)
def test_only_parts_that_were_not_as_wanted_are_to_blame(condition: Condition, expected: object) -> None:
    assert blamed(condition) == expected


def test_the_values_of_the_entry_are_seen() -> None:
    later = EntryValue(name="offset_days", at_most=0)
    assert blamed(later, offset_days=1) == [(later, True, 1)]
    assert blamed(later) == [(later, True, None)]


leaves = st.sampled_from([CZECH, CHINESE, PISEK, PRAGUE])
trees = st.recursive(
    leaves,
    lambda parts: (
        st.builds(All, of=st.lists(parts, min_size=1, max_size=3).map(tuple))
        | st.builds(AnyOf, of=st.lists(parts, min_size=1, max_size=3).map(tuple))
        | st.builds(Not, of=parts)
    ),
    max_leaves=8,
)


@given(trees)
def test_a_condition_that_failed_has_somebody_to_blame_and_no_other_has(condition: Condition) -> None:
    asked = Asked(SOMEBODY, {})
    found = unmet(condition, asked)
    assert bool(found) != asked.holds(condition)
    assert all(asked.holds(leaf.condition) != leaf.wanted for leaf in found)
