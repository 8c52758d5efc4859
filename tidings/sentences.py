"""Conditions and entries as sentences of the catalogue: compliance reads what the engine decides by."""

from collections.abc import Iterable, Sequence
from typing import assert_never

from journeys.definition import (
    TEXT_ATTRIBUTES,
    All,
    Any,
    Assets,
    AssetsGrew,
    Attribute,
    CareHeld,
    Condition,
    Consented,
    DaysSince,
    Enter,
    Entered,
    EnterOnBirthday,
    EnterOnFact,
    EnterOnMaturity,
    EnterOnSilence,
    EntryValue,
    Holds,
    Not,
    Profile,
)
from tidings.wording import Wording


def entry_sentence(enter: Enter, wording: Wording) -> str:
    """When somebody enters, as a whole sentence."""
    match enter:
        case EnterOnBirthday(at=at):
            return wording.tell(f"enter.birthday.{enter.leap_day}", {"at": at})
        case EnterOnMaturity(at=at):
            offsets = _listed([_offset(days, wording) for days in enter.offsets], "and", wording)
            kinds = _either("contract", enter.kinds, wording)
            return wording.tell("enter.maturity", {"at": at, "offsets": offsets, "kinds": kinds})
        case EnterOnFact(fact=fact, when=None):
            return wording.tell("enter.fact", {"fact": fact})
        case EnterOnFact(fact=fact, when=condition):
            assert condition is not None  # noqa: S101 - the case above
            return wording.tell("enter.fact.when", {"fact": fact, "condition": clause(condition, wording)})
        case EnterOnSilence(of=fact, at=at):
            values = {"fact": fact, "at": at, "days": _count(enter.days, "day", wording)}
            return wording.tell("enter.silence", values)
        case _:
            assert_never(enter)


def clause(condition: Condition, wording: Wording) -> str:
    """What must be true of the customer, as a clause to stand after "if"."""
    return _clause(condition, wording, negated=False, nested=False)


def _clause(condition: Condition, wording: Wording, *, negated: bool, nested: bool) -> str:
    """The clause, or its opposite; of several parts in brackets where it stands among others."""
    match condition:
        case Not(of=part):
            return _clause(part, wording, negated=not negated, nested=nested)
        case All(of=(part,)) | Any(of=(part,)):
            return _clause(part, wording, negated=negated, nested=nested)
        case All(of=parts) | Any(of=parts):
            name = "all" if isinstance(condition, All) else "any"
            if not parts:
                return wording.tell(_code(f"{name}.empty", negated=negated))
            told = [_clause(part, wording, negated=False, nested=True) for part in parts]
            joined = wording.tell(f"condition.{name}.joined").join(told)
            if negated:
                return wording.tell(f"condition.{name}.not", {"parts": joined})
            return wording.tell("condition.brackets", {"parts": joined}) if nested else joined
        case Holds():
            return _holds(condition, wording, negated=negated)
        case _:
            name, values = _leaf(condition, wording)
            return wording.tell(_code(name, negated=negated), values)


def _leaf(
    condition: EntryValue
    | AssetsGrew
    | Attribute
    | Consented
    | DaysSince
    | Entered
    | Assets
    | CareHeld
    | Profile,
    wording: Wording,
) -> tuple[str, dict[str, object]]:
    """The code of a condition without parts, and the values of its sentence."""
    match condition:
        case EntryValue() | Profile():
            return _value(condition, wording)
        case AssetsGrew(over_percent=percent, months=months):
            return "assets_grew", {"percent": percent, "months": _count(months, "month", wording)}
        case Attribute(name=name) if name in TEXT_ATTRIBUTES:
            return f"attribute.{name}", {"values": _listed(condition.one_of or (), "or_value", wording)}
        case Attribute(name=name, at_least=least, at_most=most):
            unit = "year" if name == "age" else ""
            return f"attribute.{name}", {"bounds": _bounds(least, most, wording, unit=unit)}
        case Consented(purpose=purpose, channel=channel, topic=topic):
            said, way = wording.tell(f"purpose.{purpose}"), wording.tell(f"channel.{channel}")
            return "consented", {"purpose": said, "channel": way, "topic": topic}
        case DaysSince(fact=fact, at_least=least, at_most=most):
            return "days_since", {"fact": fact, "bounds": _bounds(least, most, wording, unit="day")}
        case Entered(journey=journey, within_days=None):
            return "entered", {"journey": journey}
        case Entered(journey=journey, within_days=days):
            return "entered.within", {"journey": journey, "days": _count(days, "day", wording)}
        case Assets(at_least=least, at_most=most):
            return "assets", {"bounds": _bounds(least, most, wording)}
        case CareHeld(reasons=None):
            return "care_held", {}
        case CareHeld(reasons=reasons):
            return "care_held.for", {"reasons": _either("hold", reasons or (), wording)}
        case _:
            assert_never(condition)


def _value(condition: EntryValue | Profile, wording: Wording) -> tuple[str, dict[str, object]]:
    code = "entry_value" if isinstance(condition, EntryValue) else "profile"
    if condition.one_of is not None:
        values = _listed(condition.one_of, "or_value", wording)
        return f"{code}.one_of", {"name": condition.name, "values": values}
    bounds = _bounds(condition.at_least, condition.at_most, wording)
    return code, {"name": condition.name, "bounds": bounds}


def _holds(condition: Holds, wording: Wording, *, negated: bool) -> str:
    """How many contracts: a number is always known, so the opposite of one bound is the other one."""
    least, most = condition.at_least, condition.at_most
    if least is None and most is None:
        least = 1
    if negated and least is not None and least > 0 and most is None:
        most, least, negated = least - 1, None, False
    elif negated and least is None and most is not None:
        least, most, negated = most + 1, None, False
    number = (
        wording.tell("count.contract.none")
        if most == 0 and not least
        else _bounds(least, most, wording, unit="contract")
    )
    values = {"number": number, "kinds": _either("contract", condition.kinds, wording)}
    name = "holds"
    if condition.matures_within_days is not None:
        name = "holds.within"
        values["days"] = _count(condition.matures_within_days, "day", wording)
    return wording.tell(_code(name, negated=negated), values)


def _code(name: str, *, negated: bool) -> str:
    return f"condition.{name}.not" if negated else f"condition.{name}"


def _offset(days: int, wording: Wording) -> str:
    if days == 0:
        return wording.tell("offset.on")
    when = "before" if days < 0 else "after"
    return wording.tell(f"offset.{when}", {"days": _count(abs(days), "day", wording)})


def _bounds(least: object, most: object, wording: Wording, *, unit: str = "") -> str:
    if least is None and most is None:
        return wording.tell("bounds.any")
    if most is None:
        return wording.tell("bounds.at_least", {"least": _count(least, unit, wording)})
    told = _count(most, unit, wording)
    if least is None:
        return wording.tell("bounds.at_most", {"most": told})
    if least == most:
        return wording.tell("bounds.exactly", {"most": told})
    return wording.tell("bounds.between", {"least": least, "most": told})


def _count(number: object, unit: str, wording: Wording) -> str:
    if not unit:
        return str(number)
    return wording.tell(f"count.{unit}.one" if number == 1 else f"count.{unit}", {"number": number})


def _either(family: str, names: Iterable[str], wording: Wording) -> str:
    return _listed([wording.tell(f"{family}.{name}") for name in names], "or", wording)


def _listed(parts: Sequence[str], last: str, wording: Wording) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return wording.tell("list.comma").join(parts[:-1]) + wording.tell(f"list.{last}") + parts[-1]
