"""Journeys that change while customers are in the middle of them, as tests order it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from domain.catalogue import CustomFact, Envelope
from domain.codec import decode_body
from domain.events import Body
from journeys.definition import EnterOnFact, Goal, Journey, Send, State, Step
from support.bank import PUBLISHED_AT, Bank
from tidings.authoring import in_force, publish
from tidings.changing import Plan, approve, plan, set_state, withdraw
from tidings.documents import Documents, shipped

_GREETING = next(t for t in shipped().templates if t.template == "birthday-greeting")
TEMPLATES = [replace(_GREETING, template=f"t-{letter}") for letter in "abcd"]


class Recorded(Struct, frozen=True):
    """One event of a customer's history; ``at`` is recorded time in microseconds since 1970."""

    kind: str
    at: int
    body: Body


def own(*steps: Step, version: int = 1, **given: object) -> Journey:
    """A service journey that the fact x.ask/1 leads into."""
    values: dict[str, object] = {
        "journey": "own",
        "version": version,
        "title": {"en": "Own"},
        "purpose": "service",
        "topic": "greetings",
        "enter": EnterOnFact(fact="x.ask/1"),
        "goal": Goal(fact="x.done/1"),
        "steps": steps,
        **given,
    }
    return Journey(**values)  # type: ignore[arg-type]


def send(step: str, template: str, following: str, **given: int) -> Send:
    return Send(step=step, template=template, channels=("email",), next=following, **given)


def asked(moment: datetime, name: str = "ask", *, subject: str = "c-1") -> Envelope:
    """The fact that leads into the journey."""
    return Envelope("x.ask/1", subject, moment, CustomFact(source="/test", id=name))


def done(moment: datetime, *, subject: str = "c-1") -> Envelope:
    """The fact that is the journey's goal."""
    return Envelope("x.done/1", subject, moment, CustomFact(source="/test", id="done"))


def put_in_force(bank: Bank, *journeys: Journey) -> None:
    """Publish these journeys with the templates that they may use."""
    tidings = bank.tidings
    publish(tidings.engine, Documents(list(journeys), TEMPLATES), at=PUBLISHED_AT)
    tidings.engine.dispose()


def planned(
    bank: Bank, to: int, *, mapping: Mapping[str, str] | None = None, ends: Sequence[str] = ()
) -> Plan:
    """The preview of a migration of the journey."""
    tidings = bank.tidings
    rules, inside = tidings.in_force().rules, tidings.ledger.inside("own")
    found = plan(rules, "own", to, inside, mapping=mapping or {}, ends=ends)
    tidings.engine.dispose()
    return found


def migrate(
    bank: Bank, to: int, *, mapping: Mapping[str, str] | None = None, ends: Sequence[str] = ()
) -> bool:
    """Approve the migration that the preview shows; gives whether it is new."""
    found = planned(bank, to, mapping=mapping, ends=ends)
    tidings = bank.tidings
    new = approve(tidings.engine, found, found.digest, at=PUBLISHED_AT)
    tidings.engine.dispose()
    return new


def order(bank: Bank, state: State) -> bool:
    """Pause, resume or stop the journey."""
    tidings = bank.tidings
    changed = set_state(tidings.engine, "own", state, at=PUBLISHED_AT)
    tidings.engine.dispose()
    return changed


def take_back(bank: Bank, template: str, version: int | None = None) -> list[int]:
    """Withdraw a template; gives the versions that are withdrawn now."""
    tidings = bank.tidings
    withdrawn, _ = withdraw(tidings.engine, template, version, at=PUBLISHED_AT)
    tidings.engine.dispose()
    return withdrawn


def rulebook_number(bank: Bank) -> int:
    tidings = bank.tidings
    number = in_force(tidings.engine).number
    tidings.engine.dispose()
    return number


def recorded(bank: Bank, *kinds: str, subject: str = "c-1") -> list[Recorded]:
    """What was recorded of a customer, of these kinds."""
    lines = bank.histories()[subject]
    return [Recorded(kind, at, decode_body(kind, body)) for kind, _, at, _, body, _ in lines if kind in kinds]


def said(bank: Bank) -> list[tuple[str, str, str | None]]:
    """Template, status and reason of every message of the journey, as they were asked for."""
    return [(m.template, m.status, m.reason) for m in bank.ledger() if m.journey == "own"]


def instant(moment: datetime) -> int:
    """Microseconds since 1970, as the store has it."""
    return int(moment.timestamp() * 1_000_000)
