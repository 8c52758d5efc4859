"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "partitions",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("owner", sa.Text, nullable=True),
        sa.Column("epoch", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("lease_until", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("last_seq", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("last_stream", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("last_position", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("facts_taken", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("clock_at", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("adopted_rulebook", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("adopted_stream", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("removed_seq", sa.BigInteger, nullable=False, server_default="0"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "streams",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.UniqueConstraint("partition", "subject"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "events",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("prev", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("cause", sa.BigInteger, nullable=False),
        sa.Column("rulebook", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "heads",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "snapshots",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("form", sa.Text, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "inbox",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("rank", sa.SmallInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fact_keys",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("key", sa.LargeBinary, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dead_letters",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("refused_at", sa.BigInteger, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "timers",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("timers_by_due_at", "timers", ["partition", "due_at", "stream"])
    op.create_table(
        "outbox",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("message", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rulebooks",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "documents",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "messages",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("id", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, nullable=False),
        sa.Column("enrolment", sa.Text, nullable=False),
        sa.Column("journey", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=True),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("requested_at", sa.BigInteger, nullable=False),
        sa.Column("sent_at", sa.BigInteger, nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_index("messages_by_customer", "messages", ["partition", "stream"])
    op.create_table(
        "tasks",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("id", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, nullable=False),
        sa.Column("journey", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("done_at", sa.BigInteger, nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "passages",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("id", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, nullable=False),
        sa.Column("journey", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("held_out", sa.SmallInteger, nullable=False),
        sa.Column("entered_at", sa.BigInteger, nullable=False),
        sa.Column("window_days", sa.Integer, nullable=True),
        sa.Column("reached_days", sa.Integer, nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ways",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("enrolment", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("step", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("experiment", sa.Text, nullable=False),
        sa.Column("way", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "segments",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("segment", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("class", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "enrolments",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("id", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, nullable=False),
        sa.Column("journey", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("held", sa.Text, nullable=False),
        sa.Column("sent", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "profiles",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("active", sa.BigInteger, nullable=False),
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("born", sa.BigInteger, nullable=True),
        sa.Column("risk_level", sa.BigInteger, nullable=True),
        sa.Column("risk_until", sa.BigInteger, nullable=True),
        sa.Column("assets_floor", sa.Text, nullable=True),
        sa.Column("assets_ceiling", sa.Text, nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "traits",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("trait", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("day", sa.BigInteger, nullable=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tallies",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("tally", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("oldest", sa.BigInteger, nullable=False),
        sa.Column("newest", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("days", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "projections",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tracking",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("application", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("notification_id", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
