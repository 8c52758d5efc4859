"""What a journey and its ways did: rates and differences with intervals, all from a statistics library.

Rates: Wilson's interval. Differences: Newcombe's hybrid score interval (Statistics in Medicine 17, 1998,
p. 873, method 10). Ratios: Koopman's score interval. P-values: Fisher's exact test, two-sided.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from msgspec import Struct

from domain.errors import StoreUnusable
from journeys.definition import Journey, Split
from stores.experiments import Count

SMALL = 30


class Interval(Struct, frozen=True):
    """A figure, and the bounds that the confidence gives it."""

    value: float
    low: float
    high: float


class Group(Struct, frozen=True):
    """Customers who entered or were held out; ``step`` and ``way`` are None for those of a whole journey.

    ``counted`` are those whose window is over, ``rate`` is that of those who reached the goal among them.
    """

    group: str
    step: str | None
    way: str | None
    customers: int
    written_to: int
    counted: int
    reached: int
    rate: Interval | None


class Comparison(Struct, frozen=True):
    """One group beside another (``over``, a way or "held_out"): what it reached more.

    ``lift`` is the difference as a part of the other's rate; None where one of the groups has nobody, or
    nobody but such, who reached the goal. ``shown`` is whether the interval leaves no room for no difference.
    """

    step: str | None
    way: str | None
    over: str
    difference: Interval
    lift: Interval | None
    p_value: float
    shown: bool


class Effects(Struct, frozen=True):
    """Groups and comparisons, and what must be known to read them: codes of sentences with their values."""

    groups: list[Group]
    comparisons: list[Comparison]
    notes: list[tuple[str, dict[str, object]]]


def effects(journey: Journey, counts: Sequence[Count], *, confidence: float) -> Effects:
    """Rates of every group; enrolled and ways beside the held out, ways beside the first way of their step.

    ``journey`` gives the order of ways. Raises StoreUnusable where the library is not installed.
    """
    order = _order(journey)
    ordered = sorted(counts, key=lambda count: order.get((count.step, count.way), (len(order), count.way)))
    whole = [count for count in ordered if not count.step]
    enrolled = next((count for count in whole if not count.held_out), None)
    held_out = next((count for count in whole if count.held_out), None)
    groups = [_group(count, confidence) for count in ordered]
    comparisons: list[Comparison] = []
    notes: list[tuple[str, dict[str, object]]] = []
    if enrolled and held_out:
        comparisons += _compared(enrolled, held_out, "held_out", confidence)
    for step in dict.fromkeys(count.step for count in ordered if count.step):
        ways = [count for count in ordered if count.step == step]
        for way in ways[1:]:
            comparisons += _compared(way, ways[0], ways[0].way, confidence)
        if held_out is None or enrolled is None:
            continue
        if sum(way.customers for way in ways) == enrolled.customers:
            for way in ways:
                comparisons += _compared(way, held_out, "held_out", confidence)
        else:
            # Who came so far is no fair sample of all: the others had left, by the goal or otherwise.
            notes.append(("report.late_split", {"step": step}))
    return Effects(groups, comparisons, [*notes, *_notes(journey, ordered, comparisons, confidence)])


def rate(reached: int, of: int, *, confidence: float) -> Interval:
    """The part that reached the goal, of at least one, with Wilson's interval."""
    low, high = _library()[0].proportion_confint(reached, of, alpha=1 - confidence, method="wilson")
    return Interval(reached / of, float(low), float(high))


def difference(one: tuple[int, int], other: tuple[int, int], *, confidence: float) -> Interval:
    """The first rate less the second, each as (reached, of), with Newcombe's interval."""
    found = _library()[0].confint_proportions_2indep(
        *one, *other, compare="diff", method="newcomb", alpha=1 - confidence
    )
    return Interval(one[0] / one[1] - other[0] / other[1], *map(float, found))


def lift(one: tuple[int, int], other: tuple[int, int], *, confidence: float) -> Interval | None:
    """The first rate over the second, less 1, with Koopman's interval; None where it has no sense."""
    if any(not 0 < reached < of for reached, of in (one, other)):
        return None
    low, high = _library()[0].confint_proportions_2indep(
        *one, *other, compare="ratio", method="score", correction=False, alpha=1 - confidence
    )
    return Interval(one[0] * other[1] / (one[1] * other[0]) - 1, float(low) - 1, float(high) - 1)


def p_value(one: tuple[int, int], other: tuple[int, int]) -> float:
    """How likely a difference like this or a rarer one would be if there were none: Fisher's exact test."""
    table = [[reached, of - reached] for reached, of in (one, other)]
    return float(_library()[1](table).pvalue)


def _group(count: Count, confidence: float) -> Group:
    return Group(
        group="held_out" if count.held_out else "way" if count.way else "enrolled",
        step=count.step or None,
        way=count.way or None,
        customers=count.customers,
        written_to=count.written_to,
        counted=count.counted,
        reached=count.reached,
        rate=rate(count.reached, count.counted, confidence=confidence) if count.counted else None,
    )


def _compared(count: Count, beside: Count, over: str, confidence: float) -> Iterator[Comparison]:
    """The comparison, unless one of them has nobody to count."""
    if not (count.counted and beside.counted):
        return
    one, other = (count.reached, count.counted), (beside.reached, beside.counted)
    gap = difference(one, other, confidence=confidence)
    yield Comparison(
        step=count.step or None,
        way=count.way or None,
        over=over,
        difference=gap,
        lift=lift(one, other, confidence=confidence),
        p_value=p_value(one, other),
        shown=gap.low > 0 or gap.high < 0,
    )


def _notes(
    journey: Journey, counts: Sequence[Count], comparisons: Sequence[Comparison], confidence: float
) -> Iterator[tuple[str, dict[str, object]]]:
    if journey.goal is None:
        yield "report.no_goal", {"journey": journey.journey, "version": journey.version}
    elif waiting := sum(count.customers - count.counted for count in counts if not count.step):
        yield "report.still_open", {"customers": waiting}
    if any(0 < count.counted < SMALL for count in counts):
        yield "report.small", {"least": SMALL}
    if comparisons:
        yield "report.reading", {"percent": f"{100 * confidence:g}"}
        if not all(comparison.shown for comparison in comparisons):
            yield "report.not_shown", {}
        if len(comparisons) > 1:
            yield (
                "report.several",
                {"comparisons": len(comparisons), "percent": f"{100 - 100 * confidence:g}"},
            )


def _order(journey: Journey) -> Mapping[tuple[str, str], tuple[int, str]]:
    """The place of each way of the document, behind enrolled and held out."""
    named = [("", "")]
    named += [(s.step, way.way) for s in journey.steps if isinstance(s, Split) for way in s.ways]
    return {name: (number, "") for number, name in enumerate(named)}


@cache
def _library() -> tuple[Any, Any]:
    """What is used of the library: its module of proportions, and Fisher's exact test.

    Raises StoreUnusable where it is not installed.
    """
    try:
        from scipy.stats import fisher_exact
        from statsmodels.stats import proportion
    except ImportError:
        raise StoreUnusable("report.no_library") from None

    return proportion, fisher_exact
