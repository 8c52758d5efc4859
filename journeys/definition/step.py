"""The steps of a journey, and the ways between them."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, Struct

from domain.catalogue import OWN_FACT, ChannelName
from domain.clock import Weekday
from journeys.definition.condition import Condition
from journeys.definition.entry import Moved
from journeys.definition.words import Days, Languages, LocalTime, Name

Role = Literal["relationship_manager", "call_centre", "operator"]


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
    """Go on at the first ``at`` by which ``days`` days have passed.

    With ``working``, the name of a calendar, they are working days, and it goes on on one. With ``weekdays``
    it goes on on one of these only. Both together are refused.
    """

    days: Days = 0
    at: LocalTime
    working: Name | None = None
    weekdays: Annotated[tuple[Weekday, ...], Meta(min_length=1)] | None = None
    next: Name


class Delay(_Step, tag="delay", frozen=True, kw_only=True):
    """Go on when so much time has passed, whatever the clock on the wall shows."""

    hours: Annotated[int, Meta(ge=0, le=8784)] = 0
    minutes: Annotated[int, Meta(ge=0, le=59)] = 0
    next: Name


class WaitUntil(_Step, tag="wait_until", frozen=True, kw_only=True):
    """Go on at ``at`` on the day ``on``, or on the day that an entry's ``value`` names.

    At once if it is past. ``offset_days`` counts from that day, ``moved`` brings it to a working day. Who
    has no such value, or one that is no day, goes on at once.
    """

    on: date | None = None
    value: str | None = None
    offset_days: Annotated[int, Meta(ge=-366, le=366)] = 0
    at: LocalTime
    moved: Moved | None = None
    next: Name


class Await(_Step, tag="await", frozen=True, kw_only=True):
    """Wait for such a fact and go on to ``next``; when it does not come in time, to ``otherwise``.

    ``when`` must hold of the customer with the fact, and the fields that ``same`` names must be what the
    entry's values of these names are: the complaint that the customer entered with, and no other. ``of_step``
    asks that the fact speaks of the message that this step sent last. ``values`` are fields of the fact that
    later steps may refer to. Time is up after ``within_hours``, or at the first ``at`` by which
    ``within_days`` days have passed.
    """

    fact: str
    when: Condition | None = None
    same: tuple[str, ...] = ()
    of_step: Name | None = None
    values: tuple[str, ...] = ()
    within_hours: Annotated[int, Meta(ge=1, le=8784)] | None = None
    within_days: Days | None = None
    at: LocalTime | None = None
    next: Name
    otherwise: Name


class Case(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One way of a branch."""

    when: Condition
    next: Name


class Branch(_Step, tag="branch", frozen=True, kw_only=True):
    """Go the way of the first case that holds."""

    cases: Annotated[tuple[Case, ...], Meta(min_length=1)]
    otherwise: Name


class Way(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One way of a split, for ``percent`` of a hundred customers."""

    way: Name
    percent: Annotated[int, Meta(ge=0, le=100)]
    next: Name


class Split(_Step, tag="split", frozen=True, kw_only=True):
    """Share customers out between ways, to compare them; a customer goes the same way every time.

    The way follows from the customer's id and the name of the ``experiment``, which is that of journey and
    step where none is given: whoever names the same experiment with the same percents, in another version or
    journey, gets the same ways. The ways take up 0 to 100 in their order; where percents change, those change
    ways whom a border passes. A way of 0 percent is closed, and keeps its place.
    """

    experiment: Name | None = None
    ways: Annotated[tuple[Way, ...], Meta(min_length=2)]


class Jump(_Step, tag="jump", frozen=True, kw_only=True):
    """Go back (or on) to the step ``to``, at most so many times in one passage; after that to ``otherwise``.

    Only a jump may lead round, and only past a step that waits.
    """

    to: Name
    at_most: Annotated[int, Meta(ge=1, le=100)]
    otherwise: Name


class Update(_Step, tag="update", frozen=True, kw_only=True):
    """Note something about the customer, for the condition ``profile`` of any journey."""

    set: Annotated[dict[Name, str | int | bool], Meta(min_length=1)]
    next: Name


class Emit(_Step, tag="emit", frozen=True, kw_only=True):
    """Tell a fact of the bank's own, ``x.<name>/<version>``: journeys may start on it, or wait for it.

    ``values`` are entry values that it carries under their names.
    """

    fact: Annotated[str, Meta(pattern=OWN_FACT)]
    values: tuple[str, ...] = ()
    next: Name


class Start(_Step, tag="start", frozen=True, kw_only=True):
    """Let the customer into another journey, in the version that is in force; this one goes on meanwhile.

    Values that the other one's entry gives, and this one has, go along.
    """

    journey: Name
    next: Name


class Task(_Step, tag="task", frozen=True, kw_only=True):
    """Ask a person of ``role`` for work within ``due_days``; ``title`` in each language.

    The journey goes on meanwhile. Work that no ``task.done/1`` tells of by then goes to ``escalate_to``.
    """

    role: Role
    title: Languages
    due_days: Days
    escalate_to: Role | None = None
    next: Name


class Approval(_Step, tag="approval", frozen=True, kw_only=True):
    """Ask a person of ``role`` for a word, and wait for it: ``next`` if ``task.done/1`` says ``approved``.

    Any other outcome, or none at the first ``at`` by which ``due_days`` days have passed, leads to
    ``otherwise``.
    """

    role: Role
    title: Languages
    due_days: Days
    at: LocalTime = "18:00"
    next: Name
    otherwise: Name


class Webhook(_Step, tag="webhook", frozen=True, kw_only=True):
    """Call the ``endpoint`` of this name with entry values, and wait for its answer.

    ``answers`` are values of the answer that later steps may refer to. An answer that says it failed, or none
    within ``within_hours``, leads to ``otherwise``.
    """

    endpoint: Name
    values: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    within_hours: Annotated[int, Meta(ge=1, le=720)] = 1
    next: Name
    otherwise: Name


class End(_Step, tag="end", frozen=True, kw_only=True):
    """The journey ends here."""


Waiting = Wait | Delay | WaitUntil | Await | Approval | Webhook
Step = Send | Waiting | Branch | Split | Jump | Update | Emit | Start | Task | End


def followers(step: Step) -> tuple[str, ...]:
    """The names of the steps that may come directly after this one."""
    match step:
        case Branch():
            return (*(case.next for case in step.cases), step.otherwise)
        case Split():
            return tuple(way.next for way in step.ways)
        case Jump():
            return (step.to, step.otherwise)
        case Await() | Approval() | Webhook():
            return (step.next, step.otherwise)
        case End():
            return ()
        case _:
            return (step.next,)


def waits(step: Step) -> bool:
    """Whether the customer stays at this step until something comes."""
    return isinstance(step, Waiting)


def step_values(steps: Iterable[Step]) -> tuple[str, ...]:
    """The names of values that steps bring in, besides those of the entry."""
    named: list[str] = []
    for step in steps:
        if isinstance(step, Await):
            named += step.values
        elif isinstance(step, Webhook):
            named += step.answers
    return tuple(dict.fromkeys(named))
