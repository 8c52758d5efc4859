"""Experiments: who goes which way follows from a digest of the experiment's name and the customer's id.

No draw is made and nothing is kept, so the answer is the same in every version, journey, store and replay.
"""

from domain.ids import share_of
from journeys.definition import Journey, Split, Way


def is_held_out(journey: Journey, subject: str) -> bool:
    """Whether the customer is one of those who are left out of this journey."""
    holdout = journey.holdout
    if holdout is None:
        return False
    return 100 * share_of("holdout", holdout.salt or journey.journey, subject) < holdout.percent


def experiment_of(journey: str, split: Split) -> str:
    """The name by which the customers of a split are drawn: its own, or that of its journey and step."""
    return split.experiment or f"{journey}/{split.step}"


def way_of(journey: Journey, split: Split, subject: str) -> Way:
    """The customer's way. The ways share out 0 to 100 in their order, each by its percent.

    So a customer changes ways only where a border between two ways moves over them.
    """
    share, border = 100 * share_of("split", experiment_of(journey.journey, split), subject), 0
    for way in split.ways:
        border += way.percent
        if share < border:
            return way
    # The share is below 100 and the percents add up to it; the largest shares round up to 100.
    return next(way for way in reversed(split.ways) if way.percent)
