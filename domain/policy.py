"""The policy document: what may be said to a customer, the same for every journey."""

from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

from domain.caps import Cap
from domain.catalogue import Purpose
from domain.quiet import QuietHours

ConsentRule = Literal["granted", "not_withdrawn", "not_needed"]
Hours = Annotated[int, Meta(ge=1, le=24 * 366)]
# The library's JSON Schema says nothing of a mapping's keys by itself.
_BY_PURPOSE = Meta(extra_json_schema={"propertyNames": {"enum": sorted(get_args(Purpose))}})
Purposes = Annotated[tuple[Purpose, ...], Meta(min_length=1)]
# What is not said within a week of being asked for has mostly lost its sense.
VALID_HOURS = 168


class ControlGroup(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """So many of a hundred customers never get messages of these purposes, so that effects can be measured.

    Who belongs to it follows from the customer's id and ``salt`` alone; a new salt draws anew.
    """

    percent: Annotated[int, Meta(ge=0, le=50)]
    purposes: Purposes
    salt: str


class AgeLimit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Messages of these purposes go to customers of an age within the bounds, both included.

    A customer whose birth date is not known is taken for an adult.
    """

    purposes: Purposes
    at_least: int | None = None
    at_most: int | None = None


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A published policy. ``care_hold_stops`` lists the purposes that a care hold silences, ``opt_out_stops``
    those that are not sent to an address whose owner answered STOP.

    ``valid_hours`` says for each purpose how long after its request a message that had to be put off still
    makes sense, where its step says nothing (168 hours unless it is listed).
    """

    policy: str
    version: int
    consent: Annotated[dict[Purpose, ConsentRule], _BY_PURPOSE]
    care_hold_stops: tuple[Purpose, ...]
    quiet_hours: tuple[QuietHours, ...] = ()
    caps: tuple[Cap, ...] = ()
    valid_hours: Annotated[dict[Purpose, Hours], _BY_PURPOSE] = {}
    opt_out_stops: tuple[Purpose, ...] = ("marketing", "care")
    ages: tuple[AgeLimit, ...] = ()
    control_group: ControlGroup | None = None
