"""The decision engine: what follows from one fact or wake-up. Pure: no I/O, no clock, no chance.

``decide`` is given the customer with the cause already folded in. ``hand_over`` is the last word on one
message, on the state of that moment. Both give the same answer to the same question for ever; a change
of either's meaning raises ENGINE_VERSION.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import assert_never

from msgspec import Struct

from domain import catalogue as facts
from domain import events
from domain.clock import first_at_local, local_day
from domain.customer import Customer
from domain.enrolment import enrolment_id, waiting_timer, work_id
from domain.events import KIND_OF, Decision, Event, Values
from domain.fold import evolve
from domain.judgement import Verdict, care_hold, judge
from domain.message import message_of_timer
from journeys import admission, planning
from journeys.admission import fact_key
from journeys.conditions import holds
from journeys.definition import (
    Branch,
    End,
    EnterOnBirthday,
    EnterOnFact,
    EnterOnMaturity,
    EnterOnSilence,
    Journey,
    Send,
    Step,
    Task,
    Wait,
    time_of,
)
from journeys.reach import HOLDING_FACTS, LEAVING_FACTS, PERSON_FACTS, nothing_follows
from journeys.rulebook import Rules

# A fact that is told later than this starts no journey: what it would lead to has lost its sense.
TOLD_LATE = timedelta(days=7)


class Decided(Struct, frozen=True):
    """What was decided, in order, and the customer with all of it folded in."""

    events: list[Event]
    customer: Customer


def decide(customer: Customer, cause: Event, rules: Rules, now: datetime) -> Decided:
    """What follows from ``cause`` (already folded into ``customer``) at ``now`` (aware UTC)."""
    if nothing_follows(customer, cause, rules):
        return Decided([], customer)
    turn = _Turn(customer, cause, rules, now)
    body = cause.body
    if isinstance(body, LEAVING_FACTS):
        turn.withdraw()
    elif not customer.active:
        pass
    elif isinstance(body, events.TimerFired):
        turn.wake(body.timer)
    elif isinstance(body, events.RulebookAdopted):
        turn.adopt()
    else:
        turn.hear(cause.kind)
    return Decided(turn.events, turn.customer)


def hand_over(customer: Customer, message: str, rules: Rules) -> Verdict:
    """Whether this requested message may leave now, on current state; the policy's word is final."""
    return judge(rules.policy, customer, customer.messages[message], now=customer.clock_at)


def to_judge(customer: Customer, cause: Event, decided: Sequence[Event]) -> list[str]:
    """The messages that an input and its decisions bring to judgement, those of higher priority first.

    ``customer`` has all of them folded in.
    """
    due = [event.body.message for event in decided if isinstance(event.body, events.MessageRequested)]
    if isinstance(cause.body, events.TimerFired):
        message = message_of_timer(cause.body.timer)
        if message in customer.messages:
            due.insert(0, message)
    return sorted(due, key=lambda name: -customer.messages[name].request.priority)


