"""tidings why: why a message was or was not sent, and why there was none."""

from datetime import date
from pathlib import Path
from typing import get_args

import click
from msgspec import to_builtins
from msgspec.structs import replace

from audit.replay import replay
from audit.ruling import RecordedShelf
from audit.silence import Question
from audit.why import Explanation, explain
from domain.catalogue import Purpose
from domain.errors import NotFound
from domain.events import JUDGED
from stores.archive.history import ArchivedHistory
from tidings.authoring import rules_of
from tidings.bootstrap import Tidings, bootstrap
from tidings.cli.moments import Day
from tidings.cli.person import person_options, seen_in
from tidings.cli.reading import AnyHistory, Source, archive_option, opened
from tidings.cli.silence import tell_silence
from tidings.cli.terminal import Terminal, common_options
from tidings.sanctions import Person
from tidings.why_sentences import sentences as sentences

PURPOSES: tuple[str, ...] = get_args(Purpose)


@click.command("why")
@click.argument("message_id", required=False)
@click.option("--customer", metavar="ID", help="Why this customer heard nothing, or what they heard.")
@click.option("--journey", metavar="NAME", help="Of this journey only.")
@click.option("--template", metavar="NAME", help="Of messages of this template only.")
@click.option("--purpose", type=click.Choice(PURPOSES), help="Of journeys of this purpose only.")
@click.option("--on", "on", type=Day(), help="On this day of the customer's calendar.")
@click.option("--from", "first", type=Day(), help="From this day on, with --to.")
@click.option("--to", "last", type=Day(), help="Up to this day, with --from.")
@archive_option
@person_options
@common_options
def command(
    terminal: Terminal,
    message_id: str | None,
    customer: str | None,
    journey: str | None,
    template: str | None,
    purpose: Purpose | None,
    on: date | None,
    first: date | None,
    last: date | None,
    archive: Path | None,
    person: Person,
) -> None:
    """Why a message was or was not sent, or why a customer got none: causes, rule, values, sentences."""
    first, last = on or first, on or last
    asked_of_silence = [customer, journey, template, purpose, first, last]
    if (message_id is None) == (customer is None) or (message_id and any(asked_of_silence)):
        raise click.UsageError("give a message, or --customer with --on (or --from and --to)")
    source = Source.named(terminal, archive)
    if customer is not None:
        if first is None or last is None or last < first:
            raise click.UsageError("name the days: --on DAY, or --from DAY and a --to DAY that is no earlier")
        question = Question(first, last, journey, template, purpose)
        with opened(source) as history:
            if history.find(customer) is not None:
                seen_in(terminal, person, source, "why", [customer])
            tell_silence(terminal, history, customer, question)
        return
    with opened(source) as history:
        if isinstance(history, ArchivedHistory):
            explanation = archived_explanation_of(history, message_id or "")
        else:
            explanation = explanation_of(bootstrap(terminal.settings), message_id or "", history)
    seen_in(terminal, person, source, "why", [explanation.customer])
    told = to_builtins(explanation)
    told["sentences"] = sentences(explanation, terminal.wording)
    terminal.json(told)
    for sentence in sentences(explanation, terminal.wording):
        terminal.write(sentence)
    terminal.write()
    rows = [
        (link.version, link.occurred_at.strftime("%Y-%m-%d %H:%MZ"), link.kind, _values(link.values))
        for link in explanation.chain
    ]
    terminal.table("why", ["version", "occurred_at", "kind", "what"], rows)


def explanation_of(tidings: Tidings, message: str, history: AnyHistory | None = None) -> Explanation:
    """Why this message was or was not sent, from ``history`` if it is not the store's own alone.

    ``message`` is its id, or a beginning of it that no other has. Raises NotFound for an unknown id.
    """
    named = tidings.ledger.named(message)
    if len(named) > 1:
        raise NotFound("message.ambiguous", message=message, near=[found for found, _ in named])
    if not named:
        raise NotFound("message.unknown", message=message, near=tidings.ledger.similar(message))
    ((found, subject),) = named
    return _explained(history or tidings.history, subject, found)


def archived_explanation_of(history: ArchivedHistory, message: str) -> Explanation:
    """Why this message was or was not sent, from an archive alone. Raises NotFound for an unknown id."""
    subject = history.customer_of(message)
    if subject is None:
        raise NotFound("message.unknown", message=message)
    return _explained(history, subject, message)


def _explained(history: AnyHistory, subject: str, message: str) -> Explanation:
    """The explanation with the rules that the last word on the message was decided by."""
    replayed = replay(history, subject)
    explanation = explain(subject, replayed.history, message)
    shelf = RecordedShelf(history, replayed.partition, replayed.stored, rules_of(history.rulebooks()))
    judged = [link.version for link in explanation.chain if link.kind in JUDGED]
    book = shelf.of(judged[-1] if judged else explanation.chain[-1].version)
    return replace(explanation, rules=book.ruling if book else None)


def _values(values: dict[str, object]) -> str:
    hidden = ("source", "id", "message", "enrolment")
    return "; ".join(
        f"{name} {value}"
        for name, value in values.items()
        if value not in (None, "", {}) and name not in hidden
    )
