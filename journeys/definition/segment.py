"""The segment document: customers told apart by conditions, each in one class at most."""

from typing import Annotated

from msgspec import Meta, Struct

from journeys.definition.condition import Condition
from journeys.definition.words import Languages, Name


class SegmentClass(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One class of a segment: whom it holds is said by ``when``."""

    name: Name
    title: Languages
    when: Condition


class Segment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One version of a segment. A customer is in the first of its ``classes`` that holds, else in none.

    Conditions are decided as those of journeys are; there is no entry, so none may ask for an entry value.
    """

    segment: Name
    version: Annotated[int, Meta(ge=1)]
    title: Languages
    classes: Annotated[tuple[SegmentClass, ...], Meta(min_length=1, max_length=50)]
