"""The rules in force, for the report: which rulebooks, what each journey does in sentences, the policy."""

from collections.abc import Iterator, Mapping

from msgspec import to_builtins

from domain.events import EnrolmentStarted, MessageRequested
from domain.policy import Policy
from journeys.definition import Branch, Journey, followers
from tidings.entry_sentences import entry_sentence
from tidings.evidence.blocks import Block, Paragraph, Table
from tidings.evidence.gathering import Gathered
from tidings.sentences import clause
from tidings.step_sentences import step_sentence
from tidings.wording import Wording


def rules_of_report(gathered: Gathered, wording: Wording) -> Iterator[Block]:
    """The rulebooks that were cited, the journeys of the disclosed events, and the last policy."""
    rows: dict[int, list[int]] = {}
    for event in gathered.stored:
        if event.version in gathered.told.all:
            rows.setdefault(event.rulebook, []).append(event.version)
    cited = gathered.cited
    listed = [
        (cited[number].digest, f"{versions[0]}-{versions[-1]}")
        for number, versions in sorted(rows.items())
        if number in cited
    ]
    columns = [_tell(wording, f"column.{name}") for name in ("rulebook", "events")]
    yield Table(columns, [75, 25], listed)
    for journey in _journeys(gathered):
        title = journey.title.get(wording.language) or next(iter(journey.title.values()))
        purpose = wording.tell(f"purpose.{journey.purpose}")
        entry = entry_sentence(journey.enter, wording)
        values = {"journey": journey.journey, "version": journey.version, "title": title}
        yield Paragraph(_tell(wording, "journey", **values, purpose=purpose, entry=entry))
        columns = [_tell(wording, f"column.{name}") for name in ("step", "does", "next")]
        yield Table(columns, [20, 55, 25], list(_steps(journey, wording)))
    if cited:
        rules = gathered.rules.get(max(cited))
        if rules is not None:
            yield from _policy(rules.policy, wording)


def _journeys(gathered: Gathered) -> list[Journey]:
    """Every version that a disclosed event names, as the last rulebook that has it says it."""
    wanted: set[tuple[str, int]] = set()
    for event in gathered.disclosed:
        if isinstance(event.body, MessageRequested | EnrolmentStarted):
            wanted.add((event.body.journey, event.body.version))
    known: dict[tuple[str, int], Journey] = {}
    for number in gathered.cited:
        if number in gathered.rules:
            known.update(gathered.rules[number].versions)
    return [known[key] for key in sorted(wanted) if key in known]


def _steps(journey: Journey, wording: Wording) -> Iterator[list[str]]:
    for step in journey.steps:
        told = step_sentence(step, wording)
        if isinstance(step, Branch):
            cases = [
                wording.tell("journeys.case", {"condition": clause(case.when, wording), "next": case.next})
                for case in step.cases
            ]
            told = " ".join([told, *(case.strip() for case in cases)])
        yield [step.step, told, ", ".join(dict.fromkeys(followers(step)))]


def _policy(policy: Policy, wording: Wording) -> Iterator[Block]:
    """The policy's fields, one a row: what it says is data, and stands here as it is."""
    told: Mapping[str, object] = to_builtins(policy)
    yield Paragraph(_tell(wording, "policy", policy=policy.policy, version=policy.version))
    rows = [[name, part] for name in told if name not in ("policy", "version") for part in _parts(told[name])]
    yield Table([_tell(wording, f"column.{name}") for name in ("field", "value")], [25, 75], rows)


def _parts(value: object) -> Iterator[str]:
    if isinstance(value, list | tuple) and any(isinstance(part, dict) for part in value):
        for part in value:
            yield _plain(part)
    else:
        yield _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_plain(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return str(value)


def _tell(wording: Wording, code: str, **values: object) -> str:
    return wording.tell(f"evidence.report.{code}", values)
