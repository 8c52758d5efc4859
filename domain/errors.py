"""Broken promises of the environment and refused input, as exceptions under one root.

TidingsError
├── InputRefused     a file or document that cannot be taken; mend it and try again
├── NotFound         a name that nobody knows; ``near`` holds similar ones
├── NotCovered       a calendar does not reach so far; a newer version of it may
├── StoreUnusable    the store is missing, locked, read-only, full, foreign or of another version
├── LeaseLost        another worker owns the partition now; stop, nothing of yours was written
└── StoreCorrupt     what was read cannot be what was written; run ``tidings audit verify``

Each carries a code of the text catalogue and the values for its sentence, so that the edge can
tell it in the reader's language. Refusals of the business (no consent, capped) are not errors: they are
recorded events.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any


class TidingsError(Exception):
    """The root: catch it once, at the edge, and tell ``code`` with ``values``."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code, values)
        self.code = code
        self.values = values

    def __reduce__(self) -> tuple[Any, ...]:
        # As it would be raised: worker processes hand their errors on.
        return partial(type(self), self.code, **self.values), (), self.__dict__

    def __str__(self) -> str:
        told = ", ".join(f"{name}={value!s}" for name, value in self.values.items())
        return f"{self.code}: {told}" if told else self.code


class InputRefused(TidingsError):
    """The input names its place and what was expected; nothing of it was taken unless it says so."""


class NotFound(TidingsError):
    """Nothing has this name; offer ``near`` to the user."""

    def __init__(self, code: str, *, near: Sequence[str] = (), **values: object) -> None:
        super().__init__(code, **values)
        self.near = tuple(near)


class NotCovered(TidingsError):
    """The calendar knows nothing of that year; the values name the first and last that it knows."""


class StoreUnusable(TidingsError):
    """The store cannot be used as it is; what was committed before is safe."""


class LeaseLost(TidingsError):
    """The fence refused the transaction: stop working on this partition."""


class StoreCorrupt(TidingsError):
    """A stored record breaks a promise of the store; the values name its place."""
