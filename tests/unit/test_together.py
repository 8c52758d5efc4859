"""Work done together: everything once, what came meanwhile in one go, and nobody else's bug for anybody."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest

from domain.errors import InputRefused
from tidings.together import Together


class Work:
    """Notes what it is given; the first time it stays until ``others`` more pieces wait."""

    def __init__(self, *, others: int = 0) -> None:
        self.calls: list[list[int]] = []
        self.together = Together(self._work)
        self._others = others

    def _work(self, pieces: Sequence[int]) -> None:
        first = not self.calls
        self.calls.append(list(pieces))
        while first and self.together.waiting < self._others:
            os.sched_yield()
        if 13 in pieces:
            raise ValueError("a bug")
        if 99 in pieces:
            raise InputRefused("inbox.full", waiting=1, limit=1)


def outcomes(work: Work, pieces: Sequence[int]) -> list[type[BaseException] | None]:
    """What became of each piece, all of them brought at once."""
    with ThreadPoolExecutor(len(pieces)) as pool:
        futures = [pool.submit(work.together.do, piece) for piece in pieces]
        errors = [future.exception() for future in futures]
    return [None if error is None else type(error) for error in errors]


def test_what_comes_while_it_is_busy_is_done_in_one_go() -> None:
    work = Work(others=5)
    assert outcomes(work, range(6)) == [None] * 6
    assert [len(call) for call in work.calls] == [1, 5]
    assert sorted(chain.from_iterable(work.calls)) == list(range(6))


def test_everything_is_done_once_however_many_come() -> None:
    work = Work()
    assert outcomes(work, range(1, 9)) == [None] * 8
    assert sorted(chain.from_iterable(work.calls)) == list(range(1, 9))


def test_a_bug_is_told_to_the_piece_that_has_it() -> None:
    work = Work(others=4)
    told = outcomes(work, [1, 2, 13, 3, 4])
    assert told == [None, None, ValueError, None, None]


def test_a_full_inbox_is_told_to_all_that_came_together() -> None:
    work = Work(others=3)
    pieces = [1, 2, 3, 99]
    told = outcomes(work, pieces)
    together = next(call for call in work.calls if 99 in call)
    assert told == [InputRefused if piece in together else None for piece in pieces]


def test_after_an_error_the_next_piece_is_done() -> None:
    work = Work()
    with pytest.raises(ValueError, match="a bug"):
        work.together.do(13)
    work.together.do(1)
    assert work.calls == [[13], [1]]
