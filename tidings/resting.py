"""What a proposal rests on: the versions in force without which its preview would have been another."""

from collections.abc import Iterable, Iterator

from journeys.definition import Controls, Journey, Send
from journeys.rulebook import Rules
from tidings.documents import Documents
from tidings.publications import named


def rests_on(rules: Rules, documents: Documents) -> list[str]:
    """Kind, name and version of what counts, in order; version 0 for what is not there.

    That is the former version of each document, and what is read with it: the templates that a journey
    sends; the policy, calendars and segments, for journeys, segments and policies; the versions and the
    migrations of a journey, for a migration. An order to another journey is not among it.
    """
    found = {f"{kind} {name} {version}" for kind, name, version in _resting(rules, documents)}
    own = {(kind.KIND, name) for kind, name, _ in named(documents)}
    with_former = {f"{kind} {name} {_newest(rules, kind, name)}" for kind, name in own}
    return sorted(with_former | {place for place in found if tuple(place.split()[:2]) not in own})


def _resting(rules: Rules, documents: Documents) -> Iterator[tuple[str, str, int]]:
    if documents.journeys or documents.segments or documents.policy:
        yield "policy", rules.policy.policy, rules.policy.version
        for calendar in rules.calendars.values():
            yield "calendar", calendar.calendar, calendar.version
        for segment in rules.segments.in_force.values():
            yield "segment", segment.segment, segment.version
    for name in sorted(_sent(documents.journeys)):
        yield "template", name, _newest(rules, "template", name)
    for withdrawal in documents.controls.templates:
        yield "template", withdrawal.template, _newest(rules, "template", withdrawal.template)
    for migration in documents.controls.migrations:
        yield "journey", migration.journey, _newest(rules, "journey", migration.journey)


def _sent(journeys: Iterable[Journey]) -> set[str]:
    return {step.template for journey in journeys for step in journey.steps if isinstance(step, Send)}


def _newest(rules: Rules, kind: str, name: str) -> int:
    """The newest version of a document, 0 for none."""
    controls = rules.rulebook.controls
    ordered = controls if isinstance(controls, Controls) else Controls()
    match kind:
        case "journey":
            return rules.journeys[name].version if name in rules.journeys else 0
        case "template":
            return rules.templates[name].version if name in rules.templates else 0
        case "calendar":
            return rules.calendars[name].version if name in rules.calendars else 0
        case "segment":
            versions = [s.version for s in rules.rulebook.segments if s.segment == name]
        case "policy":
            return rules.policy.version
        case "control":
            versions = [control.version for control in ordered.journeys if control.journey == name]
        case "withdrawal":
            versions = [order.version for order in ordered.templates if order.template == name]
        case _:
            versions = [migration.version for migration in ordered.migrations if migration.journey == name]
    return max(versions, default=0)
