"""Made-up lives for property tests: facts of a few customers over two years, in any order; and conditions."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

from hypothesis import strategies as st
from msgspec.structs import replace

from domain import catalogue as facts
from domain.catalogue import ChannelName, Envelope, Fact, HoldingKind, Purpose
from domain.clock import day_number
from domain.customer import Customer
from domain.events import KIND_OF, EnrolmentStarted, Event
from domain.fold import evolve
from domain.lunar import Festival
from domain.message import MessageEnd, StepOutcome
from domain.tally import Tally, one_more
from journeys.definition import (
    All,
    Assets,
    AssetsFell,
    AssetsGrew,
    Attribute,
    AttributeName,
    CareHeld,
    Condition,
    Consented,
    DaysSince,
    End,
    Enter,
    EnterBySchedule,
    Entered,
    EnterOnAnniversary,
    EnterOnBirthday,
    EnterOnDate,
    EnterOnFact,
    EnterOnMaturity,
    EnterOnRequest,
    EnterOnSilence,
    EnterYearly,
    EntryValue,
    FactCount,
    Holds,
    InSegment,
    Journey,
    MessageCount,
    Moved,
    Not,
    Profile,
    Segment,
    SegmentClass,
    Send,
    StepOutcomeIs,
    Wait,
)
from journeys.definition import Any as AnyOf
from journeys.sensitivity import segments_asked
from support.scenario import envelope

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=730)
ZONES = ("Europe/Prague", "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "UTC")
_SOURCE = "/made-up"
JOURNEYS = ("own", "other")

instants = st.integers(0, 700 * 24).map(lambda hours: START + timedelta(hours=hours))
days = st.integers(0, 700).map(lambda offset: date(2026, 1, 1) + timedelta(days=offset))
birth_dates = st.dates(date(1930, 1, 1), date(2008, 12, 31)) | st.just(date(1992, 2, 29))
amounts = st.integers(-1_000, 100_000).map(lambda cents: Decimal(cents) / 100)


def requests(identity: dict[str, Any]) -> st.SearchStrategy[Fact]:
    """Somebody asks for a journey, which there may be or not, with what it declares or without."""
    return st.builds(
        lambda journey, values: facts.JourneyRequested(
            **identity, journey=journey, values=values, requested_by="made up"
        ),
        st.sampled_from(JOURNEYS),
        st.sampled_from([{}, {"amount": 5}, {"amount": 9.5}]),
    )


@st.composite
def _facts(draw: st.DrawFn, number: int, index: int) -> tuple[datetime, Fact]:
    identity: dict[str, Any] = {"source": _SOURCE, "id": f"{number}-{index}"}
    at = draw(instants)
    fact: Fact = draw(
        st.one_of(
            amounts.map(lambda a: facts.TransactionPosted(**identity, account="a", amount=a)),
            amounts.map(lambda a: facts.BalanceRecorded(**identity, account="a", amount=a)),
            days.map(
                lambda d: facts.HoldingOpened(
                    **identity,
                    holding=f"h{index % 3}",
                    kind="loan" if index % 5 == 4 else "term_deposit",
                    matures_on=d,
                )
            ),
            days.map(lambda d: facts.HoldingChanged(**identity, holding=f"h{index % 3}", matures_on=d)),
            st.just(facts.HoldingClosed(**identity, holding=f"h{index % 3}")),
            st.sampled_from(["*", "email", "sms"]).map(
                lambda c: facts.ConsentGranted(**identity, channel=c, provenance="made up")
            ),
            st.just(facts.ConsentWithdrawn(**identity, provenance="made up")),
            st.just(facts.CareHoldPlaced(**identity, reason="dispute")),
            st.just(facts.CareHoldLifted(**identity, reason="dispute")),
            st.builds(
                lambda level, until: facts.RiskAssessed(**identity, level=level, valid_until=until),
                st.integers(1, 5),
                st.none() | days,
            ),
            st.sampled_from(ZONES).map(lambda z: facts.CustomerChanged(**identity, zone=z)),
            st.sampled_from(["q1", "q2"]).map(lambda q: facts.ComplaintFiled(**identity, complaint=q)),
            st.sampled_from(["q1", "q2"]).map(lambda q: facts.ComplaintResolved(**identity, complaint=q)),
            st.tuples(st.sampled_from(["complaint", "service"]), st.none() | st.integers(0, 10)).map(
                lambda t: facts.SurveyAnswered(**identity, survey=t[0], score=t[1])
            ),
            st.just(facts.LossIncurred(**identity, holding="h1", amount=Decimal("9.50"))),
            st.builds(
                facts.RiskAssessed,
                **{name: st.just(value) for name, value in identity.items()},
                level=st.integers(1, 5),
                valid_until=st.none() | days,
            ),
            st.just(facts.CustomerErased(**identity)),
            requests(identity),
        )
    )
    return at, fact


@st.composite
def lives(draw: st.DrawFn, *, customers: int = 3, most: int = 14) -> list[Envelope]:
    """Facts of up to ``customers`` customers; each is registered first, the rest comes in any order."""
    told: list[Envelope] = []
    for number in range(1, draw(st.integers(1, customers)) + 1):
        subject = f"c-{number}"
        person = facts.CustomerRegistered(
            source=_SOURCE,
            id=f"{number}",
            birth_date=draw(birth_dates),
            zone=draw(st.sampled_from(ZONES)),
            region=draw(st.sampled_from([None, "north", "south"])),
            email=draw(st.sampled_from(["a@example.com", "b+rejected@example.com", "c+unknown@example.com"])),
            phone=draw(st.sampled_from([None, "+420601000001"])),
        )
        told.append(envelope(subject, START, person))
        for index in range(draw(st.integers(0, most))):
            at, fact = draw(_facts(number, index))
            told.append(envelope(subject, at, fact))
    return told


@st.composite
def dense_lives(draw: st.DrawFn, *, customers: int = 1, most: int = 20) -> list[Envelope]:
    """Facts of which ``lively_conditions`` ask, often as many days apart as they ask for, or at midnight."""
    hours = st.sampled_from([0, 1, 23, 25, 999, *(24 * n for n in (1, 2, 3, 7, 8, 29, 30, 31, 32))])
    told: list[Envelope] = []
    for number in range(1, draw(st.integers(1, customers)) + 1):
        born = draw(st.dates(date(1990, 1, 1), date(1992, 12, 31)) | st.just(date(1992, 2, 29)))
        zone = draw(st.just("UTC") | st.sampled_from(ZONES))
        person = facts.CustomerRegistered(source=_SOURCE, id=f"{number}", birth_date=born, zone=zone)
        at = START
        told.append(envelope(f"c-{number}", at, person))
        for index in range(draw(st.integers(0, most))):
            at += timedelta(hours=draw(hours))
            identity: dict[str, Any] = {"source": _SOURCE, "id": f"{number}-{index}"}
            paid = facts.TransactionPosted(**identity, account="a", amount=Decimal(1))
            held = facts.BalanceRecorded(**identity, account="a", amount=Decimal(index))
            lately = facts.CustomerChanged(**identity, zone=zone)
            ends = at.date() + timedelta(days=draw(st.integers(-2, 60)))
            fact = draw(
                st.sampled_from(
                    [
                        paid,
                        paid,
                        held,
                        lately,
                        facts.RiskAssessed(**identity, level=1 + index % 5, valid_until=ends),
                        facts.HoldingOpened(**identity, holding="h", kind="term_deposit", matures_on=ends),
                    ]
                )
                | _facts(number, index).map(lambda made: made[1])
            )
            told.append(envelope(f"c-{number}", at, fact))
    return told


def _bounded(kind: type[Any], numbers: st.SearchStrategy[Any], **given: Any) -> st.SearchStrategy[Condition]:
    """Such conditions with bounds of any sort, none and those the wrong way round among them."""
    bounds = st.none() | numbers
    return st.builds(kind, **given, at_least=bounds, at_most=bounds)


def _some(names: tuple[str, ...]) -> st.SearchStrategy[Any]:
    return st.lists(st.sampled_from(names), min_size=1, max_size=3).map(tuple)


_COUNTED_DAYS = st.integers(1, 366)
_DAYS = st.none() | st.integers(0, 3660)
_FACTS = st.sampled_from([*sorted(facts.FACTS), "x.own/1"]) | st.sampled_from(
    ["transaction.posted/1", "page.viewed/1", "holding.opened/1"]
)
_NAMES = st.sampled_from(["birthday", "win-back", "offers"])
leaves: dict[type[Any], st.SearchStrategy[Condition]] = {
    EntryValue: _bounded(
        EntryValue,
        st.integers(-9, 9),
        name=st.sampled_from(["age", "kind", "none"]),
        one_of=st.none() | st.just(("7", "fund")),
    ),
    AssetsFell: st.builds(AssetsFell, over_percent=st.integers(0, 50), months=st.integers(1, 3)),
    AssetsGrew: st.builds(AssetsGrew, over_percent=st.integers(0, 50), months=st.integers(1, 3)),
    Attribute: _bounded(
        Attribute,
        st.integers(0, 200),
        name=st.sampled_from(get_args(AttributeName)),
        one_of=st.none() | st.just(("en", "UTC", "north")),
    ),
    Holds: _bounded(
        Holds,
        st.integers(0, 4),
        kinds=st.lists(st.sampled_from(get_args(HoldingKind)), min_size=1, max_size=3).map(tuple),
        matures_within_days=_DAYS,
    ),
    Consented: st.builds(
        Consented,
        purpose=st.sampled_from(get_args(Purpose)),
        channel=st.sampled_from(get_args(ChannelName)),
        topic=_NAMES,
    ),
    DaysSince: _bounded(DaysSince, st.integers(0, 3660), fact=_FACTS),
    Entered: st.builds(Entered, journey=_NAMES, within_days=_DAYS),
    Assets: _bounded(Assets, amounts.map(str)),
    Profile: _bounded(Profile, st.integers(-9, 9), name=_NAMES, one_of=st.none() | st.just(("true", "warm"))),
    CareHeld: st.builds(CareHeld, reasons=st.none() | st.just(("dispute", "fraud"))),
    InSegment: st.builds(
        InSegment,
        segment=st.sampled_from(["made-0", "made-1"]),
        classes=st.none() | st.sampled_from([("one",), ("two", "three")]),
    ),
    FactCount: _bounded(FactCount, st.integers(0, 4), fact=_FACTS, in_days=_COUNTED_DAYS),
    MessageCount: _bounded(
        MessageCount,
        st.integers(0, 3),
        ended=_some(get_args(MessageEnd)),
        journey=st.none() | _NAMES,
        template=st.none() | st.just("birthday"),
        channel=st.none() | st.sampled_from(get_args(ChannelName)),
        purpose=st.none() | st.sampled_from(get_args(Purpose)),
        in_days=_COUNTED_DAYS,
    ),
    StepOutcomeIs: st.builds(StepOutcomeIs, step=_NAMES, is_one_of=_some(get_args(StepOutcome))),
}


def _trees(leaves: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    return st.recursive(
        leaves,
        lambda inner: (
            st.builds(Not, of=inner)
            | st.builds(All, of=st.lists(inner, max_size=3).map(tuple))
            | st.builds(AnyOf, of=st.lists(inner, max_size=3).map(tuple))
        ),
        max_leaves=6,
    )


conditions: st.SearchStrategy[Condition] = _trees(st.one_of(*leaves.values()))
# Those that are true of some made-up lives and false of others, and turn with the days.
_FEW_DAYS = st.sampled_from([0, 1, 2, 7, 30])
_LIVED = st.sampled_from(["transaction.posted/1", "balance.recorded/1", "customer.registered/1", "x.own/1"])
lively_conditions: st.SearchStrategy[Condition] = _trees(
    st.one_of(
        _bounded(DaysSince, _FEW_DAYS, fact=_LIVED),
        _bounded(Attribute, st.integers(33, 38), name=st.just("age")),
        _bounded(Attribute, st.integers(1, 5), name=st.just("risk_level")),
        st.builds(Attribute, name=st.just("zone"), one_of=st.just(ZONES[:2])),
        _bounded(
            Holds,
            st.integers(0, 2),
            kinds=st.just(("term_deposit",)),
            matures_within_days=st.none() | _FEW_DAYS,
        ),
        st.builds(
            Entered,
            journey=st.sampled_from(["birthday", "maturity", "win-back", "made-up"]),
            within_days=st.none() | _FEW_DAYS,
        ),
        *(leaves[kind] for kind in (Profile, AssetsFell, AssetsGrew, Consented, Assets, CareHeld, InSegment)),
    )
)


def _asks_only(known: set[str]) -> Callable[[Condition], bool]:
    return lambda tree: segments_asked(tree) <= known


@st.composite
def segments(draw: st.DrawFn, *, most: int = 3) -> tuple[Segment, ...]:
    """Segments named ``made-0`` and up, each of which refers to those before it only."""
    made: list[Segment] = []
    for number in range(draw(st.integers(1, most))):
        sound = lively_conditions.filter(_asks_only({segment.segment for segment in made}))
        if made:
            sound = sound | st.builds(InSegment, segment=st.sampled_from([made[0].segment, made[-1].segment]))
        classes = [
            SegmentClass(name=name, title={"en": name}, when=draw(sound))
            for name in ("one", "two", "three")[: draw(st.integers(1, 3))]
        ]
        made.append(
            Segment(segment=f"made-{number}", version=1, title={"en": "Made up"}, classes=tuple(classes))
        )
    return tuple(made)


_CLOCK = st.sampled_from(["02:30", "09:00", "18:00"])
_MOVED = st.none() | st.builds(
    Moved, calendar=st.sampled_from(["cn", "cz"]), to=st.sampled_from(["before", "after"])
)
_OFFSETS = st.sampled_from([0, 0, -7, 3, -300])
_WHEN = st.none() | st.sampled_from(
    [Not(of=CareHeld()), Holds(kinds=("term_deposit",)), DaysSince(fact="transaction.posted/1", at_most=90)]
)
_LEAP_DAY = st.sampled_from(["feb-28", "mar-1"])
_KINDS = st.just(("term_deposit",))
_DATED: dict[str, st.SearchStrategy[Any]] = {
    "at": _CLOCK,
    "offset_days": _OFFSETS,
    "moved": _MOVED,
    "when": _WHEN,
    "leap_day": _LEAP_DAY,
}
RULES = (
    "FREQ=MONTHLY;BYDAY=-1FR",
    "FREQ=WEEKLY;INTERVAL=3;BYDAY=MO,SU",
    "FREQ=YEARLY;COUNT=2",
    "FREQ=DAILY;INTERVAL=45;UNTIL=20270301",
    "FREQ=MONTHLY;BYMONTHDAY=31",
)
entries: dict[type[Any], st.SearchStrategy[Enter]] = {
    EnterOnBirthday: st.builds(EnterOnBirthday, **_DATED)
    | st.builds(
        EnterOnBirthday,
        **_DATED,
        calendar=st.just("lunar"),
        leap_month=st.sampled_from(["leap-else-plain", "plain"]),
    ),
    EnterOnDate: st.builds(EnterOnDate, on=days, at=_CLOCK, when=_WHEN),
    EnterYearly: st.builds(EnterYearly, **_DATED, month_day=st.sampled_from(["12-24", "02-29"]))
    | st.builds(EnterYearly, **_DATED, easter=st.integers(-47, 49))
    | st.builds(
        EnterYearly, **_DATED, festival=st.sampled_from(get_args(Festival)), calendar=st.just("lunar")
    )
    | st.builds(
        EnterYearly, **_DATED, lunar_day=st.sampled_from(["06-30", "12-08"]), calendar=st.just("lunar")
    ),
    EnterOnAnniversary: st.builds(
        EnterOnAnniversary, **_DATED, of=st.just("relationship"), years=st.sampled_from([(), (1,), (2, 5)])
    )
    | st.builds(EnterOnAnniversary, **_DATED, of=st.just("contract"), kinds=_KINDS),
    EnterBySchedule: st.builds(
        EnterBySchedule,
        rule=st.sampled_from(RULES),
        # A rule that is over before it begins is refused.
        starts_on=days.filter(lambda day: day < date(2027, 3, 1)),
        at=_CLOCK,
        moved=_MOVED,
        when=_WHEN,
    ),
    EnterOnMaturity: st.builds(
        EnterOnMaturity,
        kinds=_KINDS,
        offsets=st.sampled_from([(-30, 0), (-14,), (60,)]),
        at=_CLOCK,
        moved=_MOVED,
        merge_days=st.none() | st.sampled_from([1, 7, 31]),
        when=_WHEN,
    ),
    EnterOnFact: st.builds(EnterOnFact, fact=st.just("care_hold.placed/1"), when=_WHEN),
    EnterOnRequest: st.builds(EnterOnRequest, values=st.sampled_from([(), ("amount",)]), when=_WHEN),
    EnterOnSilence: st.builds(
        EnterOnSilence,
        of=st.just("transaction.posted/1"),
        days=st.sampled_from([3, 30, 200]),
        at=_CLOCK,
        when=_WHEN,
    ),
}


def entered(name: str, enter: Enter, *, version: int = 1) -> Journey:
    """A journey that greets, waits nine days and ends, entered so."""
    return Journey(
        journey=name,
        version=version,
        title={"en": name},
        purpose="care",
        topic="greetings",
        enter=enter,
        steps=(
            Send(step="greet", template="birthday-greeting", channels=("email", "sms"), next="wait"),
            Wait(step="wait", days=9, at="08:30", next="end"),
            End(step="end"),
        ),
    )


@st.composite
def own_journeys(draw: st.DrawFn) -> list[Journey]:
    """One or two journeys of a bank's own that are entered in any way."""
    names = JOURNEYS[: draw(st.integers(1, len(JOURNEYS)))]
    return [entered(name, draw(st.one_of(*entries.values()))) for name in names]


