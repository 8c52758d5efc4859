"""Migration of one customer as pure decisions: any versions, any moment, any number of changes."""

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.catalogue import CustomFact
from journeys.definition import Control, Controls, End, Migration, State
from journeys.engine import adopts
from journeys.rulebook import Rulebook, Rules
from support import scenario
from support.changing import TEMPLATES, own, send
from support.facts import at, registered
from support.scenario import SHIPPED_RULEBOOK, Scenario, Sent
from support.strategies import START
from support.versions import Change, changes, check_one
from tidings.changing import moves_of
from tidings.documents import mark_of

scenario.TEMPLATES.update({(template.template, 1): template for template in TEMPLATES})
LAST = START + timedelta(days=200)


def rules_of(change: Change, *, upto: int) -> Rules:
    """The rules with so many of the versions, and the migrations to them."""
    migrations = tuple(
        Migration(
            journey="own",
            version=number,
            to=number + 1,
            moves=tuple(
                moves_of(
                    old,
                    change.versions[number],
                    mapping=change.mappings[number - 1],
                    ends=change.ends[number - 1],
                )
                for old in change.versions[:number]
            ),
        )
        for number in range(1, upto)
    )
    return Rules(
        Rulebook(
            journeys=change.versions[:upto],
            templates=tuple(mark_of(template) for template in TEMPLATES),
            policy=SHIPPED_RULEBOOK.policy,
            controls=Controls(migrations=migrations),
        )
    )


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(change=changes(), hours=st.integers(0, 24 * 20), more=st.integers(0, 24 * 20))
def test_no_message_is_asked_for_twice_and_every_passage_ends(change: Change, hours: int, more: int) -> None:
    life = Scenario(rules=rules_of(change, upto=1))
    _given(life).until(START + timedelta(hours=10 + hours))
    if not change.together:
        life.adopts(rules_of(change, upto=2)).until(START + timedelta(hours=10 + hours + more))
    life.adopts(rules_of(change, upto=3))
    assert not adopts(life.customer, life.rules, now=life.customer.clock_at)
    life.until(LAST)
    check_one([event.body for event in life.history])
    assert not life.customer.enrolments
    assert not [name for name in life.customer.timers if name.startswith("wait:")]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(change=changes(), hours=st.integers(0, 24 * 20))
def test_what_was_sent_is_known_by_steps_and_templates(change: Change, hours: int) -> None:
    life = Scenario(rules=rules_of(change, upto=1))
    _given(life).until(START + timedelta(hours=10 + hours))
    for state in life.customer.enrolments.values():
        steps = {step.step: step for step in change.versions[0].steps}
        sent = {(n, getattr(steps[n], "template", "")) for n in state.visits if hasattr(steps[n], "template")}
        assert set(state.sent) == sent
        assert state.before == ()


def ruled(state: State) -> Rules:
    """One journey with one message, and whether it runs."""
    only = own(send("say", "t-a", "end"), End(step="end"))
    orders = Controls(journeys=(Control(journey="own", version=1, state=state),))
    marks = tuple(mark_of(template) for template in TEMPLATES)
    policy = SHIPPED_RULEBOOK.policy
    return Rules(Rulebook(journeys=(only,), templates=marks, policy=policy, controls=orders))


def test_what_is_put_off_is_called_to_judgement_once_when_the_journey_runs_again() -> None:
    """Rules that come once more before it is judged, as after a crash, ask for nothing."""
    life = Scenario(rules=ruled("running"))
    life.given((START, registered()))
    night = at("2026-01-06 23:00")
    life._take("x.ask/1", night, cause=0, body=CustomFact(source="/test", id="ask"))
    life.adopts(ruled("paused")).until(at("2026-01-07 09:00"))
    (message,) = life.customer.messages.values()
    assert message.held
    assert message.deferred_until == night + timedelta(hours=168)
    life.adopts(ruled("running"))
    (message,) = life.customer.messages.values()
    assert message.deferred_until == at("2026-01-07 08:00")
    assert not adopts(life.customer, life.rules, now=life.customer.clock_at)
    assert life.until(life.customer.clock_at).messages() == [Sent("t-a", "email", at("2026-01-07 08:00"))]


def _given(life: Scenario) -> Scenario:
    life.given((START, registered()))
    life._take("x.ask/1", START + timedelta(hours=10), cause=0, body=CustomFact(source="/test", id="ask"))
    return life
