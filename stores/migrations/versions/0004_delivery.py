"""What became of messages after they left, addresses, and the inbox in the app."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
_WHOLE = "partition IN (SELECT partition FROM partitions WHERE removed_seq = 0)"


def upgrade() -> None:
    for name, default in (("provider", ""), ("delivery", "")):
        op.add_column("messages", sa.Column(name, sa.Text, nullable=False, server_default=default))
    for name in ("tries", "in_doubt"):
        op.add_column("messages", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    for name in ("handed_at", "delivered_at", "opened_at", "clicked_at"):
        op.add_column("messages", sa.Column(name, sa.BigInteger, nullable=True))
    op.create_index(
        "messages_by_handing_over", "messages", ["partition", "handed_at", "journey", "status", "delivery"]
    )
    op.create_table(
        "contacts",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("channel", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("contacts_by_customer", "contacts", ["partition", "stream"])
    op.create_table(
        "address_words",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("channel", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("said_at", sa.BigInteger, nullable=False),
        sa.Column("granted", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "mailbox",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("message", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("sent_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=True),
        sa.Column("read_at", sa.BigInteger, nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_index("mailbox_by_customer", "mailbox", ["partition", "stream", "sent_at"])
    # What an earlier version left without an answer may have been handed over.
    op.add_column("outbox", sa.Column("begun", sa.SmallInteger, nullable=False, server_default="1"))
    op.create_table(
        "calls",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("call", sa.Text, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("stream", sa.BigInteger, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("tries", sa.BigInteger, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("calls_by_due_at", "calls", ["partition", "due_at"])
    # The ledger is made again from the events, which tell more than its rows did; where the first of them
    # lie in an archive only, it stays as it is.
    for table in ("messages", "tasks", "segments", "passages", "ways", "enrolments"):
        op.execute(f"DELETE FROM {table} WHERE {_WHOLE}")  # noqa: S608 - our own names
    op.execute(f"DELETE FROM projections WHERE name = 'ledger' AND {_WHOLE}")  # noqa: S608
