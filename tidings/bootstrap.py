"""Builds everything, in reading order; the only caller of adapters' constructors."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct
from sqlalchemy import Engine

from audit.following import Prepare
from channels.base import Channel, everywhere
from channels.sandbox import Sandbox
from domain.catalogue import ChannelName
from stores.archive.history import ArchivedHistory, Faults
from stores.archive.joined import JoinedHistory
from stores.archive.manifest import load
from stores.archive.writing import check_same
from stores.audience import Audience
from stores.database import create_store, open_store
from stores.experiments import Experiments
from stores.history import StoredHistory
from stores.inbox import Inbox
from stores.projections import Ledger
from stores.vault import Vault, vault_of
from tidings import authoring, sending
from tidings.adopting import to_look_at
from tidings.approving import begin
from tidings.authoring import InForce, Templates
from tidings.documents import shipped
from tidings.memory import Room
from tidings.process import BATCH, Tally, Worker
from tidings.sanctions import Person, release
from tidings.settings import Settings

CUSTOMER_PARTITIONS = 8


class Tidings(Struct, frozen=True):
    """An open store with all that works on it."""

    settings: Settings
    engine: Engine
    channels: Mapping[ChannelName, Channel]
    endpoints: frozenset[str] = frozenset()

    @property
    def history(self) -> StoredHistory:
        """What was recorded."""
        return StoredHistory(self.engine)

    @property
    def ledger(self) -> Ledger:
        """Messages and tasks."""
        return Ledger(self.engine)

    @property
    def experiments(self) -> Experiments:
        """Groups of customers and their goals, with the ledger brought up to date."""
        self.ledger.catch_up()
        return Experiments(self.engine)

    @property
    def audience(self) -> Audience:
        """Whom conditions are true of."""
        return Audience(self.engine)

    @property
    def inbox(self) -> Inbox:
        """The way in for facts."""
        return Inbox(self.engine, limit=self.settings.waiting_limit)

    def in_force(self) -> InForce:
        """What the engine runs on now."""
        return authoring.in_force(self.engine)

    def to_look_at(self) -> int:
        """How many customers have yet to be looked at for the rulebook in force, at most."""
        current = self.in_force()
        partitions = list(self.history.customer_partitions())
        return to_look_at(self.engine, partitions, number=current.number, rules=current.rules)

    def worker(self, tally: Tally, *, batch: int = BATCH, room: Room | None = None) -> Worker:
        """A worker that counts into ``tally``, takes ``batch`` facts at a time and has this ``room``."""
        in_force = self.in_force()
        return Worker(
            self.engine,
            in_force.number,
            in_force.rules,
            in_force.templates,
            self.channels,
            tally,
            batch,
            room or Room(self.settings.customers_in_memory),
            endpoints=self.endpoints,
        )


def bootstrap(
    settings: Settings,
    *,
    engine: Engine | None = None,
    channels: Mapping[ChannelName, Channel] | None = None,
    endpoints: Collection[str] = (),
    read_only: bool = False,
) -> Tidings:
    """Open the store that the settings name. Raises StoreUnusable; channels default to the sandbox.

    ``engine`` is the store where it is open already. ``endpoints`` are those that journeys' webhooks may
    call; calls of others are recorded and never leave. With ``read_only`` nothing can be written to an SQLite
    file through it.
    """
    sandbox = Sandbox(settings.outbox)
    engine = engine or open_store(settings.store, read_only=read_only)
    return Tidings(settings, engine, channels or everywhere(sandbox), frozenset(endpoints))


def initialise(
    settings: Settings, *, partitions: int = CUSTOMER_PARTITIONS, alone: Person | None = None
) -> tuple[bool, list[tuple[str, str, int]]]:
    """Make the store if need be and publish the shipped documents.

    ``alone`` is who chooses that one person may change it; else changes need two. Gives whether the store was
    made now, and kind, name and version of what was newly published. Raises InputRefused where ``alone`` is
    asked of a store that needs two.
    """
    engine, made = create_store(settings.store, customer_partitions=partitions)
    try:
        begin(engine, alone=alone, at=wall_clock())
        return made, authoring.publish(engine, shipped(), at=wall_clock(), sanction=release())
    finally:
        engine.dispose()


def archived(folder: Path, *, keys: Vault | None = None, faults: Faults | None = None) -> ArchivedHistory:
    """The archive in a folder, read without a store. Raises StoreUnusable, StoreCorrupt.

    Without ``keys`` nothing personal in it is opened. Faults of its files of events raise StoreCorrupt when
    they are come upon, or are noted in ``faults``.
    """
    return ArchivedHistory(folder, load(folder), keys=keys, faults=faults)


def joined(tidings: Tidings, folder: Path, *, faults: Faults | None = None) -> JoinedHistory:
    """The store's history with what was removed into the archive in ``folder``; ``faults`` as above."""
    manifest = load(folder)
    check_same(tidings.history, folder, manifest)
    archive = ArchivedHistory(folder, manifest, keys=vault_of(tidings.engine), faults=faults)
    return JoinedHistory(archive, tidings.history)


def preparer(templates: Templates) -> Prepare:
    """The last decision on a message as audit makes it again."""
    return lambda customer, message, rules: sending.prepare(customer, message, rules, templates)[0]


def wall_clock() -> datetime:
    """Now, aware UTC; the one place where time is fetched rather than given."""
    return datetime.now(UTC)
