"""Many calls, so many of them at the same time and no more."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def at_once(call: Callable[[T], Awaitable[R]], items: Sequence[T], *, limit: int) -> list[R]:
    """What the call gives for each item, in the order of the items."""
    # As many tasks as calls under way, not one for each item: memory does not grow with the batch.
    waiting = iter(enumerate(items))
    results: dict[int, R] = {}

    async def work() -> None:
        for index, item in waiting:
            results[index] = await call(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(limit, len(items))):
            group.create_task(work())
    return [results[index] for index in range(len(items))]
