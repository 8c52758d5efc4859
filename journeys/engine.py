"""The decision engine: what follows from one fact or wake-up. Pure: no I/O, no clock, no chance.

``decide`` is given the customer with the cause already folded in. ``hand_over`` is the last word on one
message, on the state of that moment. Both give the same answer to the same question for ever: what a change
of either's meaning alters is a switch of ``journeys.engine_versions``, off for rulebooks that name an older
version.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from domain import catalogue as facts
from domain import events
from domain.customer import Customer
from domain.events import Event
from domain.judgement import Verdict, judge
from domain.message import message_of_timer
from journeys import admission, controls, planning
from journeys.entering import enter_called, enter_on_fact, wake
from journeys.goals import reach_goals
from journeys.inside import hear_inside, wait_is_over
from journeys.membership import Memberships, differs, leave_all
from journeys.reach import HOLDING_FACTS, LEAVING_FACTS, PERSON_FACTS, nothing_follows
from journeys.rulebook import Rules
from journeys.turn import Call, Told, Turn


class Decided(Struct, frozen=True):
    """What was decided, in order, and the customer with all of it folded in."""

    events: list[Event]
    customer: Customer


def decide(customer: Customer, cause: Event, rules: Rules, now: datetime) -> Decided:
    """What follows from ``cause`` (already folded into ``customer``) at ``now`` (aware UTC)."""
    if nothing_follows(customer, cause, rules):
        return Decided([], customer)
    turn = Turn(customer, cause, rules, now)
    body = cause.body
    if isinstance(body, LEAVING_FACTS):
        _withdraw(turn)
    elif customer.active:
        memberships = Memberships(turn, cause)
        memberships.look()
        if isinstance(body, events.TimerFired):
            _wake(turn, body)
        elif isinstance(body, events.RulebookAdopted):
            _adopt(turn)
        elif isinstance(body, facts.Fact):
            _hear(turn, Told(cause.kind, body, cause.occurred_at, cause.version))
        memberships.follow()
        while turn.ahead:
            _go_ahead(turn, turn.ahead.pop(0))
            memberships.follow()
        memberships.plan()
    return Decided(turn.events, turn.customer)


def adopts(customer: Customer, rules: Rules, *, now: datetime) -> bool:
    """Whether anything follows for the customer from coming under these rules at ``now`` (aware UTC)."""
    if next(planning.adopted(customer, rules, now=now), None) is not None:
        return True
    return differs(customer, rules, now=now) or controls.concern(customer, rules, now=now)


def adopts_as(rules: Rules, former: Rules) -> bool:
    """Whether these rules ask nothing of anybody who has come to the former ones."""
    return former.plans_like(rules) and not controls.reach_inside(rules, former)


def hand_over(customer: Customer, message: str, rules: Rules) -> Verdict:
    """Whether this requested message may leave now, on current state; this word is final.

    What the policy allows or puts off may still be stopped by what is ordered of its journey or template.
    """
    now, state = customer.clock_at, customer.messages[message]
    verdict = judge(
        rules.policy,
        customer,
        state,
        calendars=rules.calendars,
        now=now,
        counts_doubt=rules.engine.counts_doubt,
    )
    return controls.overruled(verdict, state, rules, now=now)


def to_judge(customer: Customer, cause: Event, decided: Sequence[Event]) -> list[str]:
    """The messages that an input and its decisions bring to judgement, those of higher priority first.

    ``customer`` has all of them folded in.
    """
    due = [event.body.message for event in decided if isinstance(event.body, events.MessageRequested)]
    if isinstance(cause.body, events.TimerFired):
        message = message_of_timer(cause.body.timer)
        if message in customer.messages:
            due.insert(0, message)
    elif isinstance(cause.body, events.MessagePostponed) and cause.body.message in customer.messages:
        due.append(cause.body.message)
    return sorted(due, key=lambda name: -customer.messages[name].request.priority)


def _go_ahead(turn: Turn, item: Told | Call) -> None:
    """What a journey has set going: it is acted on like what comes from outside, after the steps."""
    turn.because = item.version
    if isinstance(item, Told):
        _hear(turn, item)
    else:
        enter_called(turn, item)


def _hear(turn: Turn, told: Told) -> None:
    """A fact: goals, who is inside, then entries, then the wake-ups that the new state asks for."""
    rules, kind, fact = turn.rules, told.kind, told.fact
    if turn.customer.watches and kind in rules.goal_facts:
        reach_goals(turn, told)
    if turn.customer.enrolments and kind in rules.inside_facts:
        hear_inside(turn, told)
    for journey in rules.fact_entries.get(kind, ()):
        enter_on_fact(turn, journey, told)
    if isinstance(fact, PERSON_FACTS):
        for journey in rules.by_person:
            turn.plan(planning.dated(turn.customer, journey, rules, now=turn.now))
    if isinstance(fact, PERSON_FACTS + HOLDING_FACTS):
        for journey in rules.by_contract:
            turn.plan(planning.dated(turn.customer, journey, rules, now=turn.now))
    silences = rules.silences.get(kind, ())
    if isinstance(fact, facts.CustomerRegistered):
        silences = tuple(journey for group in rules.silences.values() for journey in group)
    for journey in silences:
        turn.plan(planning.silence(turn.customer, journey, now=turn.now))


def _withdraw(turn: Turn) -> None:
    """The customer is gone: every enrolment ends and every wake-up is dropped."""
    for enrolment, state in tuple(turn.customer.enrolments.items()):
        turn.record(events.EnrolmentEnded(enrolment=enrolment, step=state.step, reason="withdrawn"))
    leave_all(turn)
    # What was asked for already is still to be judged, so that it ends with a reason.
    dropped = tuple(sorted(name for name in turn.customer.timers if message_of_timer(name) is None))
    if dropped:
        turn.record(events.TimersPlanned(dropped=dropped, reason="withdrawn"))


def _adopt(turn: Turn) -> None:
    """Other rules are in force: entries are planned as they ask; who is inside goes on as is ordered."""
    for plan in planning.adopted(turn.customer, turn.rules, now=turn.now):
        turn.record(plan)
    controls.adopt(turn)


def _wake(turn: Turn, fired: events.TimerFired) -> None:
    """A wake-up: an entry whose time has come, or the end of a wait."""
    name = admission.journey_of_timer(fired.timer)
    if name is None:
        wait_is_over(turn, fired.timer)
    else:
        wake(turn, name, fired)
