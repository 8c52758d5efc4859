"""Tokens that providers lend for a while: fetched once for all who wait, renewed once when refused."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from msgspec import Struct

from channels.calling import Clock

_DENIED_FOR = timedelta(seconds=5)


class Lent(Struct, frozen=True):
    """A token, and until when (aware UTC) it is worth using."""

    token: str
    until: datetime


class NotLent(Struct, frozen=True):
    """No token could be had, so nothing can be asked of the provider; ``after`` is what it said to wait."""

    reason: str
    after: timedelta | None = None


class Borrowed:
    """The token in use. ``pause`` is how long after one renewal a refused token is not renewed again.

    A clock that is wrong, or a key withdrawn, has every token refused: asking for a new one with each
    message would have the provider refuse to lend any.
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[Lent | NotLent]], *, clock: Clock, pause: timedelta
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._pause = pause
        self._lent: Lent | None = None
        self._denied: NotLent | None = None
        self._denied_at: datetime | None = None
        self._renewed_at: datetime | None = None
        self._fetching: asyncio.Task[Lent | NotLent] | None = None

    async def current(self) -> Lent | NotLent:
        """The token in use, fetched where there is none or its time is over.

        That none could be had holds for some seconds: a thousand messages must not wait for it one by one.
        """
        now = self._clock()
        if self._lent is not None and now < self._lent.until:
            return self._lent
        if (
            self._denied is not None
            and self._denied_at is not None
            and abs(now - self._denied_at) < _DENIED_FOR
        ):
            return self._denied
        return await self._fetched()

    async def instead_of(self, refused: str) -> Lent | NotLent | None:
        """Another token than the one that the provider refused; None where it is too soon for one."""
        if self._lent is not None and self._lent.token != refused:
            return self._lent
        if not self._is_fetching():
            now = self._clock()
            if self._renewed_at is not None and abs(now - self._renewed_at) < self._pause:
                return None
            self._renewed_at = now
        return await self._fetched()

    async def close(self) -> None:
        """Stop a fetch that is under way in this loop; the token is kept."""
        fetching, self._fetching = self._fetching, None
        if fetching is not None and fetching.get_loop() is asyncio.get_running_loop():
            fetching.cancel()
            await asyncio.wait([fetching])

    async def _fetched(self) -> Lent | NotLent:
        if not self._is_fetching():
            self._fetching = asyncio.get_running_loop().create_task(self._fetch_and_keep())
        assert self._fetching is not None  # noqa: S101 - made just now
        # One who stops waiting must not stop the fetch of the others.
        return await asyncio.shield(self._fetching)

    async def _fetch_and_keep(self) -> Lent | NotLent:
        got = await self._fetch()
        self._lent, self._denied = (got, None) if isinstance(got, Lent) else (None, got)
        self._denied_at = self._clock()
        return got

    def _is_fetching(self) -> bool:
        fetching = self._fetching
        return (
            fetching is not None and not fetching.done() and fetching.get_loop() is asyncio.get_running_loop()
        )
