"""Conditions as sentences of the catalogue: compliance reads what the engine decides by."""

from collections.abc import Iterable, Sequence
from typing import assert_never

from journeys.conditions import number_bounds
from journeys.definition import (
    TEXT_ATTRIBUTES,
    All,
    Any,
    Assets,
    AssetsFell,
    AssetsGrew,
    Attribute,
    CareHeld,
    Condition,
    Consented,
    DaysSince,
    Entered,
    EntryValue,
    FactCount,
    Goal,
    Holds,
    InSegment,
    MessageCount,
    Not,
    Profile,
    StepOutcomeIs,
)
from tidings.wording import Wording


def goal_sentence(goal: Goal, wording: Wording) -> str:
    """What the journey is for, how long it counts and who leaves by it, as whole sentences."""
    code, values = "goal", {"fact": goal.fact, "days": counted(goal.within_days, "day", wording)}
    if goal.when is not None:
        code, values = "goal.when", {**values, "condition": clause(goal.when, wording)}
    return wording.tell(code, values) + wording.tell("goal.leaves" if goal.ends else "goal.stays")


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
        case FactCount() | MessageCount():
            return _number_of(condition, wording, negated=negated)
        case _:
            name, values = _leaf(condition, wording)
            return wording.tell(_code(name, negated=negated), values)


def _leaf(
    condition: EntryValue
    | AssetsGrew
    | AssetsFell
    | Attribute
    | Consented
    | DaysSince
    | Entered
    | Assets
    | CareHeld
    | Profile
    | InSegment
    | StepOutcomeIs,
    wording: Wording,
) -> tuple[str, dict[str, object]]:
    """The code of a condition without parts, and the values of its sentence."""
    match condition:
        case EntryValue() | Profile():
            return _value(condition, wording)
        case AssetsGrew(over_percent=percent, months=months):
            return "assets_grew", {"percent": percent, "months": counted(months, "month", wording)}
        case AssetsFell(over_percent=percent, months=months):
            return "assets_fell", {"percent": percent, "months": counted(months, "month", wording)}
        case Attribute(name=name) if name in TEXT_ATTRIBUTES:
            return f"attribute.{name}", {"values": listed(condition.one_of or (), "or_value", wording)}
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
            return "entered.within", {"journey": journey, "days": counted(days, "day", wording)}
        case Assets(at_least=least, at_most=most):
            return "assets", {"bounds": _bounds(least, most, wording)}
        case CareHeld(reasons=None):
            return "care_held", {}
        case CareHeld(reasons=reasons):
            return "care_held.for", {"reasons": either("hold", reasons or (), wording)}
        case InSegment(segment=segment, classes=None):
            return "in_segment", {"segment": segment}
        case InSegment(segment=segment, classes=classes):
            told = listed(classes or (), "or_value", wording)
            return "in_segment.classes", {"segment": segment, "classes": told}
        case StepOutcomeIs(step=step, is_one_of=ends):
            return "step_outcome", {"step": step, "ended": either("ended", ends, wording)}
        case _:
            assert_never(condition)


def _value(condition: EntryValue | Profile, wording: Wording) -> tuple[str, dict[str, object]]:
    code = "entry_value" if isinstance(condition, EntryValue) else "profile"
    if condition.one_of is not None:
        values = listed(condition.one_of, "or_value", wording)
        return f"{code}.one_of", {"name": condition.name, "values": values}
    bounds = _bounds(condition.at_least, condition.at_most, wording)
    return code, {"name": condition.name, "bounds": bounds}


def _holds(condition: Holds, wording: Wording, *, negated: bool) -> str:
    least, most, negated = _numbered(condition, negated=negated)
    number = (
        wording.tell("count.contract.none")
        if most == 0 and not least
        else _bounds(least, most, wording, unit="contract")
    )
    values = {"number": number, "kinds": either("contract", condition.kinds, wording)}
    name = "holds"
    if condition.matures_within_days is not None:
        name = "holds.within"
        values["days"] = counted(condition.matures_within_days, "day", wording)
    return wording.tell(_code(name, negated=negated), values)


def _number_of(condition: FactCount | MessageCount, wording: Wording, *, negated: bool) -> str:
    """How often something happened of late, or how many messages ended so."""
    least, most, negated = _numbered(condition, negated=negated)
    values: dict[str, object] = {"days": counted(condition.in_days, "day", wording)}
    if isinstance(condition, FactCount):
        name, unit = "fact_count", "time"
        values["fact"] = condition.fact
    else:
        name, unit = "message_count", "message"
        values["which"] = _which(condition, wording)
        values["ended"] = either("ended", condition.ended, wording)
    if most == 0 and not least and not negated:
        return wording.tell(f"condition.{name}.none", values)
    values["number"] = _bounds(least, most, wording, unit=unit)
    return wording.tell(_code(name, negated=negated), values)


def _numbered(
    condition: Holds | FactCount | MessageCount, *, negated: bool
) -> tuple[int | None, int | None, bool]:
    """Bounds, and whether they are still to be negated.

    A number is always known, so the opposite of one bound is the other one.
    """
    least, most = number_bounds(condition)
    if negated and least is not None and least > 0 and most is None:
        return None, least - 1, False
    if negated and least is None and most is not None:
        return most + 1, None, False
    return least, most, negated


def _which(condition: MessageCount, wording: Wording) -> str:
    """The messages that are meant, in brackets; nothing where all are."""
    named = {
        "purpose": condition.purpose and wording.tell(f"purpose.{condition.purpose}"),
        "channel": condition.channel and wording.tell(f"channel.{condition.channel}"),
        "journey": condition.journey,
        "template": condition.template,
    }
    parts = [wording.tell(f"which.{what}", {"name": name}) for what, name in named.items() if name]
    return wording.tell("which", {"parts": wording.tell("list.comma").join(parts)}) if parts else ""


def _code(name: str, *, negated: bool) -> str:
    return f"condition.{name}.not" if negated else f"condition.{name}"


def _bounds(least: object, most: object, wording: Wording, *, unit: str = "") -> str:
    if least is None and most is None:
        return wording.tell("bounds.any")
    if most is None:
        return wording.tell("bounds.at_least", {"least": counted(least, unit, wording)})
    told = counted(most, unit, wording)
    if least is None:
        return wording.tell("bounds.at_most", {"most": told})
    if least == most:
        return wording.tell("bounds.exactly", {"most": told})
    return wording.tell("bounds.between", {"least": least, "most": told})


def counted(number: object, unit: str, wording: Wording) -> str:
    """A number with its unit, as ``3 days``; without a unit the number alone."""
    if not unit:
        return str(number)
    return wording.tell(f"count.{unit}.one" if number == 1 else f"count.{unit}", {"number": number})


def either(family: str, names: Iterable[str], wording: Wording) -> str:
    """Names of a closed list by their words, as ``term deposit or loan``."""
    return listed([wording.tell(f"{family}.{name}") for name in names], "or", wording)


def listed(parts: Sequence[str], last: str, wording: Wording) -> str:
    """Parts one after the other, ``last`` (``and``, ``or``, ``or_value``) between the last two."""
    if len(parts) < 2:
        return "".join(parts)
    return wording.tell("list.comma").join(parts[:-1]) + wording.tell(f"list.{last}") + parts[-1]
