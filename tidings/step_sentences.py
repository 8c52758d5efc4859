"""Steps and exits as sentences of the catalogue."""

from typing import assert_never

from journeys.definition import (
    Approval,
    Await,
    Branch,
    Delay,
    Emit,
    End,
    Exit,
    Jump,
    Moved,
    Send,
    Split,
    Start,
    Step,
    Task,
    Update,
    Wait,
    WaitUntil,
    Webhook,
)
from tidings.sentences import clause, counted, either, listed
from tidings.wording import Wording


def step_sentence(step: Step, wording: Wording) -> str:
    """What a step does, as a whole sentence; where it leads stands beside it."""
    match step:
        case Send(template=template, channels=channels):
            told = {"template": template, "channels": either("channel", channels, wording)}
            code = "step.send" if step.valid_hours is None else "step.send.valid"
            return wording.tell(code, {**told, "hours": _hours(step.valid_hours, wording)})
        case Wait() | Delay() | WaitUntil():
            return _wait(step, wording)
        case Await():
            return _await(step, wording)
        case Branch():
            return wording.tell("step.branch")
        case Split(ways=ways):
            shares = [f"{way.way} {way.percent} %" for way in ways]
            return wording.tell("step.split", {"ways": listed(shares, "and", wording)})
        case Jump(to=to, at_most=most):
            return wording.tell("step.jump", {"to": to, "times": counted(most, "time", wording)})
        case Update(set=noted):
            pairs = [f"{name} = {_plain(value)}" for name, value in noted.items()]
            return wording.tell("step.update", {"values": listed(pairs, "and", wording)})
        case Emit(fact=fact):
            return wording.tell("step.emit", {"fact": fact})
        case Start(journey=journey):
            return wording.tell("step.start", {"journey": journey})
        case Task(role=role) | Approval(role=role):
            return _work(step, role, wording)
        case Webhook(endpoint=endpoint):
            told = {"endpoint": endpoint, "hours": _hours(step.within_hours, wording)}
            return wording.tell("step.webhook", told)
        case End():
            return wording.tell("step.end")
        case _:
            assert_never(step)


def exit_sentence(way: Exit, wording: Wording) -> str:
    """When somebody leaves by this exit, as a whole sentence."""
    values: dict[str, object] = {"exit": way.exit, "fact": way.fact}
    code = "exit.fact" if way.when is None else "exit.fact.when" if way.fact else "exit.when"
    if way.when is not None:
        values["condition"] = clause(way.when, wording)
    return wording.tell(code, values)


def _wait(step: Wait | Delay | WaitUntil, wording: Wording) -> str:
    match step:
        case Delay(hours=hours, minutes=minutes):
            parts = [_hours(hours, wording)] if hours else []
            parts += [counted(minutes, "minute", wording)] if minutes else []
            return wording.tell("step.delay", {"time": listed(parts, "and", wording)})
        case WaitUntil(on=on, value=value, at=at):
            day = wording.tell("step.day.value", {"value": value}) if on is None else on.isoformat()
            if step.offset_days:
                offset = counted(abs(step.offset_days), "day", wording)
                side = "before" if step.offset_days < 0 else "after"
                day = wording.tell(f"step.day.{side}", {"days": offset, "day": day})
            return wording.tell("step.wait_until", {"day": day, "at": at}) + _moved(step.moved, wording)
        case Wait(days=days, at=at):
            told: dict[str, object] = {"days": counted(days, "day", wording), "at": at}
            if step.working is not None:
                told["days"] = counted(days, "working_day", wording)
                return wording.tell("step.wait.working", {**told, "calendar": step.working})
            if step.weekdays is not None:
                return wording.tell(
                    "step.wait.weekdays", {**told, "weekdays": either("weekday", step.weekdays, wording)}
                )
            return wording.tell("step.wait", told)


def _await(step: Await, wording: Wording) -> str:
    fact = step.fact
    if step.of_step is not None:
        fact = wording.tell("step.await.of_step", {"fact": fact, "step": step.of_step})
    if step.same:
        same = listed(step.same, "and", wording)
        fact = wording.tell("step.await.same", {"fact": fact, "fields": same})
    if step.when is not None:
        fact = wording.tell("step.await.when", {"fact": fact, "condition": clause(step.when, wording)})
    if step.within_hours is not None:
        time = _hours(step.within_hours, wording)
    else:
        days = counted(step.within_days, "day", wording)
        time = wording.tell("step.await.days", {"days": days, "at": step.at})
    return wording.tell("step.await", {"fact": fact, "time": time, "otherwise": step.otherwise})


def _work(step: Task | Approval, role: str, wording: Wording) -> str:
    title = step.title.get(wording.language) or next(iter(step.title.values()))
    told: dict[str, object] = {"role": wording.tell(role), "title": title}
    told["days"] = counted(step.due_days, "day", wording)
    if isinstance(step, Approval):
        return wording.tell("step.approval", {**told, "at": step.at, "otherwise": step.otherwise})
    if step.escalate_to is not None:
        return wording.tell("step.task.escalated", {**told, "other": wording.tell(step.escalate_to)})
    return wording.tell("step.task", told)


def _moved(moved: Moved | None, wording: Wording) -> str:
    if moved is None:
        return wording.tell("step.moved.none")
    return wording.tell(f"step.moved.{moved.to}", {"calendar": moved.calendar})


def _hours(hours: object, wording: Wording) -> str:
    return counted(hours, "hour", wording)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
