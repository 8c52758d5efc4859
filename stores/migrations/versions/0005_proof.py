"""The Merkle tree over the log. Histories are chained and sealed otherwise than before: see decision 0025."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def _key(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False, nullable=False)


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def upgrade() -> None:
    op.add_column("dead_letters", sa.Column("sealed_by", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "tree_tiles",
        _key("partition", sa.Integer),
        _key("level", sa.SmallInteger),
        _key("number", sa.BigInteger),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "tree_stretches",
        _key("partition", sa.Integer),
        _key("first_leaf", sa.BigInteger),
        _number("of_partition"),
        _number("first_seq"),
        _number("last_seq"),
        sqlite_with_rowid=False,
    )
    place = ["partition", "of_partition", "first_seq"]
    op.create_index("tree_stretches_by_event", "tree_stretches", place)
    op.create_table(
        "checkpoints",
        _key("partition", sa.Integer),
        _key("size", sa.BigInteger),
        _key("made_at", sa.BigInteger),
        sa.Column("note", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