class _Turn:
    """One decision in the making: each event is folded in before the next is thought of."""

    def __init__(self, customer: Customer, cause: Event, rules: Rules, now: datetime) -> None:
        self.customer = customer
        self.cause = cause
        self.rules = rules
        self.now = now
        self.events: list[Event] = []

    def record(self, body: Decision, *, cause: int = 0) -> int:
        """Append a decision; gives its version, which may be the cause of what follows from it."""
        version = self.customer.version + 1
        event = Event(version, KIND_OF[type(body)], self.now, self.now, cause or self.cause.version, body)
        self.events.append(event)
        self.customer = evolve(self.customer, event)
        return version

    # What a fact sets going

    def hear(self, kind: str) -> None:
        """A fact: goals first, then entries, then the wake-ups that the new state asks for."""
        rules = self.rules
        if self.customer.enrolments and kind in rules.goal_facts:
            self._reach_goals(kind)
        for journey in rules.fact_entries.get(kind, ()):
            self._enter_on_fact(journey)
        body = self.cause.body
        if isinstance(body, PERSON_FACTS):
            for journey in rules.birthdays:
                self._plan(planning.birthdays(self.customer, journey, rules, now=self.now))
        if isinstance(body, PERSON_FACTS + HOLDING_FACTS):
            for journey in rules.maturities:
                self._plan(planning.maturities(self.customer, journey, rules, now=self.now))
        silences = rules.silences.get(kind, ())
        if isinstance(body, facts.CustomerRegistered):
            silences = tuple(journey for group in rules.silences.values() for journey in group)
        for journey in silences:
            self._plan(planning.silence(self.customer, journey, now=self.now))

    def withdraw(self) -> None:
        """The customer is gone: every enrolment ends and every wake-up is dropped."""
        for enrolment, state in tuple(self.customer.enrolments.items()):
            self.record(events.EnrolmentEnded(enrolment=enrolment, step=state.step, reason="withdrawn"))
        # What was asked for already is still to be judged, so that it ends with a reason.
        dropped = tuple(sorted(name for name in self.customer.timers if message_of_timer(name) is None))
        if dropped:
            self.record(events.TimersPlanned(dropped=dropped, reason="withdrawn"))

    def adopt(self) -> None:
        """Other rules are in force: entries are planned as they ask; who is inside a journey stays so."""
        for plan in planning.adopted(self.customer, self.rules, now=self.now):
            self.record(plan)

    def _reach_goals(self, kind: str) -> None:
        for enrolment, state in tuple(self.customer.enrolments.items()):
            journey = self.rules.versions[state.journey, state.version]
            if journey.goal is not None and journey.goal.fact == kind:
                self.record(
                    events.EnrolmentEnded(enrolment=enrolment, step=state.step, reason="goal_reached")
                )
                self._arm_silence_again(journey)

    def _enter_on_fact(self, journey: Journey) -> None:
        enter = journey.enter
        body = self.cause.body
        assert isinstance(enter, EnterOnFact)  # noqa: S101 - the rulebook's index holds no other
        assert isinstance(body, facts.Fact)  # noqa: S101 - only facts have no cause
        entry: Values = {"fact": body.id}
        if enter.when is not None and not holds(enter.when, self.customer, entry=entry):
            return
        key = fact_key(body)
        late = self.now - self.cause.occurred_at
        if late > TOLD_LATE:
            self._refuse(journey, key, "told_late", {"days_late": late.days, "days_allowed": TOLD_LATE.days})
        else:
            self._enter(journey, key=key, entry=entry)

    def _plan(self, plan: events.TimersPlanned | None) -> None:
        if plan is not None:
            self.record(plan)

    def _arm_silence_again(self, ended: Journey) -> None:
        self._plan(planning.silence_again(self.customer, ended, self.rules, now=self.now))

    # What a wake-up sets going

    def wake(self, timer: str) -> None:
        """A wake-up: the end of a wait, or an entry whose time has come."""
        name = admission.journey_of_timer(timer)
        if name is None:
            self._wait_is_over(timer)
            return
        journey = self.rules.journeys.get(name)
        if journey is None:
            return
        # A wake-up that another version planned, with another way to enter, starts nothing.
        simple = timer == admission.entry_timer(name)
        match journey.enter:
            case EnterOnBirthday() as enter if simple:
                self._enter_on_birthday(journey, enter)
            case EnterOnMaturity() if not simple:
                entry = admission.maturity_entry(self.customer, timer)
                if entry is not None:
                    self._enter(journey, key=entry[0], entry=entry[1])
            case EnterOnSilence() if simple:
                self._enter_on_silence(journey)
            case _:
                pass

    def _enter_on_birthday(self, journey: Journey, enter: EnterOnBirthday) -> None:
        birth_date, calendars = self.customer.birth_date, self.rules.calendars
        if birth_date is not None:
            today = local_day(self.now, self.customer.zone)
            key, entry = admission.birthday_entry(birth_date, enter, today, calendars=calendars)
            self._enter(journey, key=key, entry=entry)
        later = self.now + timedelta(microseconds=1)
        if plan := admission.birthday_plan(self.customer, journey, calendars=calendars, now=later):
            self.record(events.TimersPlanned(due=plan, reason="birthday"))

    def _enter_on_silence(self, journey: Journey) -> None:
        enter = journey.enter
        assert isinstance(enter, EnterOnSilence)  # noqa: S101 - matched by the caller
        due_at = admission.silence_due(self.customer, journey)
        if due_at is None:
            return
        if due_at > self.now:
            plan = {admission.entry_timer(journey.journey): due_at}
            self.record(events.TimersPlanned(due=plan, reason="not_silent"))
            return
        last_at = admission.silence_key(self.customer.last_at[enter.of])
        self._enter(journey, key=last_at, entry={"last_at": last_at, "days": enter.days})

    def _wait_is_over(self, timer: str) -> None:
        for enrolment, state in self.customer.enrolments.items():
            if waiting_timer(enrolment) == timer:
                journey = self.rules.versions[state.journey, state.version]
                step = journey.step(state.step)
                assert isinstance(step, Wait)  # noqa: S101 - only a wait sets this wake-up
                self._advance(enrolment, journey, step.next, cause=self.cause.version)
                return

    # The way through a journey

    def _enter(self, journey: Journey, *, key: str, entry: Values) -> None:
        for rule, values in admission.refusals(self.customer, journey, key=key, now=self.now):
            self._refuse(journey, key, rule, values)
            return
        enrolment = enrolment_id(self.customer.subject, journey=journey.journey, key=key)
        cause = self.record(
            events.EnrolmentStarted(
                enrolment=enrolment, journey=journey.journey, version=journey.version, key=key, entry=entry
            )
        )
        self._advance(enrolment, journey, journey.steps[0].step, cause=cause)

    def _refuse(self, journey: Journey, key: str, rule: str, values: Values) -> None:
        refused = events.AdmissionRefused(
            journey=journey.journey, version=journey.version, key=key, rule=rule, values=values
        )
        self.record(refused)

    def _advance(self, enrolment: str, journey: Journey, at: str, *, cause: int) -> None:
        """Take steps until one waits or ends; a validated journey has no way round without a wait."""
        following: str | None = at
        while following is not None:
            following = self._take(enrolment, journey, journey.step(following), cause=cause)

    def _take(self, enrolment: str, journey: Journey, step: Step, *, cause: int) -> str | None:
        match step:
            case Send():
                self.record(self._request(enrolment, journey, step), cause=cause)
                return step.next
            case Wait():
                until = first_at_local(self.now, days=step.days, at=time_of(step.at), zone=self.customer.zone)
                waiting = events.EnrolmentWaiting(enrolment=enrolment, step=step.step, until=until)
                self.record(waiting, cause=cause)
                return None
            case Branch():
                return self._choose(enrolment, step, cause=cause)
            case Task():
                self.record(self._task(enrolment, journey, step), cause=cause)
                return step.next
            case End():
                ended = events.EnrolmentEnded(enrolment=enrolment, step=step.step, reason="end")
                self.record(ended, cause=cause)
                self._arm_silence_again(journey)
                return None
            case _:
                assert_never(step)

    def _choose(self, enrolment: str, step: Branch, *, cause: int) -> str:
        entry = self.customer.enrolments[enrolment].entry
        chosen = next(
            (case.next for case in step.cases if holds(case.when, self.customer, entry=entry)),
            step.otherwise,
        )
        taken = events.BranchTaken(enrolment=enrolment, step=step.step, next=chosen, values=entry)
        self.record(taken, cause=cause)
        return chosen

    def _task(
        self, enrolment: str, journey: Journey, step: Task
    ) -> events.TaskCreated | events.TaskSuppressed:
        visit = self.customer.enrolments[enrolment].visits.get(step.step, 0) + 1
        task = work_id(enrolment, step=step.step, visit=visit)
        held = care_hold(self.rules.policy, self.customer, purpose=journey.purpose)
        if held is not None:
            return events.TaskSuppressed(
                task=task, enrolment=enrolment, step=step.step, rule="care_hold", values=held
            )
        return events.TaskCreated(
            task=task,
            enrolment=enrolment,
            journey=journey.journey,
            version=journey.version,
            step=step.step,
            role=step.role,
            due_at=self.now + timedelta(days=step.due_days),
        )

    def _request(self, enrolment: str, journey: Journey, step: Send) -> events.MessageRequested:
        state = self.customer.enrolments[enrolment]
        visit = state.visits.get(step.step, 0) + 1
        template = self.rules.templates[step.template]
        customer = self.customer
        values = {**state.entry, "given_name": customer.given_name, "family_name": customer.family_name}
        return events.MessageRequested(
            message=work_id(enrolment, step=step.step, visit=visit),
            enrolment=enrolment,
            journey=journey.journey,
            version=journey.version,
            step=step.step,
            visit=visit,
            channels=step.channels,
            template=step.template,
            template_version=template.version,
            purpose=journey.purpose,
            topic=journey.topic,
            variables={name: values.get(name) for name in template.variables},
            priority=journey.priority,
            valid_hours=step.valid_hours,
            product_risk=step.product_risk,
        )
