"""What stands in the place of a body that retention removed."""

from msgspec import Struct


class Withheld(Struct, frozen=True, gc=False):
    """The body is gone, and only its SHA-256 (hex) is left: the fact is only heard of, by kind and time."""

    digest: str
