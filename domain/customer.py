"""A customer's state: a fold of their events (``domain.fold``), never the truth itself."""

from datetime import date, datetime

from msgspec import Struct

from domain.assets import Balances
from domain.caps import Counts
from domain.catalogue import ChannelName
from domain.clock import EPOCH
from domain.consent import Word
from domain.enrolment import Enrolment
from domain.goal import Watches
from domain.holding import Holding
from domain.message import Message
from domain.tally import Tally


class Timer(Struct, frozen=True, gc=False):
    """A pending wake-up; ``version`` is that of the event that set it, which becomes the firing's cause."""

    due_at: datetime
    version: int


class Entry(Struct, frozen=True, gc=False):
    """When a journey was last entered (aware UTC), and by which keys of late, each with its instant."""

    at: datetime
    keys: dict[str, datetime]


class OpenTask(Struct, frozen=True, gc=False):
    """A task that goes to ``escalate_to`` unless it is done in time."""

    enrolment: str
    escalate_to: str


class Customer(Struct, frozen=True):
    """Everything that decisions may look at. ``clock_at`` never goes back (aware UTC).

    ``since`` is the day of the earliest registration, where the customer lived then.
    ``opted_out`` are addresses whose owner wanted no more of them, ``devices`` those that were registered,
    the newest last. ``segments`` is the class that the customer is in, by segment.
    ``fact_days`` counts facts by kind, ``message_days`` messages by how they ended (``message.ended_as``),
    each on the day that the customer's calendar showed then.
    """

    subject: str
    version: int = 0
    clock_at: datetime = EPOCH
    registered_at: datetime | None = None
    since: date | None = None
    gone: bool = False
    birth_date: date | None = None
    given_name: str = ""
    family_name: str = ""
    language: str = "en"
    zone: str = "UTC"
    region: str = ""
    addresses: dict[ChannelName, str] = {}
    dead_addresses: tuple[str, ...] = ()
    opted_out: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    consents: tuple[Word, ...] = ()
    care_holds: tuple[str, ...] = ()
    risk_level: int | None = None
    risk_valid_until: date | None = None
    holdings: dict[str, Holding] = {}
    balances: Balances = {}
    last_at: dict[str, datetime] = {}
    timers: dict[str, Timer] = {}
    enrolments: dict[str, Enrolment] = {}
    entered: dict[str, Entry] = {}
    watches: Watches = {}
    messages: dict[str, Message] = {}
    sends: Counts = {}
    profile: dict[str, str | int | bool] = {}
    tasks: dict[str, OpenTask] = {}
    segments: dict[str, str] = {}
    fact_days: dict[str, Tally] = {}
    message_days: dict[str, Tally] = {}

    def address(self, channel: ChannelName) -> str | None:
        """Where messages by this channel go; None where it is not known. The inbox is the customer's own."""
        return self.subject if channel == "inbox" else self.addresses.get(channel)

    @property
    def next_timer(self) -> tuple[datetime, str] | None:
        """The wake-up that is due first; names decide between equal instants."""
        if not self.timers:
            return None
        return min([(timer.due_at, name) for name, timer in self.timers.items()])

    @property
    def active(self) -> bool:
        """Whether anything may be decided about this customer at all."""
        return self.registered_at is not None and not self.gone
