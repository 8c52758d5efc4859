"""A new rulebook comes to the customers who are there: before their next input, or when the sweep comes by.

Both lead to the same history, since what is recorded depends on the customer, the rulebook and the clock at
which the run began, and no input can come in between (decision 0009).
"""

from sqlalchemy import Engine

from domain.errors import InputRefused
from journeys.engine import adopts_as
from journeys.rulebook import Rules
from stores.adoption import EVERYBODY, Adopted, adopted, customers_after, lagging
from tidings.authoring import rules_numbered

SLICE = 500


class Sweep:
    """One partition's way to a rulebook: which of its customers have yet to be looked at for it."""

    def __init__(self, engine: Engine, partition: int, *, number: int, rules: Rules) -> None:
        """Where the sweep of a former run has come to, or the beginning where the rulebook is new.

        Raises InputRefused where another worker has gone on to a newer rulebook.
        """
        self._engine = engine
        self._partition = partition
        (found,) = adopted(engine, [partition])
        if found.rulebook > number:
            raise InputRefused("run.rules_changed", partition=partition)
        self.number = number
        self.is_new = found.rulebook < number
        self.reached = _start(engine, found, number=number, rules=rules)
        self.looked_at = 0

    @property
    def is_open(self) -> bool:
        """Whether there may be customers who have not adopted."""
        return self.reached < EVERYBODY

    def next(self, streams: set[int]) -> set[int]:
        """Who has to adopt now: of these customers, who are about to be worked on, and of the next slice."""
        if not self.is_open:
            return set()
        passed = customers_after(self._engine, self._partition, self.reached, limit=SLICE)
        candidates = {*passed, *(stream for stream in streams if stream > self.reached)}
        self.reached = passed[-1] if len(passed) == SLICE else EVERYBODY
        self.looked_at += len(passed)
        return lagging(self._engine, self._partition, candidates, rulebook=self.number)


def to_look_at(engine: Engine, partitions: list[int], *, number: int, rules: Rules) -> int:
    """How many customers the sweeps of these partitions have before them, at most."""
    starts = [
        (_start(engine, found, number=number, rules=rules), found.last_stream)
        for found in adopted(engine, partitions)
    ]
    return sum(max(0, last - start) for start, last in starts)


def _start(engine: Engine, found: Adopted, *, number: int, rules: Rules) -> int:
    """The customer after whom the sweep goes on; EVERYBODY where nothing can follow."""
    if found.rulebook >= number:
        return found.stream
    if found.last_seq == 0:
        return EVERYBODY
    former = rules_numbered(engine, found.rulebook) if found.stream == EVERYBODY else None
    return EVERYBODY if former is not None and adopts_as(rules, former) else 0
