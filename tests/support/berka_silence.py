"""Why a Berka customer heard nothing from a journey on a day, worked out a second time from the raw files.

It shares no code with the engine or with audit: each journey's days follow from the dates of one customer as
``berka_oracle`` reads them. A day on which something was said has no silence.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from support.berka_oracle import (
    MATURITY_OFFSETS,
    PRAGUE,
    Customer,
    birthday_in,
    has_grown,
    instant,
    rows,
    short_date,
)

JOURNEYS = (
    "birthday",
    "maturity",
    "tier-upgrade",
    "win-back",
    "onboarding",
    "anniversary-relationship",
    "festival-new-year",
    "festival-spring-festival",
    "complaint",
)
# Chinese New Year's days, as almanacs have them.
_SPRING_FESTIVAL = tuple(
    map(date.fromisoformat, ("1993-01-23", "1994-02-10", "1995-01-31", "1996-02-19", "1997-02-07"))
)
_ANNIVERSARIES = (1, 2, 3, 5)


@dataclass(frozen=True)
class Silence:
    """The reason, and those of its values that follow from the files. "" where something was said."""

    reason: str
    values: dict[str, object] = field(default_factory=dict)
    unmet: list[object] | None = None


SPOKEN = Silence("")


def why_silent(customer: Customer, journey: str, day: date, *, cards: tuple[date, ...]) -> Silence:
    """Why nothing of the journey was said on this day; ``cards`` are the days on which they got one."""
    if day < customer.registered:
        at = instant(customer.registered, 12)
        return Silence("not_yet_registered", {"registered_at": at})
    match journey:
        case "birthday":
            return _birthday(customer, day)
        case "maturity":
            return _maturity(customer, day)
        case "tier-upgrade":
            return _tier(customer, day)
        case "win-back":
            return _win_back(customer, day)
        case "onboarding":
            return _onboarding(customer, day, cards)
        case "anniversary-relationship":
            days = [_years_later(customer.registered, years) for years in _ANNIVERSARIES]
            return SPOKEN if day in days else _between(days, day)
        case "festival-new-year":
            new_years = [date(year, 1, 1) for year in range(1992, 1999)]
            if day not in new_years:
                return _between(new_years, day)
            late = day == customer.registered
            return Silence("told_too_late", {"due_at": instant(day, 10)}) if late else SPOKEN
        case "festival-spring-festival":
            return _spring_festival(customer, day)
        case _:
            return Silence("fact_not_told", {"fact": "complaint.filed/1"})


def _between(days: list[date], day: date) -> Silence:
    """It was not the day: the last was so many days ago at most, and the next is known."""
    ahead = min((known for known in days if known > day), default=None)
    past = max((known for known in days if day - timedelta(days=400) < known < day), default=None)
    values: dict[str, object] = {}
    if ahead is not None:
        values["next_day"] = ahead.isoformat()
    if past is not None:
        values["last_day"] = past.isoformat()
    return Silence("not_the_day", values)


def _birthday(customer: Customer, day: date) -> Silence:
    days = [birthday_in(customer.born, year) for year in range(day.year - 2, day.year + 3)]
    days = [known for known in days if known >= customer.born]
    if day not in days:
        return _between(days, day)
    # Registered at noon, three hours after the greeting's hour.
    if day == customer.registered:
        return Silence("told_too_late", {"due_at": instant(day, 9)})
    return SPOKEN


def _maturity(customer: Customer, day: date) -> Silence:
    opened = [loan for loan in customer.loans if loan.opened <= day]
    if not opened:
        return Silence("no_contract", {"kinds": "loan, term_deposit, wealth_product, policy"})
    moments = {loan.matures + timedelta(days=offset): loan for loan in opened for offset in MATURITY_OFFSETS}
    if day not in moments:
        return _between(sorted(moments), day)
    if moments[day].opened == day:
        return Silence("told_too_late", {"due_at": instant(day, 10)})
    return SPOKEN


def _tier(customer: Customer, day: date) -> Silence:
    """Balances come with the last transaction of a month; who is let in waits seven days for a word."""
    entries: list[date] = []
    for month in sorted(customer.balances):
        told = customer.balances[month][0]
        if has_grown(customer, month) and (not entries or told - entries[-1] >= timedelta(days=365)):
            entries.append(told)
    inside = [entry for entry in entries if entry <= day <= entry + timedelta(days=7)]
    month = day.year * 12 + day.month
    is_told = month in customer.balances and customer.balances[month][0] == day
    if day in entries:
        return SPOKEN
    if is_told and has_grown(customer, month):
        days = (day - max(entry for entry in entries if entry < day)).days
        return Silence("refused", {"rule": "reentry", "days_since": days, "days_required": 365})
    if inside:
        until = instant(inside[-1] + timedelta(days=7), 18)
        if day == inside[-1] + timedelta(days=7):
            # Approved, there would have been an introduction: nobody said anything in time.
            return Silence("ended_without", {"step": "done"})
        return Silence("waiting", {"step": "check", "until": until})
    if is_told:
        return Silence("condition", unmet=[_assets_seen(customer, month)])
    before = [told for told, _ in customer.balances.values() if told < day]
    values: dict[str, object] = {"fact": "balance.recorded/1"}
    return Silence("fact_not_told", values | ({"last_at": instant(max(before), 12)} if before else {}))


def _assets_seen(customer: Customer, month: int) -> str:
    """The last four balances on record, as far as there are so many, the first month first."""
    known = sorted(known for known in customer.balances if known <= month)[-4:]
    return ", ".join(f"{_month(number)}: {customer.balances[number][1]:f}" for number in known)


def _month(number: int) -> str:
    """The oracle counts January as 1, so that December ends its year."""
    year, month = divmod(number - 1, 12)
    return f"{year}-{month + 1:02}"


def _win_back(customer: Customer, day: date) -> Silence:
    days = sorted({told for told in customer.transactions if told <= day})
    if not days:
        return Silence("never_happened", {"fact": "transaction.posted/1"})
    # A passage that the last transaction ended would have gone on at one of its days.
    for begun, ended in pairwise(days):
        if ended - begun <= timedelta(days=60):
            continue
        survey, offer, call = (begun + timedelta(days=number) for number in (60, 74, 88))
        if ended > call:
            continue
        if ended == day and survey < ended:
            return Silence("left", {"because": "goal_reached"})
        going_on = offer if ended <= offer else call
        if going_on == day:
            return Silence("left_before", {"because": "goal_reached", "would_go_on_at": instant(day, 12)})
    last = days[-1]
    silent = (day - last).days
    if silent in (60, 74):
        return SPOKEN
    if silent < 60:
        due_at = instant(last + timedelta(days=60), 12)
        return Silence("not_silent", {"last_at": instant(last, 12), "due_at": due_at, "days": 60})
    if silent < 88:
        step, until = ("first-pause", 74) if silent < 74 else ("second-pause", 88)
        return Silence("waiting", {"step": step, "until": instant(last + timedelta(days=until), 12)})
    if silent == 88:
        return Silence("ended_without", {"step": "done"})
    return Silence("entered_before", {"last_at": instant(last, 12)})


def _onboarding(customer: Customer, day: date, cards: tuple[date, ...]) -> Silence:
    since = (day - customer.registered).days
    pauses = {4: "three-days", 18: "two-weeks", 32: "two-more-weeks"}
    told = (*customer.transactions, *(loan.opened for loan in customer.loans), *cards)
    used = _used(told, customer.registered + timedelta(days=18))
    if since in (0, 4) or (since == 18 and not used):
        return SPOKEN
    if since == 18:
        return Silence("other_way", {"step": "used", "next": "done"})
    if since > 32 or (since > 18 and used):
        registered = instant(customer.registered, 12)
        return Silence("fact_not_told", {"fact": "customer.registered/1", "last_at": registered})
    if since == 32:
        return Silence("ended_without", {"step": "done"})
    ends = next(end for end in pauses if since < end)
    until = instant(customer.registered + timedelta(days=ends), 10)
    return Silence("waiting", {"step": pauses[ends], "until": until})


def _used(told: tuple[date, ...], day: date) -> bool:
    """Whether there was a transaction or a new contract in the 30 days before ten o'clock of this day."""
    return any(timedelta() < day - known <= timedelta(days=30) for known in told)


def _spring_festival(customer: Customer, day: date) -> Silence:
    if day not in _SPRING_FESTIVAL:
        return _between(list(_SPRING_FESTIVAL), day)
    if day == customer.registered:
        return Silence("told_too_late", {"due_at": instant(day, 9)})
    return Silence("condition", unmet=["en"])


def _years_later(day: date, years: int) -> date:
    return birthday_in(day, day.year + years)


def card_days(directory: Path) -> dict[str, tuple[date, ...]]:
    """The days on which each customer got a card, by customer."""
    holders = {row["disp_id"]: row["client_id"] for row in rows(directory, "disp")}
    found: dict[str, tuple[date, ...]] = {}
    for row in rows(directory, "card"):
        holder = holders[row["disp_id"]]
        found[holder] = (*found.get(holder, ()), short_date(row["issued"]))
    return found


def age(born: date, day: date) -> int:
    """Full years by the calendar."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def local(at: datetime) -> date:
    """The day in Prague."""
    return at.astimezone(PRAGUE).date()
