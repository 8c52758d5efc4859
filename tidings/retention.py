"""How long the bodies of facts are kept, and their removal when they are older."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from eventsourcing.persistence import IntegrityError
from msgspec import Struct
from sqlalchemy import Engine

from domain.clock import to_micros
from domain.errors import InputRefused, LeaseLost, NotFound
from domain.retention import is_fact, may_go, removable
from stores.database import customer_partitions, reading
from stores.letters import Letters
from stores.redaction import Due, Removed, find_old, remove_old
from tidings.bootstrap import Tidings
from tidings.holds import holds
from tidings.personal_orders import PersonalOrders, Removal, Retention

# Who removes by a rule when nobody gave the command.
SWEEP = "sweep"
_MOST_DAYS = 36_525


class Rule(Struct, frozen=True):
    """Facts of this kind keep their bodies for so many days; who said so, when (aware UTC) and why."""

    kind: str
    days: int
    since: datetime
    by: str
    reason: str


class Applied(Struct, frozen=True):
    """What went: how many bodies by kind, and by partition how many and up to which seq."""

    kinds: Mapping[str, int]
    partitions: Mapping[int, tuple[int, int]]

    @property
    def number(self) -> int:
        """How many bodies in all."""
        return sum(self.kinds.values())


def rules(engine: Engine) -> list[Rule]:
    """The rules in force, by kind."""
    with PersonalOrders(engine) as orders:
        found = orders.found(Retention, Retention.ID)
    told = {} if found is None else found.rules
    return [Rule(kind, *told[kind]) for kind in sorted(told)]


def set_rule(engine: Engine, kind: str, days: int, *, by: str, reason: str, at: datetime) -> bool:
    """Keep the bodies of such facts for so many days from now on, 0 for ever; False where it is so already.

    Raises NotFound for a name that no fact has, InputRefused for a kind that the record cannot do without.
    """
    if not is_fact(kind):
        raise NotFound("retention.unknown_kind", kind=kind, near=removable())
    if not may_go(kind):
        raise InputRefused("retention.needed", kind=kind)
    if not 0 <= days <= _MOST_DAYS:
        raise InputRefused("retention.days", found=days, most=_MOST_DAYS)
    with PersonalOrders(engine) as orders:
        found = orders.found(Retention, Retention.ID) or Retention.begin(at=at)
        if found.rules.get(kind, (0,))[0] == days:
            return False
        found.trigger_event(Retention.Ruled, fact_kind=kind, days=days, by=by, reason=reason, timestamp=at)
        try:
            orders.save(found)
        except IntegrityError:
            raise InputRefused("retention.at_once", kind=kind) from None
    return True


def would_go(tidings: Tidings, *, as_of: datetime) -> dict[int, Due]:
    """What is older than its rule at ``as_of`` (aware UTC), by partition; nothing of held customers."""
    engine = tidings.engine
    cutoffs = _micros(_cutoffs(engine, as_of))
    if not cutoffs:
        return {}
    tidings.ledger.catch_up()
    spared = _held(engine)
    found = {number: find_old(engine, number, cutoffs, spared=spared) for number in _partitions(engine)}
    return {number: due for number, due in found.items() if due.upto}


def apply(
    tidings: Tidings,
    *,
    as_of: datetime,
    by: str,
    reason: str,
    at: datetime,
    progress: Callable[[int], None] = lambda _: None,
) -> Applied:
    """Remove the bodies that are older than their rule at ``as_of`` (aware UTC); ``at`` is now.

    It is recorded how far it goes before anything goes, and what went when all has: an audit takes what is
    missing beyond for tampering. Raises LeaseLost where a worker keeps a partition to itself; what has gone
    by then stays so, and the next time goes on. Raises InputRefused where ``as_of`` is ahead of both clocks.
    """
    newest = max(tidings.audience.clock(), at)
    if as_of > newest:
        raise InputRefused("retention.ahead", as_of=as_of.isoformat(), newest=newest.isoformat())
    engine = tidings.engine
    due = would_go(tidings, as_of=as_of)
    if not due:
        return Applied({}, {})
    cutoffs = _cutoffs(engine, as_of)
    removal = Removal.order(
        {kind: before.isoformat() for kind, before in cutoffs.items()},
        upto={str(number): found.upto for number, found in due.items()},
        by=by,
        reason=reason,
        at=at,
    )
    with PersonalOrders(engine) as orders:
        orders.save(removal)
    gone: dict[int, Removed] = {}
    for number, found in due.items():
        done = sum(removed.number for removed in gone.values())
        gone[number] = remove_old(
            engine,
            number,
            _micros(cutoffs),
            upto=found.upto,
            spared=lambda: _held(engine),
            progress=lambda more, done=done: progress(done + more),  # type: ignore[misc]
        )
    applied = _summed(gone)
    removal.trigger_event(
        Removal.Done,
        kinds=dict(applied.kinds),
        partitions={str(number): list(told) for number, told in applied.partitions.items()},
        timestamp=at,
    )
    with PersonalOrders(engine) as orders:
        orders.save(removal)
    return applied


def sweep(tidings: Tidings, now: datetime) -> None:
    """What recurs: facts that are too old at ``now`` (aware UTC) lose their bodies, and old refusals go."""
    Letters(tidings.engine).clean(now - timedelta(days=tidings.settings.refused_days))
    with suppress(LeaseLost):
        # A worker has a partition for long; the next turn finds what is left.
        apply(tidings, as_of=now, by=SWEEP, reason="", at=now)


def _summed(gone: Mapping[int, Removed]) -> Applied:
    kinds: Counter[str] = sum((removed.kinds for removed in gone.values()), Counter())
    partitions = {n: (removed.number, removed.upto) for n, removed in gone.items() if removed.number}
    return Applied(dict(sorted(kinds.items())), partitions)


def _cutoffs(engine: Engine, as_of: datetime) -> dict[str, datetime]:
    return {rule.kind: as_of - timedelta(days=rule.days) for rule in rules(engine)}


def _micros(cutoffs: Mapping[str, datetime]) -> dict[str, int]:
    return {kind: to_micros(before) for kind, before in cutoffs.items()}


def _held(engine: Engine) -> set[str]:
    return {hold.customer for hold in holds(engine)}


def _partitions(engine: Engine) -> list[int]:
    with reading(engine) as connection:
        return customer_partitions(connection)
