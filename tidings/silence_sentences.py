"""A silence as sentences of the catalogue: what happened or did not, by which rule, and how that is known."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from audit.life import Answer
from audit.unmet import Leaf
from domain.events import Value
from journeys.definition import Not
from tidings.sentences import clause
from tidings.why_sentences import chain_sentences, ruling_sentence
from tidings.wording import Wording


def answer_sentences(answer: Answer, wording: Wording, *, rules: bool = True) -> list[str]:
    """The answer in whole sentences, the reason first; the last one names the rules, if ``rules`` asks so."""
    values = _values(answer, wording)
    told = [wording.tell(_code(answer), values), *_rule(answer, values, wording)]
    told += [_leaf(leaf, wording) for leaf in answer.unmet]
    if "erased_at" in answer.values:
        told.append(wording.tell("silence.erased", values))
    if "became" in answer.values:
        told.append(wording.tell("silence.became", values))
    told.append(_basis(answer, wording))
    told += chain_sentences(answer.chain, values, wording)
    if rules and answer.rules is not None:
        told.append(ruling_sentence(answer.rules, wording))
    return told


def heading(answer: Answer, wording: Wording) -> str:
    """Which journey the answer is about."""
    code = "silence.journey" if answer.journey else "silence.journey.any"
    return wording.tell(code, {"journey": answer.journey, "version": answer.version or "-"})


def _code(answer: Answer) -> str:
    """The code of the reason's sentence, which has a form of its own for values that there are none of."""
    code, values = f"silence.{answer.reason}", answer.values
    match answer.reason:
        case "gone":
            return f"{code}.{values['how']}"
        case "not_the_day" | "moved":
            known = [name for name in ("last", "next") if f"{name}_day" in values]
            return (
                code
                if "next" in known and (len(known) == 2 or answer.reason == "moved")
                else (f"{code}.{known[0]}" if known else f"{code}.never")
            )
        case "fact_not_told" if "last_at" not in values:
            return f"{code}.never"
        case _:
            return code


def _values(answer: Answer, wording: Wording) -> dict[str, object]:
    values: dict[str, object] = {name: _shown(value) for name, value in answer.values.items()}
    values |= {"journey": answer.journey, "at": _shown(answer.at)}
    for name in ("purpose", "channel"):
        code = f"{name}.{values.get(name)}"
        if wording.has(code):
            values[name] = wording.tell(code)
    if answer.reason == "refused":
        values["why"] = wording.tell(f"silence.refused.{values['rule']}", values)
    if answer.reason in ("left", "left_before"):
        values["because"] = wording.tell(f"ended.{values['because']}")
    if wording.has(str(values.get("became"))):
        values["became"] = wording.tell(str(values["became"]))
    return values


def _rule(answer: Answer, values: Mapping[str, object], wording: Wording) -> Iterator[str]:
    """The sentence of the policy's rule that stopped a message or put it off."""
    if answer.reason in ("suppressed", "put_off"):
        yield wording.tell(f"rule.{answer.values['rule']}", values)
        if "free_at" in answer.values:
            yield wording.tell("why.too_late", values)
        if "holiday" in answer.values:
            yield wording.tell("why.holiday", values)
    if answer.reason == "not_the_day" and "rule" in answer.values:
        yield wording.tell("silence.not_the_day.rule", values)


def _leaf(leaf: Leaf, wording: Wording) -> str:
    asked = leaf.condition if leaf.wanted else Not(of=leaf.condition)
    return wording.tell("silence.leaf", {"clause": clause(asked, wording), "seen": _seen(leaf.seen, wording)})


def _seen(value: Value, wording: Wording) -> str:
    if value is None:
        return wording.tell("silence.nothing_seen")
    if isinstance(value, bool):
        return wording.tell("silence.yes" if value else "silence.no")
    return str(value)


def _basis(answer: Answer, wording: Wording) -> str:
    code = f"silence.basis.{answer.basis}"
    if answer.basis == "record":
        code += ".seq" if answer.seq else ""
    else:
        code += ".event" if answer.event else ""
    return wording.tell(code, {"event": answer.event, "seq": answer.seq})


def _shown(value: object) -> object:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    return value
