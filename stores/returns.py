"""How many messages of each journey left within a time, and how many of them came back."""

from msgspec import Struct
from sqlalchemy import Connection, case, func, or_, select

from stores.schema import messages


class Returned(Struct, frozen=True):
    """Of so many messages that left, so many bounced and so many recipients complained."""

    sends: int
    bounced: int
    complained: int


def returned(
    connection: Connection, partitions: list[int], *, after: int, upto: int, journey: str | None = None
) -> dict[str, Returned]:
    """By journey, of what was handed over after one instant and up to another (microseconds since 1970)."""
    counted = [
        func.sum(case((messages.c.delivery == word, 1), else_=0)) for word in ("bounced", "complained")
    ]
    # What was put off or refused for the message's own sake never came to the address.
    left = or_(messages.c.status.in_(("accepted", "unknown")), messages.c.delivery != "")
    query = (
        select(messages.c.journey, func.count(), *counted)
        .where(messages.c.handed_at > after, messages.c.handed_at <= upto, left)
        .group_by(messages.c.journey)
    )
    if journey is not None:
        query = query.where(messages.c.journey == journey)
    found: dict[str, Returned] = {}
    for partition in partitions:
        for name, *numbers in connection.execute(query.where(messages.c.partition == partition)):
            known = found.get(name, Returned(0, 0, 0))
            sends, bounced, complained = map(int, numbers)
            found[name] = Returned(
                known.sends + sends, known.bounced + bounced, known.complained + complained
            )
    return found
