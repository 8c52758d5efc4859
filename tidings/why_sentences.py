"""A message's fate as sentences of the catalogue: what became of it, by which rule, from which causes."""

from collections.abc import Mapping, Sequence

from msgspec import to_builtins

from audit.ruling import Ruling
from audit.why import Explanation, Link
from domain.catalogue import fact_type
from tidings.wording import Wording


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
    if explanation.rules is not None:
        told.append(ruling_sentence(explanation.rules, wording))
    told += chain_sentences(explanation.chain, values, wording)
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


def without_detours(chain: Sequence[Link]) -> list[Link]:
    """The chain without wake-ups that found nothing to do and set the next: they led nowhere."""
    kept: list[Link] = []
    for link in chain:
        if link.values.get("reason") == "not_silent" and kept:
            kept.pop()
        else:
            kept.append(link)
    return kept


def cause_sentences(link: Link, wording: Wording, values: dict[str, object]) -> list[str]:
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
    if fact_type(link.kind) is None:
        return []
    return [wording.tell("why.cause.fact", {**values, "kind": kind})]


def chain_sentences(chain: Sequence[Link], values: Mapping[str, object], wording: Wording) -> list[str]:
    """The chain of causes, the first cause first; ``values`` are those that its sentences may use besides."""
    told: list[str] = []
    for link in without_detours(chain):
        at = link.occurred_at.strftime("%Y-%m-%d %H:%M UTC")
        told += cause_sentences(link, wording, {**values, **link.values, "at": at})
    return told


def ruling_sentence(ruling: Ruling, wording: Wording) -> str:
    """Under which rules it was decided."""
    names = {name: getattr(ruling, name) for name in Ruling.__struct_fields__}
    return wording.tell("silence.rules", names | {"digest": ruling.digest[:12]})
