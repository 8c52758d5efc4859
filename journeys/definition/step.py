"""The steps of a journey, and the ways between them."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from domain.catalogue import ChannelName
from journeys.definition.condition import Condition
from journeys.definition.words import Days, Languages, LocalTime, Name


class _Step(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="do"
):
    step: Name


class Send(_Step, tag="send", frozen=True, kw_only=True):
    """Ask for one message by the first channel that may be used. Policy judges when it leaves.

    Where it has to be put off, for quiet hours or a cap, it leaves at the first moment allowed within
    ``valid_hours``, else not at all; the policy says how long where the step does not. ``product_risk`` is
    the risk level, 1 to 5, of a product that the message recommends.
    """

    template: Name
    channels: Annotated[tuple[ChannelName, ...], Meta(min_length=1)]
    valid_hours: Annotated[int, Meta(ge=1, le=8784)] | None = None
    product_risk: Annotated[int, Meta(ge=1, le=5)] | None = None
    next: Name


class Wait(_Step, tag="wait", frozen=True, kw_only=True):
    """Go on at the first ``at`` by which ``days`` days have passed."""

    days: Days
    at: LocalTime
    next: Name


class Case(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One way of a branch."""

    when: Condition
    next: Name


class Branch(_Step, tag="branch", frozen=True, kw_only=True):
    """Go the way of the first case that holds."""

    cases: Annotated[tuple[Case, ...], Meta(min_length=1)]
    otherwise: Name


class Task(_Step, tag="task", frozen=True, kw_only=True):
    """Ask a person of ``role`` for work within ``due_days``; ``title`` in each language."""

    role: Literal["relationship_manager", "call_centre", "operator"]
    title: Languages
    due_days: Days
    next: Name


class End(_Step, tag="end", frozen=True, kw_only=True):
    """The journey ends here."""


Step = Send | Wait | Branch | Task | End


def followers(step: Step) -> tuple[str, ...]:
    """The names of the steps that may come directly after this one."""
    match step:
        case Branch():
            return (*(case.next for case in step.cases), step.otherwise)
        case End():
            return ()
        case _:
            return (step.next,)
