"""How far retention may have gone, as recorded orders tell it: what is missing beyond was taken out."""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

# The name of ``tidings.personal_orders.Removal``'s order.
ORDERED = "retention.ordered/1"


class _Ordered(Struct):
    upto: dict[str, dict[str, int]] = {}


_decoder = msgspec.json.Decoder(_Ordered)


def retained(orders: Iterable[bytes], partition: int) -> dict[str, int]:
    """By kind the highest seq of the partition that one of these orders, in their stored form, lets go of."""
    highest: dict[str, int] = {}
    for order in orders:
        try:
            upto = _decoder.decode(order).upto.get(str(partition), {})
        except msgspec.DecodeError:
            # Somebody altered it, which the chain tells; it lets go of nothing.
            continue
        for kind, seq in upto.items():
            highest[kind] = max(seq, highest.get(kind, 0))
    return highest
