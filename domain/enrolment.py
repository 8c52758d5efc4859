"""One customer's passage through one version of a journey."""

from msgspec import Struct

from domain.events import Values
from domain.ids import derived_id


class Enrolment(Struct, frozen=True):
    """Where the customer stands: at ``step``, which has been entered as often as ``visits`` says."""

    journey: str
    version: int
    key: str
    entry: Values
    step: str = ""
    visits: dict[str, int] = {}


def enrolment_id(subject: str, *, journey: str, key: str) -> str:
    """The id of the only enrolment that (customer, journey, key) can have."""
    return derived_id("enrolment", subject, journey, key)


def work_id(enrolment: str, *, step: str, visit: int) -> str:
    """The id of the one message or task that this visit of a step may make."""
    return derived_id("work", enrolment, step, str(visit))


def waiting_timer(enrolment: str) -> str:
    """The name of the wake-up that ends an enrolment's wait; a customer can be at one step only."""
    return f"wait:{enrolment}"
