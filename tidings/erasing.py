"""Erases a person: what is under way ends, the key is destroyed, and that it was is told for ever.

Each step can be done twice, so what was broken off is finished by doing it again.
"""

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep

from eventsourcing.persistence import IntegrityError
from msgspec import Struct, convert, to_builtins

from audit.findings import Verified
from audit.pieces import of_customer
from audit.verify import verify_pieces
from domain.catalogue import CustomerErased, Envelope
from domain.clock import from_micros, to_micros
from domain.codec import decode_body
from domain.errors import InputRefused, LeaseLost, NotFound, StoreUnusable
from stores import erasing
from stores.batch import Changes
from stores.database import reading
from stores.inbox import Told
from stores.journal import Journal
from stores.letters import Letters
from stores.schema import inbox, partitions
from stores.vault import vault_of
from stores.wall_clock import served_since
from tidings.authoring import rules_of, templates_of
from tidings.bootstrap import Tidings, preparer
from tidings.exporting import naming
from tidings.holds import is_held
from tidings.inputs import Input, take
from tidings.memory import state_of
from tidings.personal_orders import Erasure, PersonalOrders

_KIND = "customer.erased/1"
_SOURCE = "erasure"
_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.2


class Fate(Struct, frozen=True):
    """What became of a person's data. ``version`` and ``hash`` (hex) are where the history ends.

    ``letters`` are refused facts that named the person, ``files`` copies in the sandbox folder, and
    ``suppressed`` addresses that stay silent, by their digests.
    """

    version: int
    hash: str
    letters: int
    files: int
    suppressed: int


class Erased(Struct, frozen=True):
    """An erasure: ordered when (aware UTC), by whom and why, and what was done.

    Right before, ``replayed`` decisions were made again, and ``findings`` were found. ``first`` where it was
    done now. The proof is the history's end: the log's tree covers it, and this record too.
    """

    customer: str
    at: datetime
    by: str
    reason: str
    replayed: int
    findings: int
    fate: Fate
    first: bool


def erase(tidings: Tidings, customer: str, *, by: str, reason: str, at: datetime) -> Erased:
    """Erase a person at ``at`` (aware UTC). Done again, it finishes what was broken off, and tells the same.

    Raises NotFound for an unknown customer; InputRefused under a legal hold, while a message of theirs is
    under way, and where a worker that has their partition does not take the fact in time.
    """
    engine = tidings.engine
    place = tidings.history.find(customer)
    if place is None:
        raise NotFound("customer.unknown", customer=customer, near=tidings.history.similar_subjects(customer))
    if is_held(engine, customer):
        raise InputRefused("erase.held", customer=customer)
    with PersonalOrders(engine) as orders:
        record = orders.found(Erasure, Erasure.create_id(customer))
        if record is None:
            verified = _verified(tidings, customer)
            record = Erasure.order(
                customer,
                by=by,
                reason=reason,
                replayed=verified.replayed,
                findings=len(verified.findings),
                at=at,
            )
            _save(orders, record, customer)
        first = record.done is None
        if first:
            _end(tidings, customer, place, at=at)
            fate = _forget(tidings, customer, place, at=at)
            record.trigger_event(Erasure.Done, **to_builtins(fate), timestamp=at)
            _save(orders, record, customer)
        else:
            # A copy that came back since, from a backup or a folder, goes again.
            _forget(tidings, customer, place, at=at)
        return Erased(
            customer=customer,
            at=record.created_on,
            by=record.by,
            reason=record.reason,
            replayed=record.replayed,
            findings=record.findings,
            fate=convert(record.done, Fate),
            first=first,
        )


def erase_again(tidings: Tidings, *, at: datetime) -> list[str]:
    """Carry out once more every erasure that the store knows to be done; gives whom.

    For after the keys came back from an older backup. Whose erasure the store itself has lost is erased anew.
    """
    with PersonalOrders(tidings.engine) as orders:
        ordered = [told.customer for told in orders.recorded(Erasure.Created)]
        # One that was broken off, or is held since, is for ``erase`` to finish or to refuse.
        known = [
            customer
            for customer in ordered
            if (record := orders.found(Erasure, Erasure.create_id(customer))) and record.done
        ]
    for customer in known:
        place = tidings.history.find(customer)
        if place is not None:
            _forget(tidings, customer, place, at=at)
    return known


def _save(orders: PersonalOrders, record: Erasure, customer: str) -> None:
    try:
        orders.save(record)
    except IntegrityError:
        raise InputRefused("erase.at_once", customer=customer) from None


