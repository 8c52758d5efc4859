"""Mappings that are never changed, only made anew."""

from typing import TypeVar

V = TypeVar("V")


def without(mapping: dict[str, V], name: str) -> dict[str, V]:
    """The mapping without this name; the very same one where it is not in it."""
    if name not in mapping:
        return mapping
    return {key: value for key, value in mapping.items() if key != name}
