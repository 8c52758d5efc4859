"""Stores whose rulebook names another version of the engine than the one that is put in force now."""

from unittest.mock import patch

from msgspec.structs import replace

from journeys.rulebook import canonical, digest
from support.bank import PUBLISHED_AT, Bank
from tidings import authoring
from tidings.authoring import decode_rulebook
from tidings.documents import Documents


def publish_again(bank: Bank) -> list[tuple[str, str, int]]:
    """No document is published, by a program that has the newest engine; gives what is in force now."""
    opened = bank.tidings
    new = authoring.publish(opened.engine, Documents([], []), at=PUBLISHED_AT)
    opened.engine.dispose()
    return new


def name_engine(bank: Bank, version: int) -> None:
    """Let a program whose newest engine is this version publish, as it was before or will be after ours."""
    made = authoring._rulebook
    with (
        patch.object(authoring, "ENGINE_VERSION", version),
        patch.object(authoring, "_rulebook", lambda versions: replace(made(versions), engine=version)),
    ):
        publish_again(bank)


def alter_engine(bank: Bank, version: int) -> None:
    """Let every rulebook name this version under its number, as somebody who writes to the database would."""
    for number, body in bank.sql("SELECT number, body FROM rulebooks"):
        named = replace(decode_rulebook(body), engine=version)
        statement = "UPDATE rulebooks SET body = ?, digest = ? WHERE number = ?"
        bank.sql(statement, canonical(named), digest(named), number)
