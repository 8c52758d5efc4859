"""tidings replay: a customer's history and state as of an instant."""

from datetime import datetime
from pathlib import Path

import click
from msgspec import to_builtins

from audit.replay import Replayed, replay
from audit.why import telling
from domain.consent import Word
from domain.customer import Customer
from domain.errors import NotFound
from domain.tally import by_day
from tidings.cli.reading import Source, archive_option, opened
from tidings.cli.terminal import Instant, Terminal, common_options


@click.command("replay")
@click.argument("customer")
@click.option("--as-of", type=Instant(), help="What was known then (default: now).")
@archive_option
@common_options
def command(terminal: Terminal, customer: str, as_of: datetime | None, archive: Path | None) -> None:
    """Everything that happened to a customer and was decided about them, and the state that it makes."""
    with opened(Source.named(terminal, archive)) as history:
        try:
            replayed = replay(history, customer, as_of=as_of)
        except NotFound:
            near = history.similar_subjects(customer)
            raise NotFound("customer.unknown", customer=customer, near=near) from None
    terminal.json(
        {
            "customer": customer,
            "as_of": as_of,
            "events": [to_builtins(event) for event in replayed.history],
            "state": _state(replayed.customer),
        }
    )
    _show(terminal, replayed)


def _state(customer: Customer) -> dict[str, object]:
    """The state with its counts by day written out."""
    told: dict[str, object] = to_builtins(customer)
    for name, tallies in (("fact_days", customer.fact_days), ("message_days", customer.message_days)):
        told[name] = {kind: to_builtins(by_day(tally)) for kind, tally in tallies.items()}
    return told


def _show(terminal: Terminal, replayed: Replayed) -> None:
    rows = [
        (
            event.version,
            event.occurred_at.strftime("%Y-%m-%d %H:%MZ"),
            event.kind,
            event.cause or "",
            "; ".join(f"{name} {value}" for name, value in telling(event).items() if _telling(name, value)),
        )
        for event in replayed.history
    ]
    terminal.table("replay", ["version", "occurred_at", "kind", "cause", "what"], rows)
    customer = replayed.customer
    state: list[tuple[str, object]] = [
        ("zone", customer.zone),
        ("language", customer.language),
        ("channels", ", ".join(sorted(customer.addresses))),
        ("consents", ", ".join(_word(w) for w in customer.consents)),
        ("care_holds", ", ".join(customer.care_holds)),
        ("holdings", ", ".join(sorted(customer.holdings))),
        ("enrolments", ", ".join(f"{e.journey} @ {e.step}" for e in customer.enrolments.values())),
        ("timers", ", ".join(f"{n} {t.due_at:%Y-%m-%d %H:%MZ}" for n, t in customer.timers.items())),
    ]
    terminal.write()
    wording = terminal.wording
    told = [(wording.tell(f"replay.{name}"), value) for name, value in state if value]
    terminal.table("replay", ["state", "value"], told)


def _telling(name: str, value: object) -> bool:
    return value not in (None, "", {}) and name not in ("source", "id")


def _word(word: Word) -> str:
    """Yes or no to what, and the event that says how it was given."""
    sign = "+" if word.granted else "-"
    return f"{sign}{word.purpose}/{word.channel}/{word.topic} ({word.version})"
