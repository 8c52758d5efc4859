"""What simulations and dry runs found, as tables and as JSON."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, to_builtins

from journeys.definition import Journey
from tidings.cli.terminal import Terminal
from tidings.trying.dry_run import Tried
from tidings.trying.passages import Passages, totals

_BAR = 30
_DAYS_SHOWN = 45


class Assumed(Struct, frozen=True):
    """What a dry run knows and does not: from when to when (aware UTC), and which journeys need facts.

    ``facts_waiting`` are in the store and not decided on; of ``replayed`` days the facts happened again.
    """

    begun: datetime
    until: datetime
    by_fact: tuple[str, ...]
    by_silence: tuple[str, ...]
    facts_waiting: int
    replayed: int | None
    in_force: bool


def simulated(
    terminal: Terminal,
    journey: Journey,
    passages: Passages,
    *,
    customers: int,
    begun: datetime,
    until: datetime,
) -> None:
    """What a simulation found of one journey."""
    terminal.json(
        {
            "journey": journey.journey,
            "version": journey.version,
            "customers": customers,
            "from": begun,
            "until": until,
            **_as_json(passages),
        }
    )
    terminal.tell(
        "trying.simulated",
        journey=journey.journey,
        version=journey.version,
        customers=f"{customers:,}",
        begun=f"{begun:%Y-%m-%d}",
        until=f"{until:%Y-%m-%d}",
    )
    _passages(terminal, journey, passages)
    _days(terminal, {"sent": passages}, bars="sent")


def tried(terminal: Terminal, journey: Journey, found: Tried, assumed: Assumed) -> None:
    """What a dry run found, and what it could not know."""
    mine = found.beside.get(journey.journey, Passages())
    whole, former = totals(found.beside), totals(found.without)
    terminal.json(
        {
            "journey": journey.journey,
            "version": journey.version,
            "customers": found.customers,
            "from": assumed.begun,
            "until": assumed.until,
            "entered_by_facts": assumed.by_fact,
            "entered_by_silence": assumed.by_silence,
            "facts_waiting": assumed.facts_waiting,
            "replayed_days": assumed.replayed,
            "in_force": assumed.in_force,
            **_as_json(mine),
            "with": {name: _as_json(found.beside[name]) for name in sorted(found.beside)},
            "without": {name: _as_json(found.without[name]) for name in sorted(found.without)},
            "conflicts": {name: to_builtins(found.clashes[name]) for name in sorted(found.clashes)},
        }
    )
    terminal.tell(
        "trying.tried",
        journey=journey.journey,
        version=journey.version,
        customers=f"{found.customers:,}",
        begun=f"{assumed.begun:%Y-%m-%d %H:%M}",
        until=f"{assumed.until:%Y-%m-%d %H:%M}",
    )
    _assumptions(terminal, assumed)
    _passages(terminal, journey, mine)
    _days(terminal, {"sent": mine, "without": former, "with": whole}, bars="sent")
    _conflicts(terminal, journey, found)


def _assumptions(terminal: Terminal, assumed: Assumed) -> None:
    """What the figures rest on, a plain line for each."""
    terminal.tell("trying.unwritten")
    if assumed.in_force:
        terminal.tell("trying.in_force")
    if assumed.facts_waiting:
        terminal.tell("trying.waiting", waiting=f"{assumed.facts_waiting:,}")
    if assumed.replayed is not None:
        terminal.tell("trying.replayed", days=assumed.replayed)
        return
    if assumed.by_fact:
        terminal.tell("trying.by_fact", journeys=", ".join(assumed.by_fact))
    if assumed.by_silence:
        terminal.tell("trying.by_silence", journeys=", ".join(assumed.by_silence))


def _passages(terminal: Terminal, journey: Journey, passages: Passages) -> None:
    """What became of those who entered, step by step, and of the messages."""
    wording = terminal.wording
    terminal.tell("trying.entered", entered=f"{passages.entered:,}", customers=f"{passages.entrants:,}")
    steps = [
        (step.step, to_builtins(step)["do"], passages.visits[step.step], passages.inside[step.step])
        for step in journey.steps
    ]
    # Who is inside an older version stands at its steps.
    known = {step.step for step in journey.steps}
    others = sorted((passages.visits.keys() | passages.inside.keys()) - known)
    steps += [(name, "", passages.visits[name], passages.inside[name]) for name in others]
    terminal.write()
    terminal.table("trying", ["step", "does", "visits", "inside"], steps)
    rows: list[tuple[str, str, int]] = []
    for group, prefix, counts in (
        ("refused", "refused.", passages.refused),
        ("ended", "ended.", passages.ended),
        ("sent", "channel.", passages.by_channel()),
        ("deferred", "", passages.deferred),
        ("suppressed", "", passages.suppressed),
        ("tasks", "", passages.tasks),
        ("no_tasks", "", passages.no_tasks),
    ):
        heading = wording.tell(f"trying.what.{group}")
        rows += [(heading, named(terminal, prefix, name), number) for name, number in _sorted(counts)]
    if passages.waiting:
        rows.append((wording.tell("trying.what.waiting"), "", passages.waiting))
    if rows:
        terminal.write()
        terminal.table("trying", ["what", "which", "number"], rows)


def named(terminal: Terminal, prefix: str, name: str) -> str:
    """A rule, reason or channel in words; a cap with its own name."""
    rule, _, own = name.partition(":")
    wording = terminal.wording
    code = f"{prefix}{rule}"
    told = wording.tell(code) if wording.has(code) else rule
    return f"{told}: {own}" if own else told


def _days(terminal: Terminal, columns: Mapping[str, Passages], *, bars: str) -> None:
    """Messages by day, or by month where there are many days, with a bar for one of the columns."""
    counts = {name: _by_day(passages) for name, passages in columns.items()}
    days = {day for found in counts.values() for day in found}
    if len(days) > _DAYS_SHOWN:
        counts = {name: _by_month(found) for name, found in counts.items()}
    periods = sorted({day for found in counts.values() for day in found})
    if not periods:
        terminal.write()
        terminal.tell("trying.nothing_sent")
        return
    most = max(1, *counts[bars].values()) if counts[bars] else 1
    rows = [
        (
            period,
            *(found[period] for found in counts.values()),
            "█" * -(-counts[bars][period] * _BAR // most),
        )
        for period in periods
    ]
    rows.append(("", *(found.total() for found in counts.values()), ""))
    terminal.write()
    terminal.table("trying", ["day", *(f"day.{name}" for name in counts), "bar"], rows)


def _by_day(passages: Passages) -> Counter[str]:
    return Counter({day: channels.total() for day, channels in passages.sent.items()})


def _by_month(days: Mapping[str, int]) -> Counter[str]:
    months: Counter[str] = Counter()
    for day, number in days.items():
        months[day[:7]] += number
    return months


def _conflicts(terminal: Terminal, journey: Journey, found: Tried) -> None:
    """The other journeys whose messages do not leave as they would have."""
    terminal.write()
    rows = [
        (name, clash.lost.total(), clash.later, clash.gained, ", ".join(_reasons(terminal, clash.lost)))
        for name, clash in sorted(found.clashes.items())
        if name != journey.journey
    ]
    if rows:
        terminal.tell("trying.conflicts", journey=journey.journey)
        terminal.table("trying", ["journey", "lost", "later", "gained", "because"], rows)
    else:
        terminal.tell("trying.no_conflicts")


def _reasons(terminal: Terminal, lost: Counter[str]) -> Iterable[str]:
    for name, number in _sorted(lost):
        yield f"{named(terminal, '', name)} {number:,}"


def _sorted(counts: Counter[str]) -> Sequence[tuple[str, int]]:
    return sorted((name, number) for name, number in counts.items() if number)


def _as_json(passages: Passages) -> dict[str, object]:
    told: dict[str, object] = to_builtins(passages)
    told["sent"] = {day: dict(sorted(passages.sent[day].items())) for day in sorted(passages.sent)}
    return told