@st.composite
def customers(draw: st.DrawFn) -> Customer:
    """A customer as some history leaves them, one of whom nothing at all is known among them."""
    customer = Customer("c-1")
    told = [(item.occurred_at, item) for item in draw(lives(customers=1))]
    for number, (at, item) in enumerate(told[: draw(st.integers(0, len(told)))], start=1):
        now = max(at, customer.clock_at)
        customer = evolve(customer, Event(number, item.kind, at, now, 0, item.fact))
    for journey in draw(st.lists(_NAMES, max_size=2)):
        body = EnrolmentStarted(enrolment=journey, journey=journey, version=1, key="k", entry={})
        at = customer.clock_at
        customer = evolve(customer, Event(customer.version + 1, KIND_OF[EnrolmentStarted], at, at, 1, body))
    days = draw(st.integers(0, 400) | st.integers(0, 100).map(lambda years: 365 * years))
    today = day_number(customer.clock_at, customer.zone)
    return replace(
        customer,
        clock_at=customer.clock_at + timedelta(days=days),
        profile=draw(st.dictionaries(_NAMES, _noted, max_size=2)),
        segments=draw(st.dictionaries(st.just("made-0"), st.sampled_from(["one", "two"]))),
        fact_days={**customer.fact_days, **draw(_fact_days(today))},
        message_days=draw(_message_days(today)),
    )


_noted = (
    st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(["warm", "true", "7", "-2.50", "0.5", "+1", "9" * 40])
)


@st.composite
def _fact_days(draw: st.DrawFn, today: int) -> dict[str, Tally]:
    """Facts of two kinds on several days of the year before a day (``date.toordinal``)."""
    told: dict[str, Tally] = {}
    for kind in ("transaction.posted/1", "page.viewed/1"):
        for back in draw(st.lists(st.integers(0, 380), max_size=5)):
            told[kind] = one_more(told.get(kind), today - back)
    return told


@st.composite
def _message_days(draw: st.DrawFn, today: int) -> dict[str, Tally]:
    """Messages that ended in one way or another in the year before a day (``date.toordinal``)."""
    told: dict[str, Tally] = {}
    ways = (MessageEnd, Purpose, ChannelName)
    for back in draw(st.lists(st.integers(0, 380), max_size=4)):
        parts = [draw(st.sampled_from(get_args(way))) for way in ways]
        key = "/".join([*parts, draw(_NAMES), draw(_NAMES)])
        told[key] = one_more(told.get(key), today - back)
    return told
