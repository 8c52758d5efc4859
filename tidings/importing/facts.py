"""From what a line says to a fact of the catalogue: strict, so that nothing is lost silently.

The catalogue's own types ignore unknown fields, because stored facts outlive versions; input may not.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, TypeAlias
from zoneinfo import available_timezones

import msgspec
from msgspec import NODEFAULT, Meta, Struct

from domain.catalogue import FACTS, CustomFact, Envelope, Fact, Text, fact_type
from domain.errors import InputRefused
from tidings.importing.faults import plain, unfit, with_near

FUTURE_LIMIT = timedelta(days=366)
# Outside these years, arithmetic on days runs into the calendar's ends; a bank's 9999-12-31 means "no end".
YEARS = range(1800, 3000)
_EXPONENTS = range(-18, 19)
_FREE_DATA: Any = dict[str, str | int | bool | None]

Aware = Annotated[datetime, Meta(tz=True)]
Values: TypeAlias = Mapping[str, str]


class Header(Struct, gc=False):
    """What every fact says besides its own fields."""

    type: Text
    source: Text
    id: Text
    subject: Text


class Shape(Struct, frozen=True):
    """How the data of one kind of fact is read. ``fields`` is None where a bank's own facts have any."""

    kind: str
    fields: type[Struct] | None
    decode: Callable[[bytes], Any]
    make: Callable[..., Fact]
    numbers: tuple[str, ...] = ()
    amounts: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    has_zone: bool = False

    def has(self, name: str) -> bool:
        """Whether such a fact has this field."""
        return self.fields is None or name in self.fields.__struct_fields__

    def from_json(self, header: Header, data: bytes) -> Fact:
        """The fact that JSON data tell. Raises InputRefused, or DecodeError for what is no JSON."""
        try:
            body = self.decode(data)
        except msgspec.ValidationError as error:
            raise unfit(error, plain(data), self.fields) from error
        return self._fact(header, body)

    def from_texts(self, header: Header, data: Values) -> Fact:
        """The fact that texts by field tell; numbers, dates and truth values are read from them."""
        try:
            body = msgspec.convert(data, self.fields or _FREE_DATA, strict=False)
        except msgspec.ValidationError as error:
            raise unfit(error, data, self.fields) from error
        return self._fact(header, body)

    def _fact(self, header: Header, body: Any) -> Fact:
        if self.fields is None:
            return self.make(source=header.source, id=header.id, data=body)
        for name in self.amounts:
            _check_amount(name, getattr(body, name))
        for name in self.dates:
            _check_year(f"$.{name}", getattr(body, name))
        if self.has_zone and body.zone is not None:
            _check_zone(body.zone)
        return self.make(source=header.source, id=header.id, **msgspec.structs.asdict(body))


@lru_cache(maxsize=4096)
def shape_of(kind: str) -> Shape:
    """How facts of this kind are read. Raises InputRefused for a type that nobody knows."""
    fact = fact_type(kind)
    if fact is None:
        raise with_near("import.unknown_type", kind, FACTS, kind=kind, expected=", ".join(FACTS))
    if fact is CustomFact:
        return Shape(kind, None, msgspec.json.Decoder(_FREE_DATA).decode, fact)
    own = [field for field in msgspec.structs.fields(fact) if field.name not in Fact.__struct_fields__]
    fields = msgspec.defstruct(
        fact.__name__, [_declared(field) for field in own], kw_only=True, forbid_unknown_fields=True
    )
    return Shape(
        kind,
        fields,
        msgspec.json.Decoder(fields).decode,
        fact,
        numbers=tuple(field.name for field in own if _mentions(field.type, Decimal, int)),
        amounts=tuple(field.name for field in own if _mentions(field.type, Decimal)),
        dates=tuple(field.name for field in own if _mentions(field.type, date)),
        has_zone="zone" in fields.__struct_fields__,
    )


def enveloped(shape: Shape, header: Header, *, at: datetime, fact: Fact, now: datetime) -> Envelope:
    """The fact with its header. Raises InputRefused for an instant (aware) that cannot be meant."""
    if at > now + FUTURE_LIMIT:
        raise InputRefused("import.far_future", found=at.isoformat(), now=now.isoformat(timespec="seconds"))
    _check_year("$.time", at)
    for name in ("source", "id", "subject"):
        if "\x00" in getattr(header, name):
            raise InputRefused("import.zero_character", attribute=name)
    return Envelope(shape.kind, header.subject, at if at.tzinfo is UTC else at.astimezone(UTC), fact)


@lru_cache(maxsize=1)
def zones() -> frozenset[str]:
    """The names of all IANA time zones that this machine knows, without those that mean its own."""
    return frozenset(available_timezones()) - {"localtime", "Factory"}


def _check_year(path: str, day: date | None) -> None:
    if day is not None and day.year not in YEARS:
        values = {"found": day.isoformat(), "first": YEARS[0], "last": YEARS[-1]}
        raise InputRefused("import.year_out_of_range", path=path, **values)


def _check_amount(name: str, amount: Decimal | None) -> None:
    if amount is None or (
        amount.is_finite() and amount.adjusted() in _EXPONENTS and amount.as_tuple().exponent in _EXPONENTS
    ):
        return
    raise InputRefused("import.bad_amount", path=f"$.{name}", found=str(amount)[:60])


def _check_zone(zone: str) -> None:
    if zone not in zones():
        raise with_near("import.unknown_zone", zone, zones(), path="$.zone", found=zone)


def _declared(field: msgspec.structs.FieldInfo) -> Any:
    return (field.name, field.type) if field.default is NODEFAULT else (field.name, field.type, field.default)


def _mentions(kind: Any, *wanted: type) -> bool:
    """Whether a field's type is, or may be, a wanted one."""
    return kind in wanted or any(_mentions(part, *wanted) for part in getattr(kind, "__args__", ()))
