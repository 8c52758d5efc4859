"""The tables. ``partition`` leads every key, so that they can be spread over several servers.

Instants are microseconds since 1970 (UTC). Partition 0 holds authored objects and what belongs to the
store as a whole; customers live in 1 and up. There is no database sequence: numbers come from ``partitions``.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()


def _table(name: str, *columns: Column[object] | Index | UniqueConstraint, clustered: bool = True) -> Table:
    """A table clustered by its primary key on SQLite, so that rows lie in the order they are read.

    Rows of more than a quarter of a page are better off beside their key.
    """
    return Table(name, metadata, *columns, sqlite_with_rowid=not clustered)


def _key(name: str, kind: type[object] = BigInteger) -> Column[object]:
    return Column(name, kind, primary_key=True, autoincrement=False, nullable=False)  # type: ignore[arg-type]


def _number(name: str, *, default: int | None = None) -> Column[object]:
    server_default = None if default is None else str(default)
    return Column(name, BigInteger, nullable=False, server_default=server_default)


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> Column[object]:
    return Column(name, Text, nullable=nullable, server_default=default)


def _instant(name: str) -> Column[object]:
    return Column(name, BigInteger, nullable=True)


def _bytes(name: str) -> Column[object]:
    return Column(name, LargeBinary, nullable=False)


partitions = _table(
    "partitions",
    _key("partition", Integer),
    _text("owner", nullable=True),
    _number("epoch", default=0),
    _number("lease_until", default=0),
    _number("last_seq", default=0),
    _number("last_stream", default=0),
    _number("last_position", default=0),
    _number("facts_taken", default=0),
    _number("clock_at", default=0),
    _number("adopted_rulebook", default=0),
    _number("adopted_stream", default=0),
    _number("removed_seq", default=0),
)
streams = _table(
    "streams",
    _key("partition", Integer),
    _key("stream"),
    _text("subject"),
    UniqueConstraint("partition", "subject"),
)
events = _table(
    "events",
    _key("partition", Integer),
    _key("seq"),
    _number("stream"),
    _number("version"),
    _number("prev"),
    _text("kind"),
    _number("occurred_at"),
    _number("recorded_at"),
    _number("cause"),
    _number("rulebook"),
    _bytes("hash"),
    _bytes("body"),
)
heads = _table(
    "heads", _key("partition", Integer), _key("stream"), _number("version"), _number("seq"), _bytes("hash")
)
snapshots = _table(
    "snapshots",
    _key("partition", Integer),
    _key("stream"),
    _number("version"),
    _text("form"),
    _bytes("state"),
    clustered=False,
)
inbox = _table(
    "inbox",
    _key("partition", Integer),
    _key("occurred_at"),
    _key("rank", SmallInteger),
    _key("position"),
    _number("stream"),
    _text("kind"),
    _bytes("body"),
)
fact_keys = _table("fact_keys", _key("partition", Integer), _key("key", LargeBinary), _bytes("digest"))
# ``reason`` and ``raw`` may name a person: they are sealed, by the key for letters of this number.
dead_letters = _table(
    "dead_letters",
    _key("partition", Integer),
    _key("number"),
    _number("refused_at"),
    _text("origin"),
    _text("place"),
    _text("code"),
    _text("reason"),
    _bytes("raw"),
    _number("sealed_by", default=0),
)
timers = _table(
    "timers",
    _key("partition", Integer),
    _key("stream"),
    _number("due_at"),
    Index("timers_by_due_at", "partition", "due_at", "stream"),
)
# ``begun`` is 0 as long as the message was certainly not given to its channel.
outbox = _table(
    "outbox",
    _key("partition", Integer),
    _key("message", Text),
    _number("stream"),
    Column("begun", SmallInteger, nullable=False),
)
calls = _table(
    "calls",
    _key("partition", Integer),
    _key("call", Text),
    _number("stream"),
    _text("endpoint"),
    _bytes("body"),
    _number("tries"),
    _number("made_at"),
    _number("due_at"),
    _number("expires_at"),
    Index("calls_by_due_at", "partition", "due_at"),
)
rulebooks = _table(
    "rulebooks", _key("partition", Integer), _key("number", Integer), _text("digest"), _bytes("body")
)
documents = _table(
    "documents",
    _key("partition", Integer),
    _key("kind", Text),
    _key("name", Text),
    _key("version", Integer),
    _text("digest"),
    _bytes("body"),
)
messages = _table(
    "messages",
    _key("partition", Integer),
    _key("id", Text),
    _number("stream"),
    _text("enrolment"),
    _text("journey"),
    _number("version"),
    _text("step"),
    _text("channel", nullable=True),
    _text("template"),
    _text("purpose"),
    _text("status"),
    _text("reason", nullable=True),
    _number("requested_at"),
    _instant("sent_at"),
    _text("provider", default=""),
    _number("tries", default=0),
    _number("in_doubt", default=0),
    _text("delivery", default=""),
    _instant("handed_at"),
    _instant("delivered_at"),
    _instant("opened_at"),
    _instant("clicked_at"),
    Index("messages_by_customer", "partition", "stream"),
    # Whoever guards journeys counts what came back of the last hours' messages, every minute.
    Index("messages_by_handing_over", "partition", "handed_at", "journey", "status", "delivery"),
)
tasks = _table(
    "tasks",
    _key("partition", Integer),
    _key("id", Text),
    _number("stream"),
    _text("journey"),
    _number("version"),
    _text("step"),
    _text("role"),
    _text("status"),
    _number("created_at"),
    _number("due_at"),
    Column("done_at", BigInteger, nullable=True),
)
passages = _table(
    "passages",
    _key("partition", Integer),
    _key("id", Text),
    _number("stream"),
    _text("journey"),
    _number("version"),
    Column("held_out", SmallInteger, nullable=False),
    _number("entered_at"),
    Column("window_days", Integer, nullable=True),
    Column("reached_days", Integer, nullable=True),
)
ways = _table(
    "ways",
    _key("partition", Integer),
    _key("enrolment", Text),
    _key("step", Text),
    _text("experiment"),
    _text("way"),
)
segments = _table(
    "segments",
    _key("partition", Integer),
    _key("stream"),
    _key("segment", Text),
    _text("class"),
    _number("since"),
)
enrolments = _table(
    "enrolments",
    _key("partition", Integer),
    _key("id", Text),
    _number("stream"),
    _text("journey"),
    _number("version"),
    _text("step"),
    _text("held"),
    _text("sent"),
    _number("since"),
)
# Who has which address, and what was said for it by whoever has it: by digests, never by the address.
contacts = _table(
    "contacts",
    _key("partition", Integer),
    _key("channel", Text),
    _key("digest", LargeBinary),
    _key("stream"),
    Index("contacts_by_customer", "partition", "stream"),
)
address_words = _table(
    "address_words",
    _key("partition", Integer),
    _key("channel", Text),
    _key("digest", LargeBinary),
    _number("said_at"),
    _number("granted"),
)
# What is shown to customers in the app: the only copy of the words, so it is no projection.
mailbox = _table(
    "mailbox",
    _key("partition", Integer),
    _key("message", Text),
    _number("stream"),
    _text("title"),
    _text("body"),
    _text("language"),
    _number("sent_at"),
    _instant("expires_at"),
    _instant("read_at"),
    Index("mailbox_by_customer", "partition", "stream", "sent_at"),
)
# Who customers are, for audiences: ``stores/profiles.py`` says what each column holds.
profiles = _table(
    "profiles",
    _key("partition", Integer),
    _key("stream"),
    _number("version"),
    _number("active"),
    _text("zone"),
    _text("language"),
    _text("region"),
    Column("born", BigInteger, nullable=True),
    Column("risk_level", BigInteger, nullable=True),
    Column("risk_until", BigInteger, nullable=True),
    _text("assets_floor", nullable=True),
    _text("assets_ceiling", nullable=True),
)
traits = _table(
    "traits",
    _key("partition", Integer),
    _key("stream"),
    _key("trait", Text),
    _key("name", Text),
    Column("day", BigInteger, nullable=True),
    _number("number"),
)
tallies = _table(
    "tallies",
    _key("partition", Integer),
    _key("stream"),
    _key("tally", Text),
    _key("name", Text),
    _number("oldest"),
    _number("newest"),
    _number("total"),
    _text("days"),
)
# The Merkle tree over the whole log, all in partition 0: its tiles (the last of each level may be partial),
# which events its leaves are (a stretch of one partition's sequence numbers each), and its signed heads.
tree_tiles = _table(
    "tree_tiles",
    _key("partition", Integer),
    _key("level", SmallInteger),
    _key("number"),
    _bytes("hashes"),
    clustered=False,
)
tree_stretches = _table(
    "tree_stretches",
    _key("partition", Integer),
    _key("first_leaf"),
    _number("of_partition"),
    _number("first_seq"),
    _number("last_seq"),
    # A proof begins with the leaf that an event is.
    Index("tree_stretches_by_event", "partition", "of_partition", "first_seq"),
)
checkpoints = _table("checkpoints", _key("partition", Integer), _key("size"), _key("made_at"), _text("note"))
projections = _table("projections", _key("partition", Integer), _key("name", Text), _number("seq"))
tracking = _table(
    "tracking", _key("partition", Integer), _key("application", Text), _number("notification_id")
)
