"""Stores whose rulebook names another version of the engine than the one that is put in force now."""

from msgspec.structs import replace

from journeys.rulebook import canonical, digest
from support.bank import Bank
from tidings.authoring import decode_rulebook


def name_engine(bank: Bank, version: int) -> None:
    """Let the newest rulebook name this version, as if a program of its time had published it."""
    number, body = bank.sql("SELECT number, body FROM rulebooks ORDER BY number DESC LIMIT 1")[0]
    named = replace(decode_rulebook(body), engine=version)
    bank.sql(
        "UPDATE rulebooks SET body = ?, digest = ? WHERE number = ?", canonical(named), digest(named), number
    )
