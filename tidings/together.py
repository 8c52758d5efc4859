"""Work that several threads bring at the same time, done together: one transaction in place of many."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

from domain.errors import TidingsError

T = TypeVar("T")


class _Brought(Generic[T]):
    """One thread's piece, and what became of it."""

    def __init__(self, piece: T) -> None:
        self.piece = piece
        self.done = False
        self.error: Exception | None = None


class Together(Generic[T]):
    """Gives pieces to ``work``: all that came while it was busy, at once."""

    def __init__(self, work: Callable[[Sequence[T]], None]) -> None:
        self._work = work
        self._turn = Lock()
        self._lock = Lock()
        self._waiting: list[_Brought[T]] = []

    @property
    def waiting(self) -> int:
        """How many pieces have been brought and not begun."""
        return len(self._waiting)

    def do(self, piece: T) -> None:
        """Return once the piece is done, with whichever others. Raises what its work raises."""
        own = _Brought(piece)
        with self._lock:
            self._waiting.append(own)
        with self._turn:
            # Whoever had the turn before may have taken this piece along.
            if not own.done:
                with self._lock:
                    brought, self._waiting = self._waiting, []
                self._do(brought)
        if own.error is not None:
            raise own.error
        if not own.done:
            raise RuntimeError("whoever took this piece along was stopped half-way")

    def _do(self, brought: Sequence[_Brought[T]]) -> None:
        try:
            self._work([each.piece for each in brought])
        except TidingsError as error:
            _tell(brought, error)
        except Exception as error:
            # A bug that one piece brings to light must not be told to all the others.
            if len(brought) == 1:
                _tell(brought, error)
            else:
                for each in brought:
                    self._do([each])
        for each in brought:
            each.done = True


def _tell(brought: Sequence[_Brought[T]], error: Exception) -> None:
    for each in brought:
        each.error = error
