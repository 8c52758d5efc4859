"""The worker that goes on for ever: everything due by the clock on the wall, again and again.

It decides as of now, however long something has been due, so that nothing leaves at night because the
evening was missed. It can be killed at any moment: the next one goes on where the record ends.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from traceback import extract_tb

from domain.errors import InputRefused, LeaseLost, StoreUnusable
from scheduler.sweeps import Sweep, Sweeps
from stores.calls import Calls
from stores.due import due_partitions, rulebook_in_force
from stores.tree import StoredTree
from stores.wall_clock import note_served
from tidings import sending
from tidings.authoring import check_engine
from tidings.bootstrap import Tidings
from tidings.calling import Courier
from tidings.guarding import watch
from tidings.process import Tally, Worker
from tidings.providers import Ways
from tidings.publication import publish
from tidings.retention import sweep
from tidings.sealing import Sealer
from tidings.signers import assured_keys

log = logging.getLogger("tidings.worker")
# How soon an idle worker looks again, and how long it rests when its store cannot be used.
LOOK_SECONDS = 0.2
_REST_SECONDS = 5.0
_PARTITION_RESTS = timedelta(minutes=1)
_NEVER = datetime.min.replace(tzinfo=UTC)
_CALLS_EVERY = timedelta(seconds=1)
_LEDGER_EVERY = timedelta(seconds=10)
_GUARD_EVERY = timedelta(minutes=1)
_RETENTION_EVERY = timedelta(hours=6)
# Hosts that work on one store need not agree on the time to the second.
_AHEAD = timedelta(minutes=5)


def begin(tidings: Tidings, ways: Ways, now: datetime) -> None:
    """Give the store to the clock on the wall, which shows ``now`` (aware UTC).

    Raises InputRefused where the store's own clock is ahead: whatever comes would be decided on as of then,
    as told too late. Raises StoreUnusable where a newer program has put in force what this one cannot decide.
    """
    check_engine(tidings.engine)
    clock = tidings.audience.clock()
    if clock > now + _AHEAD:
        store = tidings.settings.shown_store
        raise InputRefused("serve.clock_ahead", store=store, clock=f"{clock:%Y-%m-%d %H:%MZ}")
    if ways.are_real:
        note_served(tidings.engine, now)


class Serving:
    """One worker of a store, on its own thread or as its own process."""

    def __init__(self, tidings: Tidings, *, clock: Callable[[], datetime]) -> None:
        """``clock`` is the one on the wall (aware UTC); ``tally`` counts what was done."""
        self._tidings = tidings
        self._clock = clock
        self.tally = Tally()
        self._partitions = list(tidings.history.customer_partitions())
        self._worker: Worker | None = None
        self._resting: dict[int, datetime] = {}

    def work(self, stop: Event) -> None:
        """Until told to stop. A store that cannot be used now is tried again."""
        with asyncio.Runner() as runner:
            try:
                while not stop.is_set():
                    try:
                        busy = self.step(runner)
                    except StoreUnusable as error:
                        if error.code == "store.newer_engine":
                            # It would be tried again for ever: another program must serve this store now.
                            raise
                        log.warning("the store cannot be used: %s", error)
                        stop.wait(_REST_SECONDS)
                        continue
                    if not busy:
                        stop.wait(LOOK_SECONDS)
            finally:
                runner.run(sending.close(self._tidings.channels))

    def step(self, runner: asyncio.Runner) -> bool:
        """Work off what is due now, of every partition that no other worker has; False for nothing.

        One that fails by a bug, or by a record that is damaged, rests for a minute; the others go on.
        """
        number = rulebook_in_force(self._tidings.engine)
        due = due_partitions(self._tidings.engine, self._partitions, now=self._clock(), rulebook=number)
        busy = False
        for partition in due:
            if self._resting.get(partition, _NEVER) > self._clock():
                continue
            try:
                self._in_force(number).run(
                    partition,
                    until=self._clock,
                    live=True,
                    runner=runner,
                    progress=lambda _: None,
                )
                busy = True
            except LeaseLost:
                # Another worker has it, or took it over from us: what is due is theirs.
                continue
            except StoreUnusable:
                raise
            except Exception as error:
                if isinstance(error, InputRefused) and error.code == "run.rules_changed":
                    # Another worker knew newer rules; the next look finds them too.
                    return True
                # The place, and no more: an error's text may hold what it happened to.
                place = " < ".join(f"{at.name}:{at.lineno}" for at in extract_tb(error.__traceback__)[:-6:-1])
                told = "partition %s failed and is tried again in a minute: %s at %s"
                log.error(told, partition, getattr(error, "code", type(error).__name__), place)
                self._resting[partition] = self._clock() + _PARTITION_RESTS
        return busy

    def _in_force(self, number: int) -> Worker:
        """The worker with the rules in force, which may have been published a moment ago."""
        if self._worker is None or self._worker.rulebook_number != number:
            self._worker = self._tidings.worker(self.tally)
        return self._worker


class Working:
    """Work on a thread of its own, as long as the context lasts; what is under way is finished."""

    def __init__(self, work: Callable[[Event], None], *, failed: Callable[[], None]) -> None:
        """``work`` goes on until the event is set; ``failed`` is called where it breaks. Leaving raises."""
        self._work = work
        self._failed = failed
        self._stop = Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="worker")

    def __enter__(self) -> "Working":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._work(self._stop)
        except BaseException as error:
            # Who only hears and decides nothing must not seem well.
            self._error = error
            self._failed()


def sweeps_of(tidings: Tidings, ways: Ways, *, clock: Callable[[], datetime]) -> Sweeps:
    """What recurs while a process serves: calls that are due, the ledger, the guard, and retention."""
    courier = Courier(Calls(tidings.engine), tidings.inbox, ways.webhooks, clock=clock)
    sweeps = [
        Sweep("calls", _CALLS_EVERY, courier.deliver),
        Sweep("ledger", _LEDGER_EVERY, tidings.ledger.catch_up),
        Sweep("guard", _GUARD_EVERY, lambda: _guard(tidings, ways, clock())),
        Sweep("retention", _RETENTION_EVERY, lambda: sweep(tidings, clock())),
    ]
    if ways.file.audit.every:
        sweeps.append(Sweep("seal", ways.file.audit.every, Publishing(tidings, ways, clock=clock).seal))
    return Sweeps(sweeps)


class Publishing:
    """Seals and signs the log's tree, and gives it to whom the settings name; what failed, the next time."""

    def __init__(self, tidings: Tidings, ways: Ways, *, clock: Callable[[], datetime]) -> None:
        self._tidings = tidings
        self._ways = ways
        self._clock = clock
        self._given = ""

    def seal(self) -> None:
        """One turn. Nothing new is nothing to give, but for the first turn of a process."""
        wanted, tidings = self._ways.file.audit, self._tidings
        settings = replace(tidings.settings, origin=wanted.origin or tidings.settings.origin)
        # Read each time: a key that was made meanwhile signs at once.
        keys = assured_keys(settings, tidings.engine, clock=self._clock)
        note = Sealer(tidings.engine, keys, clock=self._clock).seal().checkpoint.note
        if note != self._given:
            publish(StoredTree(tidings.engine), wanted, self._ways.mailer(), at=self._clock())
            self._given = note


def _guard(tidings: Tidings, ways: Ways, now: datetime) -> None:
    for alarm in watch(tidings, now, ways.file.guard):
        log.warning("journey %s %s: %s", alarm.journey, alarm.level, alarm.reason)
