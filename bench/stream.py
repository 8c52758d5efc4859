"""A bank that goes on: facts come in at a steady rate by the wall clock, each noted when it came.

The feeding runs in a process of its own; its clock is the machine's monotonic one, which processes of one
machine share.
"""

from collections.abc import Iterator
from decimal import Decimal
from multiprocessing.connection import Connection
from time import monotonic, sleep

from msgspec import Struct
from msgspec.structs import replace

from domain.catalogue import (
    ConsentGranted,
    CustomerRegistered,
    CustomFact,
    Envelope,
    Purpose,
    TransactionPosted,
)
from domain.clock import to_micros
from domain.errors import InputRefused
from journeys.definition import End, EnterOnFact, Journey, Send
from stores.database import connect
from stores.inbox import Told
from tidings.authoring import publish
from tidings.bootstrap import bootstrap, wall_clock
from tidings.documents import Documents, shipped
from tidings.settings import Settings

TICK_SECONDS = 0.05
SPEAKING_SHARE = 0.2
_SPEAKING_EVERY = 5
_SOURCE = "/bench"


class Feed(Struct, frozen=True):
    """What to tell: ``rate`` facts each second for ``seconds``; ids begin with ``name``.

    ``limit`` is how many facts may wait. ``customers`` take turns; their number shares no factor with five,
    so that each of them has speaking facts.
    """

    url: str
    name: str
    rate: float
    seconds: float
    limit: int
    customers: int


class Fed(Struct):
    """What was told: ``came_at`` and ``whom`` of each speaking fact that was taken, in order."""

    offered: int
    taken: int
    refused: int
    refused_chunks: int
    most_waiting: int
    whom: list[int]
    came_at: list[float]


def prepare(url: str, customers: int) -> None:
    """Publish two journeys that send at once, and register everybody with marketing consent."""
    engine = connect(url)
    documents = shipped()
    journeys = [_speaking("service"), _speaking("marketing")]
    # It is measured at any hour of the real day, so nothing may be put off.
    awake = replace(documents.policy, version=documents.policy.version + 1, quiet_hours=(), caps=())
    publish(engine, Documents(journeys, documents.templates, awake), at=wall_clock())
    engine.dispose()
    tidings = bootstrap(Settings(url))
    told = [Told(fact, "bench") for number in range(customers) for fact in _registered(number)]
    if tidings.inbox.take(told, origin="bench", at=to_micros(wall_clock())).refused:
        raise AssertionError("customers were refused")
    tidings.engine.dispose()


def _speaking(purpose: Purpose) -> Journey:
    """A fact ``x.<purpose>/1`` sends an e-mail of this purpose."""
    return Journey(
        journey=f"bench-{purpose}",
        version=1,
        title={"en": purpose},
        purpose=purpose,
        topic="bench",
        enter=EnterOnFact(fact=f"x.{purpose}/1"),
        steps=(
            Send(step="send", template="birthday-greeting", channels=("email",), next="end"),
            End(step="end"),
        ),
    )


def _registered(number: int) -> Iterator[Envelope]:
    at, subject = wall_clock(), f"C{number}"
    person = CustomerRegistered(
        source=_SOURCE, id=f"r-{number}", given_name="Jana", language="en", zone="UTC", email=address(number)
    )
    granted = ConsentGranted(source=_SOURCE, id=f"c-{number}", provenance="mobile app")
    yield Envelope("customer.registered/1", subject, at, person)
    yield Envelope("consent.granted/1", subject, at, granted)


def address(customer: int) -> str:
    """A customer's e-mail address, by which a message is known again."""
    return f"{customer}@bench.example"


def speaking(name: str, *, customer: int, purpose: Purpose) -> Told:
    """A fact that happens now and leads to a message at once."""
    fact = CustomFact(source=_SOURCE, id=name)
    return Told(Envelope(f"x.{purpose}/1", f"C{customer}", wall_clock(), fact), "bench")


def _silent(name: str, *, customer: int) -> Told:
    fact = TransactionPosted(source=_SOURCE, id=name, account="a", amount=Decimal(-1))
    return Told(Envelope("transaction.posted/1", f"C{customer}", wall_clock(), fact), "bench")


def feed(what: Feed, answers: Connection) -> None:
    """Tell the facts by the clock, a chunk for each tick; what is refused is dropped, and counted.

    A fact came when its tick was due, however late its chunk could be given: a queue before the inbox counts.
    """
    tidings = bootstrap(Settings(what.url, waiting_limit=what.limit))
    inbox, fed = tidings.inbox, Fed(0, 0, 0, 0, 0, [], [])
    began = monotonic()
    answers.send("ready")
    for tick in range(1, int(what.seconds / TICK_SECONDS) + 1):
        due = began + tick * TICK_SECONDS
        sleep(max(0.0, due - monotonic()))
        numbers = range(fed.offered, int(what.rate * tick * TICK_SECONDS))
        fed.offered = numbers.stop
        chunk = [_told(what, number) for number in numbers]
        try:
            fed.taken += inbox.take(chunk, origin="bench", at=to_micros(wall_clock())).accepted
        except InputRefused as refusal:
            fed.refused += len(chunk)
            fed.refused_chunks += 1
            fed.most_waiting = max(fed.most_waiting, int(str(refusal.values["waiting"])))
            continue
        for number in numbers:
            if _speaks(number):
                fed.whom.append(number % what.customers)
                fed.came_at.append(due)
    answers.send(fed)
    tidings.engine.dispose()


def _told(what: Feed, number: int) -> Told:
    name, customer = f"{what.name}-{number}", number % what.customers
    if _speaks(number):
        return speaking(name, customer=customer, purpose="service")
    return _silent(name, customer=customer)


def _speaks(number: int) -> bool:
    return number % _SPEAKING_EVERY == 0
