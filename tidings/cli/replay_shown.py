"""A replayed customer as tables: the events, what each changed, and how the customer stands."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from audit.changes import Change
from audit.replay import Replayed
from audit.standing import Inside, Standing, Underway
from audit.why import telling
from domain.consent import Word
from tidings.cli.terminal import Terminal
from tidings.wording import Wording


class Shown(Struct, frozen=True):
    """What is to be told: events from ``first`` on, with ``changes`` by event where they are asked for.

    ``stepping``: the reader goes from event to event.
    """

    replayed: Replayed
    standing: Standing
    first: int
    changes: Sequence[list[Change]] | None
    stepping: bool


def show(terminal: Terminal, shown: Shown) -> None:
    """Tables for people; nothing in them names the customer."""
    replayed, wording = shown.replayed, terminal.wording
    if not replayed.history:
        terminal.tell("replayed.nothing_known", customer=replayed.subject)
        return
    rows = []
    for place, event in enumerate(replayed.history):
        if event.version < shown.first:
            continue
        told = [f"{name} {value}" for name, value in telling(event).items() if _telling(name, value)]
        if shown.changes is not None:
            told = [_change(change, wording) for change in shown.changes[place]]
        at = _shown(event.occurred_at)
        rows.append((event.version, at, event.kind, event.cause or "", "; ".join(told)))
    columns = ["version", "occurred_at", "kind", "cause", "what" if shown.changes is None else "changed"]
    terminal.table("replay", columns, rows)
    terminal.write()
    states = [(wording.tell(f"replay.{name}"), value) for name, value in _standing(shown, wording) if value]
    terminal.table("replay", ["state", "value"], states)
    if shown.stepping:
        place = len(replayed.history)
        terminal.write()
        terminal.tell("replayed.place", version=place, last=replayed.last_version)


def _standing(shown: Shown, wording: Wording) -> Iterator[tuple[str, str]]:
    stands = shown.standing
    yield "at", _shown(stands.at)
    yield "since", stands.since.isoformat() if stands.since else ""
    yield "gone", wording.tell("replayed.gone") if stands.gone else ""
    yield "zone", stands.zone
    yield "language", stands.language
    yield "region", stands.region
    yield "channels", ", ".join(stands.channels)
    yield "dead", ", ".join(stands.dead)
    yield "opted_out", ", ".join(stands.opted_out)
    yield "consents", "; ".join(_word(word) for word in stands.consents)
    yield "care_holds", ", ".join(stands.care_holds)
    yield (
        "risk",
        "" if stands.risk_level is None else f"{stands.risk_level} → {stands.risk_valid_until or '…'}",
    )
    yield (
        "holdings",
        "; ".join(f"{n} ({h.kind}, {h.matures_on or '…'})" for n, h in sorted(stands.holdings.items())),
    )
    yield "assets", stands.assets or ""
    yield "profile", ", ".join(f"{name}={value}" for name, value in sorted(stands.profile.items()))
    yield "segments", ", ".join(f"{name}: {found}" for name, found in sorted(stands.segments.items()))
    for cap in stands.caps:
        values = {"used": cap.used, "left": cap.left, "at_most": cap.at_most, "days": cap.in_days}
        which = "/".join((*cap.purposes, *cap.channels))
        yield "cap", f"{cap.cap} ({which}): " + wording.tell("replayed.cap", values)
    for state in stands.enrolments:
        yield "enrolments", _inside(state, wording)
    for message in stands.messages:
        yield "message", _underway(message, wording)
    for task in stands.tasks:
        yield "task", task
    for timer in stands.timers:
        yield "timers", f"{_shown(timer.due_at)} {timer.timer} ({timer.planned_by})"
    if (rules := stands.rules) is not None:
        yield (
            "rules",
            wording.tell(
                "replayed.rules",
                {
                    "rulebook": rules.rulebook,
                    "digest": rules.digest[:12],
                    "engine": rules.engine,
                    "policy": rules.policy,
                    "policy_version": rules.policy_version,
                },
            ),
        )


def _inside(state: Inside, wording: Wording) -> str:
    told = f"{state.journey} {state.version} @ {state.step}"
    if state.held_since is not None:
        return told + wording.tell("replayed.held", {"since": _shown(state.held_since)})
    return told + (wording.tell("replayed.until", {"until": _shown(state.until)}) if state.until else "")


def _underway(message: Underway, wording: Wording) -> str:
    told = f"{message.template} ({message.journey}, {message.status})"
    return told + (wording.tell("replayed.until", {"until": _shown(message.until)}) if message.until else "")


def _change(change: Change, wording: Wording) -> str:
    path = ".".join(change.path)
    if change.personal:
        return wording.tell("replayed.changed", {"path": path})
    change = change.public
    if change.before is None:
        return f"{path}: {change.after}"
    return f"{path}: {change.before} → {change.after if change.after is not None else '–'}"


def _telling(name: str, value: object) -> bool:
    return value not in (None, "", {}) and name not in ("source", "id")


def _word(word: Word) -> str:
    """Yes or no to what, how it was given and when, and the event that says so."""
    sign = "+" if word.granted else "-"
    said = f"{word.provenance}, {_shown(word.said_at)}"
    return f"{sign}{word.purpose}/{word.channel}/{word.topic} ({said}; {word.version})"


def _shown(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%MZ")