def _verified(tidings: Tidings, customer: str) -> Verified:
    """The customer's decisions made again, for the last time that they can be."""
    history = tidings.history
    rules, prepare = rules_of(history.rulebooks()), preparer(templates_of(history.documents()))
    return verify_pieces(history, rules, prepare, of_customer(history, customer), progress=lambda _: None)


def _end(tidings: Tidings, customer: str, place: tuple[int, int], *, at: datetime) -> None:
    """Let the engine know, and end what is under way."""
    if erasing.under_way(tidings.engine, *place):
        raise InputRefused("erase.under_way", customer=customer)
    if _is_told(tidings, place):
        return
    told = CustomerErased(source=_SOURCE, id=customer)
    lived = at if served_since(tidings.engine) else _clock(tidings, place[0])
    envelope = Envelope(_KIND, customer, lived, told)
    tidings.inbox.take([Told(envelope, customer, once=True)], origin=_SOURCE, at=to_micros(at))
    until = monotonic() + _PATIENCE_SECONDS
    while True:
        # Where a worker has the partition, it has the fact with it.
        with suppress(LeaseLost):
            _decide(tidings, place)
        if _is_told(tidings, place):
            break
        if monotonic() > until:
            raise InputRefused("erase.waiting", customer=customer, partition=place[0])
        sleep(_LOOK_SECONDS)
    if erasing.under_way(tidings.engine, *place):
        raise InputRefused("erase.under_way", customer=customer)


def _is_told(tidings: Tidings, place: tuple[int, int]) -> bool:
    return any(event.kind == _KIND for event in tidings.history.kept(*place))


def _clock(tidings: Tidings, partition: int) -> datetime:
    """How far the partition has been lived through, in a store that goes by no clock on a wall."""
    with reading(tidings.engine) as connection:
        query = partitions.select().where(partitions.c.partition == partition)
        return from_micros(int(connection.execute(query).mappings().one()["clock_at"]))


def _decide(tidings: Tidings, place: tuple[int, int]) -> None:
    """Take the fact, and nothing else: whatever else is due is for workers. Raises LeaseLost."""
    partition, stream = place
    in_force = tidings.in_force()
    with Journal(tidings.engine, partition) as journal:
        query = inbox.select().where(
            inbox.c.partition == partition, inbox.c.stream == stream, inbox.c.kind == _KIND
        )
        with reading(tidings.engine) as connection:
            waiting = connection.execute(query).mappings().first()
        if waiting is None:
            return
        stored = journal.load([stream])[stream]
        fact = decode_body(_KIND, waiting["body"])
        given = Input(_KIND, from_micros(waiting["occurred_at"]), 0, fact)
        taken = take(
            state_of(stored),
            given,
            clock_at=journal.clock_at,
            rules=in_force.rules,
            templates=in_force.templates,
        )
        changes = Changes(timers={stream: None})
        changes.consumed.append((waiting["occurred_at"], waiting["rank"], waiting["position"]))
        journal.append(
            changes,
            taken.events,
            stream=stream,
            head=stored.head,
            rulebook=(in_force.number, in_force.rules.digest),
            key=stored.key,
            body=waiting["body"],
        )
        journal.commit(changes)


def _forget(tidings: Tidings, customer: str, place: tuple[int, int], *, at: datetime) -> Fate:
    """Destroy the key and every copy; gives what the record of the erasure tells of it."""
    engine, (partition, stream) = tidings.engine, place
    state = state_of(Journal(engine, partition).load([stream])[stream])
    suppressed = erasing.keep_suppressed(engine, state, at=to_micros(at))
    # What is only found by the person's own addresses goes while they can be read.
    letters = [letter.number for letter in naming(tidings, customer, state)]
    Letters(engine).remove(letters)
    files = _remove_copies(
        tidings.settings.outbox, {m.id for m in tidings.ledger.messages(customer=customer)}
    )
    vault_of(engine).destroy(partition, stream)
    erasing.clean(engine, partition, stream)
    last = tidings.history.kept(partition, stream)[-1]
    return Fate(last.version, last.hash.hex(), len(letters), files, suppressed)


def _remove_copies(outbox: Path, ids: set[str]) -> int:
    """Remove what the sandbox wrote for these messages; gives how many files. Raises StoreUnusable."""
    removed = 0
    try:
        for path in outbox.glob("*/*/*") if outbox.is_dir() else ():
            if path.name.partition(".")[0] in ids:
                path.unlink()
                removed += 1
    except OSError as error:
        raise StoreUnusable("outbox.unwritable", folder=str(outbox), reason=str(error)) from error
    return removed
