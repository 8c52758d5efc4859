"""Requests by hand: facts that ask for a journey, checked before they are told."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from domain.catalogue import JourneyRequested
from domain.errors import InputRefused, NotFound
from journeys.definition import EnterOnRequest
from journeys.rulebook import REQUEST, Rules
from stores.inbox import Told
from tidings.importing.facts import Header, enveloped, shape_of

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,6})?")
Values = dict[str, str | int | float]


def value_of(text: str) -> str | int | float:
    """What a text says: a number where it is one as JSON writes it, such as ``-12.5``, else the text."""
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def requested_values(rules: Rules, journey: str, given: Mapping[str, str]) -> Values:
    """The values of a request for this journey.

    Raises NotFound for a journey that is not in force, InputRefused where it is not entered by request or
    other values are declared.
    """
    known = rules.journeys.get(journey)
    if known is None:
        raise NotFound("journey.unknown", journey=journey, near=sorted(rules.journeys))
    enter = known.enter
    if not isinstance(enter, EnterOnRequest):
        raise InputRefused("start.not_by_request", journey=journey, by=enter.__struct_config__.tag)
    if given.keys() != set(enter.values):
        found = ", ".join(sorted(given)) or "-"
        raise InputRefused(
            "start.values", journey=journey, found=found, expected=", ".join(enter.values) or "-"
        )
    return {name: value_of(text) for name, text in given.items()}


def requests(
    journey: str,
    customers: Iterable[str],
    values: Values,
    *,
    ident: str,
    requested_by: str,
    reason: str | None,
    at: datetime,
    now: datetime,
) -> Sequence[Told]:
    """One fact for each customer, once each; ``at`` (aware UTC) is when it is asked for.

    The same ``ident``, values and instant make the same facts again, which count once. Raises InputRefused
    where the instant cannot be meant, seen from ``now``.
    """
    shape, told = shape_of(REQUEST), []
    for customer in dict.fromkeys(customers):
        header = Header(type=REQUEST, source=f"start/{ident}", id=customer, subject=customer)
        fact = JourneyRequested(
            source=header.source,
            id=header.id,
            journey=journey,
            values=values,
            requested_by=requested_by,
            reason=reason,
        )
        told.append(Told(enveloped(shape, header, at=at, fact=fact, now=now), f"customer {customer}"))
    return told
