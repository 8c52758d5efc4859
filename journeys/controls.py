"""What is ordered of journeys and templates in the middle: paused, stopped, migrated, withdrawn.

Pauses need no look at anybody: they hold up whoever would go on. Everything else reaches who is there by the
adoption of the rulebook that carries it.
"""

from datetime import datetime

from domain.customer import Customer
from domain.enrolment import Enrolment
from domain.events import EnrolmentResumed, TimersPlanned, Values
from domain.judgement import Deferred, Forbidden, Verdict, valid_until
from domain.message import PAUSED, Message, deferral_timer
from journeys import migrating
from journeys.inside import carry_on
from journeys.leaving import leave
from journeys.rulebook import Rules
from journeys.turn import Turn
from journeys.walking import advance


def reach_inside(rules: Rules, former: Rules) -> bool:
    """Whether these rules order something that somebody who has come to the former ones must be told of."""
    return (
        rules.migrations != former.migrations
        or not rules.ended <= former.ended
        or not former.paused <= rules.paused
        or not rules.withdrawn <= former.withdrawn
    )


def concern(customer: Customer, rules: Rules, *, now: datetime) -> bool:
    """Whether the adoption of these rules changes something for who is inside, or for what is put off."""
    if not customer.active:
        return False
    if any(_is_concerned(state, rules) for state in customer.enrolments.values()):
        return True
    return any(_is_due_again(message, rules, now) for message in customer.messages.values())


def adopt(turn: Turn) -> None:
    """Bring everybody who is inside to where these rules want them, then judge again what they put off."""
    for enrolment, state in tuple(turn.customer.enrolments.items()):
        if enrolment in turn.customer.enrolments and _is_concerned(state, turn.rules):
            _bring(turn, enrolment)
    due = {
        deferral_timer(name): turn.now
        for name, message in turn.customer.messages.items()
        if _is_due_again(message, turn.rules, turn.now)
    }
    if due:
        turn.record(TimersPlanned(due=due, reason="judged_again"))


def overruled(verdict: Verdict, message: Message, rules: Rules, *, now: datetime) -> Verdict:
    """The policy's word on a message, unless what is ordered stands against it.

    While its journey is paused a message is put off for as long as it makes sense. When the journey runs
    again it is judged at once.
    """
    # Of what only comes too late, the order is the reason that counts.
    if isinstance(verdict, Forbidden) and "free_at" not in verdict.values:
        return verdict
    request = message.request
    if request.journey in rules.ended:
        return Forbidden(verdict.channel, "journey_stopped", {"journey": request.journey})
    if _is_withdrawn(message, rules):
        seen: Values = {"template": request.template, "template_version": request.template_version}
        return Forbidden(verdict.channel, "template_withdrawn", seen)
    if request.journey not in rules.paused:
        return verdict
    until = valid_until(rules.policy, message)
    if until <= now:
        late: Values = {"journey": request.journey, "valid_until": until.isoformat()}
        return Forbidden(verdict.channel, PAUSED, late)
    return Deferred(verdict.channel, until, PAUSED, {"journey": request.journey})


def _is_concerned(state: Enrolment, rules: Rules) -> bool:
    if state.journey in rules.ended or migrating.concerned(state, rules):
        return True
    return state.held is not None and state.journey not in rules.paused


def _is_due_again(message: Message, rules: Rules, now: datetime) -> bool:
    """Whether a message is put off that these rules release, or that they do not let leave any more."""
    if message.deferred_until is None or message.deferred_until <= now:
        return False
    journey = message.request.journey
    released = message.held and journey not in rules.paused
    return released or journey in rules.ended or _is_withdrawn(message, rules)


def _is_withdrawn(message: Message, rules: Rules) -> bool:
    return (message.request.template, message.request.template_version) in rules.withdrawn


def _bring(turn: Turn, enrolment: str) -> None:
    state = turn.customer.enrolments[enrolment]
    if state.journey in turn.rules.ended:
        leave(turn, enrolment, reason="stopped")
        return
    begun, cause = None, 0
    for move in migrating.moves(turn.customer, enrolment, turn.rules):
        if move is None:
            leave(turn, enrolment, reason="migrated_out")
            return
        begun, cause = move.next, turn.record(move)
    state = turn.customer.enrolments[enrolment]
    journey = turn.rules.versions[state.journey, state.version]
    if state.held is None and begun is not None:
        advance(turn, enrolment, journey, begun, cause=cause)
    elif state.held is not None and state.journey not in turn.rules.paused:
        held = state.held
        resumed = EnrolmentResumed(enrolment=enrolment, step=state.step, next=held.next, due_at=held.since)
        turn.due_at = held.since
        carry_on(turn, enrolment, journey, held.next, cause=turn.record(resumed))
        turn.due_at = None
