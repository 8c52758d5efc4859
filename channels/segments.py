"""How many segments a text message travels in, and what that costs.

Source: 3GPP TS 23.038 section 6.2.1 (GSM 7-bit default alphabet and its extension table), TS 23.040 section
9.2.3.24.1 (the header of concatenated messages takes 7 septets or 3 characters of each segment).
"""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

Encoding = Literal["gsm-7", "ucs-2"]
Prefix = Annotated[str, Meta(pattern=r"^\+[1-9][0-9]{0,14}$")]

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
_GSM = _BASIC | _EXTENDED
# Units of a message that is alone, and of each segment where there are several.
_ROOM: dict[Encoding, tuple[int, int]] = {"gsm-7": (160, 153), "ucs-2": (70, 67)}


class Segments(Struct, frozen=True):
    """``units`` are septets in GSM-7 and UTF-16 code units in UCS-2."""

    encoding: Encoding
    units: int
    segments: int


class Prices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one segment costs, by the beginning of the number; the longest that fits counts.

    ``elsewhere`` is the price of all other numbers; None leaves it unknown.
    """

    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")] = "USD"
    per_segment: dict[Prefix, Decimal] = {}
    elsewhere: Decimal | None = None


class Cost(Struct, frozen=True):
    """An estimate: ``amount`` is None where the settings have no price for the number."""

    segments: int
    amount: Decimal | None
    currency: str


def segments(text: str) -> Segments:
    """How the text is encoded and into how many segments it is cut; an empty one still takes one."""
    wide: frozenset[str] | None = _EXTENDED
    encoding: Encoding = "gsm-7"
    if not _GSM.issuperset(text):
        wide, encoding = None, "ucs-2"
    doubled = _doubled(text, wide)
    units = len(text) + sum(doubled)
    alone, each = _ROOM[encoding]
    if units <= alone:
        return Segments(encoding, units, 1)
    if units == len(text):
        return Segments(encoding, units, -(-units // each))
    return Segments(encoding, units, _packed(doubled, each))


def cost(text: str, number: str, prices: Prices) -> Cost:
    """What sending the text to this number (E.164, with its plus) is about to cost."""
    count = segments(text).segments
    fitting = [prefix for prefix in prices.per_segment if number.startswith(prefix)]
    price = prices.per_segment[max(fitting, key=len)] if fitting else prices.elsewhere
    return Cost(count, None if price is None else price * count, prices.currency)


def _doubled(text: str, wide: frozenset[str] | None) -> list[bool]:
    """Of each character whether it takes two units; None as ``wide`` means those beyond U+FFFF."""
    if wide is None:
        return [character > "\uffff" for character in text]
    return [character in wide for character in text]


def _packed(doubled: list[bool], room: int) -> int:
    """Segments of so much room, where what takes two units is never cut in the middle."""
    count, used = 1, 0
    for twice in doubled:
        units = 2 if twice else 1
        if used + units > room:
            count, used = count + 1, 0
        used += units
    return count
