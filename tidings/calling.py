"""x"""

from collections.abc import Collection, Sequence

from domain.events import Event


def calls_of(events: Sequence[Event], stream: int, endpoints: Collection[str]) -> list[tuple[object, ...]]:
    """x"""
    return []
