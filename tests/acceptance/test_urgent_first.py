"""Urgent messages leave first, and neither the machine's clock nor a slow provider changes a history."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.catalogue import CustomFact, Envelope, Purpose
from domain.clock import to_micros
from journeys.definition import End, EnterOnFact, Journey, Send
from stores.database import open_store
from support.bank import Bank
from support.facts import at, granted, registered
from support.notebook import Notebook
from support.scenario import envelope
from support.strategies import END, lives
from tidings.authoring import publish
from tidings.documents import Documents, shipped
from tidings.process import Tally

NEW_YEAR = at("2026-01-01 12:00")
LATER = NEW_YEAR + timedelta(days=1)
SOON = LATER + timedelta(hours=1)
PURPOSES: tuple[Purpose, ...] = ("marketing", "care", "service", "regulatory")
CLOCKS = ("tidings.process.monotonic", "tidings.leaving.monotonic")


def told_at_once(purpose: Purpose) -> Journey:
    """A fact ``x.<purpose>/1`` sends a message of this purpose."""
    return Journey(
        journey=purpose,
        version=1,
        title={"en": purpose},
        purpose=purpose,
        topic="offers",
        enter=EnterOnFact(fact=f"x.{purpose}/1"),
        steps=(
            Send(step="send", template="birthday-greeting", channels=("email",), next="end"),
            End(step="end"),
        ),
    )


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path, partitions=1)
    documents = shipped()
    engine = open_store(bank.settings.store)
    own = Documents([told_at_once(purpose) for purpose in PURPOSES], documents.templates, documents.policy)
    publish(engine, own, at=NEW_YEAR)
    engine.dispose()
    return bank


def tell(bank: Bank, purposes: Sequence[Purpose]) -> None:
    """One customer for each message; the facts happen one second after the other."""
    told: list[Envelope] = []
    for number in range(len(purposes)):
        told.append(envelope(f"c-{number}", NEW_YEAR, registered()))
        told.append(envelope(f"c-{number}", NEW_YEAR, granted()))
    for number, purpose in enumerate(purposes):
        fact = CustomFact(source="/test", id=f"own-{number}")
        told.append(Envelope(f"x.{purpose}/1", f"c-{number}", LATER + timedelta(seconds=number), fact))
    assert bank.take(told).refused == []
    bank.run(NEW_YEAR)


@contextmanager
def showing(clock: Callable[[], float]) -> Iterator[None]:
    """The worker's turns are measured by this clock."""
    with ExitStack() as stack:
        for name in CLOCKS:
            stack.enter_context(patch(name, clock))
        yield


class Stopped(Exception):
    """The process ends here."""


class Clock:
    """A machine's clock on which nothing takes time but the provider: two turns for each message."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self) -> None:
        self.now += 0.4


def test_within_a_batch_the_most_urgent_leave_first_and_equals_in_their_order(bank: Bank) -> None:
    tell(bank, ["marketing", "care", "marketing", "service", "regulatory", "care", "service"])
    notebook = Notebook()
    bank.channels = notebook.channels
    bank.run(SOON)
    order = ["regulatory", "service", "service", "care", "care", "marketing", "marketing"]
    assert [message.purpose for message in notebook.taken] == order
    instants = {purpose: [m.at for m in notebook.taken if m.purpose == purpose] for purpose in PURPOSES}
    assert all(found == sorted(found) for found in instants.values())
    assert bank.verify().findings == []


def test_a_service_message_overtakes_marketing_that_a_slow_provider_has_not_taken_yet(bank: Bank) -> None:
    purposes: list[Purpose] = ["marketing"] * 25
    tell(bank, [*purposes, "service"])
    clock = Clock()
    notebook = Notebook(clock.wait)
    bank.channels = notebook.channels
    with showing(clock):
        # A slice is one message then. The first batch makes 20 intents, each further one 1, until the 26th.
        bank.run(SOON, batch=20)
    assert len(notebook.taken) == 26
    assert [message.purpose for message in notebook.taken].index("service") == 6
    assert bank.verify().findings == []


def test_what_happens_while_marketing_waits_to_leave_is_decided_on_before_it_has_left(bank: Bank) -> None:
    tell(bank, ["marketing"] * 15)
    clock = Clock()

    def before_each() -> None:
        clock.wait()
        if clock.now < 0.5:
            fact = CustomFact(source="/test", id="urgent")
            told = [envelope("c-99", SOON, registered()), Envelope("x.service/1", "c-99", SOON, fact)]
            assert bank.take(told).accepted == 2

    notebook = Notebook(before_each)
    bank.channels = notebook.channels
    tidings = bank.tidings
    worker = tidings.worker(Tally(), batch=20)
    with showing(clock):
        worker.run(
            1, until=lambda: SOON if notebook.taken else LATER + timedelta(minutes=1), progress=lambda _: None
        )
    tidings.engine.dispose()
    assert len(notebook.taken) == 16
    assert [message.purpose for message in notebook.taken].index("service") == 1
    assert bank.sql("SELECT clock_at FROM partitions WHERE partition = 1") == [(to_micros(SOON),)]
    assert bank.verify().findings == []


def test_what_a_crash_has_left_goes_out_the_most_urgent_first(bank: Bank) -> None:
    tell(bank, ["marketing", "care", "service", "regulatory"])
    bank.channels = Notebook(stopping(Random(1), often=1.0)).channels
    with pytest.raises(Stopped):
        bank.run(SOON)
    notebook = Notebook()
    bank.channels = notebook.channels
    bank.run(SOON)
    assert [message.purpose for message in notebook.taken] == [*reversed(PURPOSES)]
    assert bank.verify().findings == []


def stopping(chance: Random, *, often: float) -> Callable[[], None]:
    """Ends the run before some of the messages."""

    def stop() -> None:
        if chance.random() < often:
            raise Stopped

    return stop


@pytest.mark.long
@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(lives(), st.integers(1, 9), st.randoms(use_true_random=False))
def test_histories_do_not_depend_on_time_or_on_stops_amid_a_hand_over(
    told: list[Envelope], batch: int, chance: Random
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        steady = Bank(Path(folder), partitions=1, name="steady")
        hurried = Bank(Path(folder), partitions=2, name="hurried")
        usual, stopped = Notebook(), Notebook(stopping(chance, often=0.1))
        steady.channels, hurried.channels = usual.channels, stopped.channels
        for bank in (steady, hurried):
            bank.take(told)
        steady.run(END)
        with showing(chance.random):
            running = True
            while running:
                with suppress(Stopped):
                    hurried.run(END, batch=batch)
                    running = False
        assert hurried.histories() == steady.histories()
        assert Counter(stopped.taken) == Counter(usual.taken)
        assert hurried.verify().findings == []
