"""What somebody who writes to the database can do to a record: entries, and whole chains made to fit."""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from domain.chain import genesis, link
from support.bank import Bank, copy_store
from support.facts import at, balance, granted, noon, opened, paid, registered
from support.postgres import copied_database
from support.scenario import envelope
from tidings.memory import Room

# Partition 1 is the only one with customers: the victim, who also has a snapshot, another one, and one with a
# message under way.
VICTIM, OTHER, WAITING = "c-1", "c-2", "c-3"
PARTITION = 1


class Entry(NamedTuple):
    """A row of the events, with the digest of the rulebook that it cites."""

    seq: int
    stream: int
    version: int
    prev: int
    kind: str
    occurred_at: int
    recorded_at: int
    cause: int
    rulebook: int
    hash: bytes
    body: bytes
    digest: str


class Place(NamedTuple):
    """Where something was done: partition, number in it, customer and version; None where none is named."""

    partition: int
    seq: int | None = None
    subject: str | None = None
    version: int | None = None


def lived(folder: Path, *, url: str | None = None) -> Bank:
    """A year of three customers, and a worker that died while a message was under way."""
    bank = Bank(folder, partitions=1, url=url)
    told = []
    for number, name in enumerate((VICTIM, OTHER, WAITING), 1):
        told += [
            envelope(name, at("2026-01-01 12:00"), registered()),
            envelope(name, at("2026-01-01 12:00"), granted()),
            envelope(name, at("2026-01-02 12:00"), opened(matures_on=date(2026, 7, 1))),
            envelope(name, noon(date(2026, 1, 10)), paid(f"-{number}0.00")),
            envelope(name, noon(date(2026, 1, 31)), balance("100")),
        ]
    assert bank.take(told).refused == []
    bank.run(at("2026-12-31 12:00"), room=Room(10, events_between_snapshots=1))
    later = opened(holding="d-2", matures_on=date(2027, 1, 20))
    assert bank.take([envelope(WAITING, at("2027-01-02 12:00"), later)]).accepted == 1
    # What is due on the 13th is committed with its intent, and nobody hears the answer.
    died = next(n for n in range(1, 9) if _dies(bank, n))
    assert died
    return bank


def _dies(bank: Bank, commits: int) -> bool:
    bank.run_killed(at("2027-01-31 12:00"), commits=commits)
    return bool(bank.sql("SELECT message FROM outbox"))


def copied(bank: Bank, folder: Path) -> Bank:
    """A copy that may be harmed."""
    if bank.settings.store.startswith("sqlite"):
        copy = Bank(folder, partitions=1, name="copy")
        copy_store(bank, copy)
        return copy
    return Bank(folder, partitions=1, url=copied_database(bank.settings.store), name="copy")


def stream_of(bank: Bank, subject: str) -> int:
    return int(
        bank.sql("SELECT stream FROM streams WHERE partition = ? AND subject = ?", PARTITION, subject)[0][0]
    )


def entries(bank: Bank, subject: str = VICTIM) -> list[Entry]:
    """A customer's history, in the order of its numbers."""
    rows = bank.sql(
        "SELECT e.seq, e.stream, e.version, e.prev, e.kind, e.occurred_at, e.recorded_at, e.cause, "
        "e.rulebook, e.hash, e.body, r.digest FROM events e JOIN rulebooks r ON r.number = e.rulebook "
        "WHERE e.partition = ? AND e.stream = ? ORDER BY e.seq",
        *(PARTITION, stream_of(bank, subject)),
    )
    return [Entry(*row)._replace(body=bytes(row[10]), hash=bytes(row[9])) for row in rows]


def entry(bank: Bank, kind: str, *, subject: str = VICTIM, nth: int = 0) -> Entry:
    """One of the customer's entries of a kind."""
    return [found for found in entries(bank, subject) if found.kind == kind][nth]


def place(found: Entry, subject: str = VICTIM) -> Place:
    return Place(PARTITION, found.seq, subject, found.version)


def put(bank: Bank, seq: int, **columns: object) -> None:
    """Overwrite columns of one entry."""
    told = ", ".join(f"{name} = ?" for name in columns)
    statement = f"UPDATE events SET {told} WHERE partition = ? AND seq = ?"
    bank.sql(statement, *columns.values(), PARTITION, seq)


