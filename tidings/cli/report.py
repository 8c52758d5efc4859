"""tidings journeys report: what a journey and its ways did."""

from datetime import UTC, datetime

import click
from msgspec import to_builtins

from domain.clock import EPOCH, from_micros, to_micros
from domain.errors import NotFound
from tidings.bootstrap import bootstrap
from tidings.cli.terminal import Instant, Terminal, common_options
from tidings.effects import Comparison, Group, Interval, effects
from tidings.wording import Wording

_EVER = datetime(2201, 1, 1, tzinfo=UTC)


@click.command("report")
@click.argument("name")
@click.option(
    "--version", "versions", type=int, multiple=True, help="A version (that in force); may be given again."
)
@click.option(
    "--from", "since", type=Instant(), default=EPOCH, help="Only who entered at this instant or later."
)
@click.option("--until", type=Instant(), default=_EVER, help="Only who entered before this instant.")
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, max_open=True),
    default=0.95,
    show_default=True,
    help="How sure the intervals shall be.",
)
@common_options
def command(
    terminal: Terminal,
    name: str,
    versions: tuple[int, ...],
    since: datetime,
    until: datetime,
    confidence: float,
) -> None:
    """How many reached a journey's goal, by way and beside those held out, with intervals.

    Each customer counts once, by their first entry in the period, when the goal's window is over.
    """
    tidings = bootstrap(terminal.settings)
    rules = tidings.in_force().rules
    journey = rules.journeys.get(name)
    if journey is None:
        raise NotFound("journey.unknown", journey=name, near=sorted(rules.journeys))
    chosen = sorted(set(versions)) or [journey.version]
    known = [version for journey, version in rules.versions if journey == name]
    for version in chosen:
        if version not in known:
            told = ", ".join(map(str, known))
            raise NotFound("report.unknown_version", journey=name, found=version, expected=told)
    experiments = tidings.experiments
    others = [version for version in experiments.versions(name) if version not in chosen]
    now, counts = experiments.counts(name, chosen, since=to_micros(since), until=to_micros(until))
    found = effects(rules.versions[name, chosen[-1]], counts, confidence=confidence)
    english = Wording("en")
    notes = found.notes if counts else [("report.nobody", {"journey": name})]
    if others:
        notes = [*notes, ("report.other_versions", {"versions": ", ".join(map(str, others))})]
    terminal.json(
        {
            "journey": name,
            "versions": chosen,
            "from": since if since != EPOCH else None,
            "until": until if until != _EVER else None,
            "clock_at": from_micros(now),
            "confidence": confidence,
            "groups": to_builtins(found.groups),
            "comparisons": to_builtins(found.comparisons),
            "notes": [{"code": code, "message": english.tell(code, values)} for code, values in notes],
        }
    )
    wording = terminal.wording
    if counts:
        columns = ["group", "customers", "written_to", "counted", "reached", "rate"]
        terminal.table("report", columns, [_group_row(group, wording) for group in found.groups])
    if found.comparisons:
        terminal.write()
        columns = ["group", "over", "difference", "lift", "p_value", "shown"]
        terminal.table("report", columns, [_comparison_row(c, wording) for c in found.comparisons])
    terminal.write()
    for code, values in notes:
        terminal.tell(code, **values)


def _group_row(group: Group, wording: Wording) -> tuple[object, ...]:
    return (
        _named(group.step, group.way, group.group, wording),
        group.customers,
        group.written_to,
        group.counted,
        group.reached,
        _figure(group.rate, "{:.1f} %"),
    )


def _comparison_row(comparison: Comparison, wording: Wording) -> tuple[object, ...]:
    over = wording.tell("report.held_out") if comparison.over == "held_out" else comparison.over
    return (
        _named(comparison.step, comparison.way, "enrolled", wording),
        over,
        _figure(comparison.difference, "{:+.1f}"),
        _figure(comparison.lift, "{:+.1f} %"),
        "< 0.0001" if comparison.p_value < 0.0001 else f"{comparison.p_value:.4f}",
        wording.tell("report.yes" if comparison.shown else "report.no"),
    )


def _named(step: str | None, way: str | None, group: str, wording: Wording) -> str:
    return f"{step}: {way}" if way else wording.tell(f"report.{group}")


def _figure(figure: Interval | None, form: str) -> str:
    """The figure in hundredths and its bounds, e.g. ``20.0 % (5.2 … 33.4)``."""
    if figure is None:
        return "-"
    bounds = form.removesuffix(" %")
    low, high = (bounds.format(100 * bound) for bound in (figure.low, figure.high))
    return f"{form.format(100 * figure.value)} ({low} … {high})"
