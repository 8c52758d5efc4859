"""Entries as sentences of the catalogue: who enters a journey, and when."""

from typing import assert_never

from journeys.definition import (
    Enter,
    EnterBySchedule,
    EnterOnAnniversary,
    EnterOnBirthday,
    EnterOnDate,
    EnterOnFact,
    EnterOnMaturity,
    EnterOnRequest,
    EnterOnSegment,
    EnterOnSilence,
    EnterYearly,
    Moved,
    month_day_of,
)
from tidings.sentences import clause, counted, either, listed
from tidings.wording import Wording

_NAMED_EASTER_DAYS = (-2, 0, 1)


def entry_sentence(enter: Enter, wording: Wording) -> str:
    """When somebody enters, as one or more whole sentences."""
    told = [_entry(enter, wording)]
    if moved := _moved(getattr(enter, "moved", None), wording):
        told.append(moved)
    if enter.when is not None and not isinstance(enter, EnterOnFact):
        told.append(wording.tell("enter.when", {"condition": clause(enter.when, wording)}))
    return wording.tell("enter.joined").join(told)


def _entry(enter: Enter, wording: Wording) -> str:
    match enter:
        case EnterOnBirthday(at=at, calendar=calendar):
            values = {"at": at, "offset": _from(enter.offset_days, wording)}
            if calendar is None:
                return wording.tell(f"enter.birthday.{enter.leap_day}", values)
            return wording.tell(f"enter.birthday.{enter.leap_month}", {**values, "calendar": calendar})
        case EnterOnDate(on=day, at=at):
            return wording.tell("enter.date", {"day": day.isoformat(), "at": at})
        case EnterYearly(at=at):
            values = {"at": at, "offset": _from(enter.offset_days, wording)}
            return wording.tell("enter.yearly", {**values, "day": _day(enter, wording)})
        case EnterOnAnniversary(at=at):
            values = {"at": at, "offset": _from(enter.offset_days, wording)}
            years = listed([str(number) for number in enter.years], "and_value", wording)
            which = wording.tell("enter.years" if years else "enter.years.all", {"years": years})
            kinds = either("contract", enter.kinds or (), wording)
            leap_day = wording.tell(f"enter.leap_day.{enter.leap_day}")
            told = {**values, "years": which, "kinds": kinds, "leap_day": leap_day}
            return wording.tell(f"enter.anniversary.{enter.of}", told)
        case EnterBySchedule(at=at):
            values = {"at": at, "rule": enter.rule, "day": enter.starts_on.isoformat()}
            return wording.tell("enter.schedule", values)
        case EnterOnMaturity(at=at):
            offsets = listed([_offset(days, wording) for days in enter.offsets], "and", wording)
            values = {"at": at, "offsets": offsets, "kinds": either("contract", enter.kinds, wording)}
            if enter.merge_days is None:
                return wording.tell("enter.maturity", values)
            days = counted(enter.merge_days, "day", wording)
            return wording.tell("enter.maturity.merged", {**values, "days": days})
        case EnterOnFact(fact=fact, when=None):
            return wording.tell("enter.fact", {"fact": fact})
        case EnterOnFact(fact=fact, when=condition):
            assert condition is not None  # noqa: S101 - the case above
            return wording.tell("enter.fact.when", {"fact": fact, "condition": clause(condition, wording)})
        case EnterOnRequest(values=()):
            return wording.tell("enter.request")
        case EnterOnRequest(values=names):
            return wording.tell("enter.request.values", {"values": listed(names, "and_value", wording)})
        case EnterOnSilence(of=fact, at=at):
            values = {"fact": fact, "at": at, "days": counted(enter.days, "day", wording)}
            return wording.tell("enter.silence", values)
        case EnterOnSegment(segment=segment, on=on, classes=None):
            return wording.tell(f"enter.segment.{on}", {"segment": segment})
        case EnterOnSegment(segment=segment, on=on, classes=classes):
            told = {"segment": segment, "classes": listed(classes or (), "or_value", wording)}
            return wording.tell(f"enter.segment.{on}.classes", told)
        case _:
            assert_never(enter)


def _day(enter: EnterYearly, wording: Wording) -> str:
    """The day of the year as it is called."""
    if enter.festival is not None:
        return wording.tell(f"festival.{enter.festival}")
    if enter.lunar_day is not None:
        month, day = month_day_of(enter.lunar_day)
        return wording.tell("day.lunar", {"month": month, "day": day, "calendar": enter.calendar})
    if enter.easter is not None:
        if enter.easter in _NAMED_EASTER_DAYS:
            return wording.tell(f"day.easter.{enter.easter}")
        when = "before" if enter.easter < 0 else "after"
        return wording.tell(f"day.easter.{when}", {"days": counted(abs(enter.easter), "day", wording)})
    month, day = month_day_of(enter.month_day or "00-00")
    told = wording.tell("day.plain", {"month": wording.tell(f"month.{month}"), "day": day})
    if (month, day) != (2, 29):
        return told
    leap_day = wording.tell(f"enter.leap_day.{enter.leap_day}")
    return wording.tell("day.leap", {"day": told, "leap_day": leap_day})


def _moved(moved: Moved | None, wording: Wording) -> str:
    if moved is None:
        return ""
    return wording.tell(f"enter.moved.{moved.to}", {"calendar": moved.calendar})


def _from(days: int, wording: Wording) -> str:
    """How far from a day, to stand behind the time of day."""
    if days == 0:
        return wording.tell("enter.offset.on")
    return wording.tell("enter.offset", {"offset": _offset(days, wording)})


def _offset(days: int, wording: Wording) -> str:
    if days == 0:
        return wording.tell("offset.on")
    when = "before" if days < 0 else "after"
    return wording.tell(f"offset.{when}", {"days": counted(abs(days), "day", wording)})