def remove(bank: Bank, seq: int) -> None:
    bank.sql("DELETE FROM events WHERE partition = ? AND seq = ?", PARTITION, seq)


def swap(bank: Bank, first: int, second: int) -> None:
    """Let two entries change their numbers."""
    for old, new in ((first, -1), (second, first), (-1, second)):
        bank.sql("UPDATE events SET seq = ? WHERE partition = ? AND seq = ?", new, PARTITION, old)


def add(bank: Bank, made: Entry) -> None:
    """An entry more."""
    columns = made._fields[:-1]
    bank.sql(
        f"INSERT INTO events (partition, {', '.join(columns)}) VALUES (?, {', '.join('?' for _ in columns)})",
        *(PARTITION, *made[:-1]),
    )


def last_seq(bank: Bank) -> int:
    return int(bank.sql("SELECT max(seq) FROM events WHERE partition = ?", PARTITION)[0][0])


def end_at(bank: Bank, seq: int) -> None:
    """The partition's own row says that it ends here."""
    bank.sql("UPDATE partitions SET last_seq = ? WHERE partition = ?", seq, PARTITION)


def chained(previous: bytes, found: Entry) -> bytes:
    return link(
        previous,
        version=found.version,
        kind=found.kind,
        occurred_at=found.occurred_at,
        recorded_at=found.recorded_at,
        cause=found.cause,
        rulebook=found.digest,
        body=found.body,
    )


def make_fit(bank: Bank, subject: str = VICTIM) -> None:
    """Chain a history anew, as it is now: versions, causes, back-pointers, hashes and the head."""
    found = entries(bank, subject)
    versions = {one.version: version for version, one in enumerate(found, 1)}
    previous, before = genesis(subject), 0
    for version, one in enumerate(found, 1):
        new = one._replace(version=version, cause=versions.get(one.cause, 0), prev=before)
        new = new._replace(hash=chained(previous, new))
        if new != one:
            put(bank, one.seq, version=version, cause=new.cause, prev=before, hash=new.hash)
        previous, before = new.hash, one.seq
    bank.sql(
        "UPDATE heads SET version = ?, seq = ?, hash = ? WHERE partition = ? AND stream = ?",
        *(len(found), before, previous, PARTITION, stream_of(bank, subject)),
    )


def rewrite(bank: Bank, found: Entry, old: bytes, new: bytes, *, subject: str = VICTIM) -> Place:
    """Alter one body and everything that is chained after it, as somebody with the whole program would."""
    assert old in found.body
    put(bank, found.seq, body=found.body.replace(old, new))
    make_fit(bank, subject)
    return place(found, subject)


def close_gaps(bank: Bank) -> None:
    """Number the partition anew without gaps, and let its row, heads and histories say so too."""
    numbered = "SELECT seq AS old, row_number() OVER (ORDER BY seq) AS new FROM events WHERE partition = ?"
    bank.sql(
        f"UPDATE events SET seq = -new FROM ({numbered}) numbered WHERE partition = ? AND seq = old",
        *(PARTITION, PARTITION),
    )
    bank.sql("UPDATE events SET seq = -seq WHERE partition = ? AND seq < 0", PARTITION)
    end_at(bank, last_seq(bank))
    for (subject,) in bank.sql("SELECT subject FROM streams WHERE partition = ?", PARTITION):
        if entries(bank, subject):
            make_fit(bank, subject)


def take_out(bank: Bank, found: Sequence[Entry], *, facts: int = 0) -> None:
    """Remove entries so that nothing else tells of them; ``facts`` of them were told to us."""
    for one in found:
        remove(bank, one.seq)
    count_facts(bank, -facts)
    close_gaps(bank)


def count_facts(bank: Bank, more: int) -> None:
    """Let every count of the partition's facts say so many more."""
    for count in ("facts_taken", "last_position"):
        bank.sql(f"UPDATE partitions SET {count} = {count} + ? WHERE partition = ?", more, PARTITION)


Attack = Callable[[Bank], Place]
