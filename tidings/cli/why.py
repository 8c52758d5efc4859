"""tidings why: why a message was or was not sent."""

from pathlib import Path

import click
from msgspec import to_builtins

from audit.replay import replay
from audit.why import Explanation, Link, explain
from domain.errors import NotFound
from domain.ports import History
from stores.archive.history import ArchivedHistory
from tidings.bootstrap import Tidings, bootstrap
from tidings.cli.reading import Source, archive_option, opened
from tidings.cli.terminal import Terminal, common_options
from tidings.wording import Wording


@click.command("why")
@click.argument("message_id")
@archive_option
@common_options
def command(terminal: Terminal, message_id: str, archive: Path | None) -> None:
    """The chain of causes of one message, the rule and the values that decided, in sentences."""
    with opened(Source.named(terminal, archive)) as history:
        if isinstance(history, ArchivedHistory):
            explanation = archived_explanation_of(history, message_id)
        else:
            explanation = explanation_of(bootstrap(terminal.settings), message_id, history)
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


def explanation_of(tidings: Tidings, message: str, history: History | None = None) -> Explanation:
    """Why this message was or was not sent, from ``history`` if it is not the store's own alone.

    Raises NotFound for an unknown id.
    """
    subject = tidings.ledger.customer_of(message)
    if subject is None:
        raise NotFound("message.unknown", message=message, near=tidings.ledger.similar(message))
    return explain(subject, replay(history or tidings.history, subject).history, message)


def archived_explanation_of(history: ArchivedHistory, message: str) -> Explanation:
    """Why this message was or was not sent, from an archive alone. Raises NotFound for an unknown id."""
    subject = history.customer_of(message)
    if subject is None:
        raise NotFound("message.unknown", message=message)
    return explain(subject, replay(history, subject).history, message)


def sentences(explanation: Explanation, wording: Wording) -> list[str]:
    """The explanation as sentences of one language: what became of it, by which rule, from which cause."""
    values = {
        **to_builtins(explanation),
        "purpose": wording.tell(f"purpose.{explanation.purpose}"),
        "channel": wording.tell(f"channel.{explanation.channel}") if explanation.channel else "",
    }
    told = [wording.tell(f"why.{explanation.status}", values), *_last_word(explanation, wording)]
    if explanation.rule is not None:
        told.append(wording.tell(_rule(explanation), {**explanation.values, **values}))
        if "free_at" in explanation.values:
            told.append(wording.tell("why.too_late", explanation.values))
        if "holiday" in explanation.values:
            told.append(wording.tell("why.holiday", explanation.values))
    if explanation.consent is not None:
        told.append(_consent(explanation.consent, wording))
    for link in _without_detours(explanation.chain):
        at = link.occurred_at.strftime("%Y-%m-%d %H:%M UTC")
        told += _cause(link, wording, {**values, **link.values, "at": at})
    for link in explanation.returns:
        at = link.occurred_at.strftime("%Y-%m-%d %H:%M UTC")
        code = f"why.return.{link.kind.partition('/')[0]}"
        told.append(wording.tell(code, {**link.values, "at": at}))
    return told


def _last_word(explanation: Explanation, wording: Wording) -> list[str]:
    """Why a message that was handed over ended otherwise than accepted, and what follows from that."""
    if explanation.status not in ("rejected", "unknown"):
        return []
    answer = explanation.chain[-1].values
    told = [
        wording.tell("why.reason", {"reason": answer["reason"], "provider": answer.get("provider") or "-"})
    ]
    if refused := answer.get("refused"):
        told.append(wording.tell(f"why.refused.{refused}"))
    return told


def _rule(explanation: Explanation) -> str:
    """The code of the rule's sentence; what may have been taken must not be told as not taken."""
    tries = [link for link in explanation.chain if link.kind.startswith("message.postponed/")]
    in_doubt = explanation.rule == "postponed" and tries and tries[-1].values.get("in_doubt")
    return f"rule.{explanation.rule}" + (".in_doubt" if in_doubt else "")


def _consent(word: Link, wording: Wording) -> str:
    """The customer's word that decided, with as much of how it was given as was told."""
    names = ("provenance", "text_version", "captured_through", "captured_by")
    given = [
        wording.tell(f"consent.{name}", {"value": value})
        for name in names
        if (value := word.values.get(name))
    ]
    at = word.occurred_at.strftime("%Y-%m-%d %H:%M UTC")
    values = {"at": at, "event": word.version, "given": wording.tell("consent.and").join(given)}
    return wording.tell(f"why.{word.kind.partition('/')[0]}", values)


def _without_detours(chain: list[Link]) -> list[Link]:
    """The chain without wake-ups that found nothing to do and set the next: they led nowhere."""
    kept: list[Link] = []
    for link in chain:
        if link.values.get("reason") == "not_silent" and kept:
            kept.pop()
        else:
            kept.append(link)
    return kept


def _cause(link: Link, wording: Wording, values: dict[str, object]) -> list[str]:
    """The sentence of one link; none for the steps of the message itself, which were told before."""
    kind = link.kind.partition("/")[0]
    code = f"why.cause.{kind}"
    if "sort" in link.values:
        code += f".{link.values['sort']}"
    if link.values.get("in_doubt"):
        code += ".in_doubt"
    if wording.has(code):
        rule = str(link.values.get("rule", ""))
        values = {**values, "rule": wording.tell(rule) if wording.has(rule) else rule}
        reason = str(link.values.get("reason"))
        told_as = f"{'wait' if kind == 'wait.ended' else 'plan'}.{reason}"
        # A provider's reason is a code of its own.
        reason = wording.tell(told_as) if wording.has(told_as) else reason
        return [wording.tell(code, {**values, "reason": reason})]
    if kind.partition(".")[0] in ("message", "branch"):
        return []
    return [wording.tell("why.cause.fact", {**values, "kind": kind})]


def _values(values: dict[str, object]) -> str:
    hidden = ("source", "id", "message", "enrolment")
    return "; ".join(
        f"{name} {value}"
        for name, value in values.items()
        if value not in (None, "", {}) and name not in hidden
    )
