"""One customer's passage through one version of a journey."""

from datetime import datetime

from msgspec import Struct

from domain.events import Values
from domain.ids import derived_id


class Held(Struct, frozen=True, gc=False):
    """A paused journey holds the customer up: they go on at ``next``, and would have at ``since`` (UTC)."""

    next: str
    since: datetime


class Enrolment(Struct, frozen=True):
    """Where the customer stands: at ``step``, which has been entered as often as ``visits`` says.

    ``entry`` holds what the steps may refer to, ``work`` is the id of the task or call that is waited for.
    ``sent`` are the steps and templates of the messages asked for so far, ``before`` those of them that were
    asked for before the last change of version.
    ``outcomes`` holds for each step that asked for a message what became of the last one: its status, as the
    events of its life name it (``events.status_of``).
    """

    journey: str
    version: int
    key: str
    entry: Values
    step: str = ""
    visits: dict[str, int] = {}
    work: str = ""
    depth: int = 0
    held: Held | None = None
    sent: tuple[tuple[str, str], ...] = ()
    before: tuple[tuple[str, str], ...] = ()
    outcomes: dict[str, str] = {}


def enrolment_id(subject: str, *, journey: str, key: str) -> str:
    """The id of the only enrolment that (customer, journey, key) can have."""
    return derived_id("enrolment", subject, journey, key)


def work_id(enrolment: str, *, step: str, visit: int) -> str:
    """The id of the one message or task that this visit of a step may make."""
    return derived_id("work", enrolment, step, str(visit))


def waiting_timer(enrolment: str) -> str:
    """The name of the wake-up that ends an enrolment's wait; a customer can be at one step only."""
    return f"wait:{enrolment}"


def expiry_timer(enrolment: str) -> str:
    """The name of the wake-up that ends an enrolment which has lasted too long."""
    return f"expire:{enrolment}"


def task_timer(task: str) -> str:
    """The name of the wake-up that brings a task which is not done to somebody else."""
    return f"task:{task}"
