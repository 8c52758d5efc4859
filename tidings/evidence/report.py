"""The report that people read: what happened, what was said and why, by which rules, and how it is proved."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import UNSET, Struct, to_builtins

from audit.evidence.timeline import timeline
from audit.why import Explanation
from domain.catalogue import ConsentGranted, ConsentWithdrawn, Fact
from domain.events import (
    AdmissionRefused,
    EnrolmentEnded,
    EnrolmentHeldOut,
    EnrolmentStarted,
    Event,
    StepSkipped,
    TaskSuppressed,
)
from tidings.cli.why import sentences
from tidings.evidence.blocks import Block, Card, Drawing, Figures, Heading, Paragraph, Report, Table, Tone
from tidings.evidence.gathering import Gathered
from tidings.evidence.proving import Proofs
from tidings.evidence.rules import rules_of_report
from tidings.wording import Wording

# What a table holds at most; all of it is in history.jsonl.
_MOST_ROWS = 250
_MOST_OF_A_TEXT = 3_000
_SHORT = 16
# Told by the bank's systems as they go, and too many to be read one by one.
_ROUTINE = ("transaction.posted", "balance.recorded", "session.started", "page.viewed")
_LABELS = ("facts", "consents", "others", "sent", "not_sent", "waiting", "passage", "yes", "no")
_TONES: Mapping[str, Tone] = {
    "accepted": "good",
    "suppressed": "bad",
    "rejected": "bad",
    "unknown": "waiting",
}


class Said(Struct, frozen=True):
    """The words of one intent, for the report; ``file`` is the pack's file with its HTML, "" without."""

    heading: str
    text: str
    digest: str
    file: str = ""


def report(
    gathered: Gathered,
    explanations: Sequence[Explanation],
    said: Mapping[str, Said],
    proofs: Proofs,
    wording: Wording,
) -> Report:
    """The report in the wording's language. ``said`` are the last words of each message that was to leave."""
    say = _Teller(wording)
    sent = [told for told in explanations if told.status != "suppressed"]
    refused = [told for told in explanations if told.status == "suppressed"]
    blocks: list[Block] = [
        *_summary(gathered, explanations, say),
        Heading(say("messages")),
        *(_cards(sent, said, wording) or [Paragraph(say("messages_none"), soft=True)]),
        Heading(say("refused")),
        Paragraph(say("refused_text"), soft=True),
        *_cards(refused, said, wording),
        *_refusals(gathered, say, wording),
        *_consents(gathered, say, wording),
        *_passages(gathered, say),
        *_facts(gathered, say),
        Heading(say("rules")),
        Paragraph(say("rules_text"), soft=True),
        *rules_of_report(gathered, wording),
        *_proofs(gathered, proofs, say),
    ]
    title = say("title", customer=gathered.customer)
    return Report(wording.language, title, _period(gathered, say), blocks)


class _Teller:
    """The report's own sentences, by the last part of their code."""

    def __init__(self, wording: Wording) -> None:
        self.wording = wording

    def __call__(self, code: str, **values: object) -> str:
        return self.wording.tell(f"evidence.report.{code}", values)


def _period(gathered: Gathered, say: _Teller) -> str:
    since, until = gathered.period.since, gathered.period.until
    if gathered.period.is_whole:
        return say("whole")
    return say(
        "period",
        since=f"{since:%Y-%m-%d %H:%M} UTC" if since else say("beginning"),
        until=f"{until:%Y-%m-%d %H:%M} UTC" if until else say("end"),
    )


def _summary(gathered: Gathered, explanations: Sequence[Explanation], say: _Teller) -> Iterator[Block]:
    inside = gathered.inside
    last = gathered.history[-1]
    statuses = [told.status for told in explanations]
    words = [event for event in inside if isinstance(event.body, ConsentGranted | ConsentWithdrawn)]
    yield Paragraph(say("intro"))
    numbers = {
        "facts": sum(isinstance(event.body, Fact) for event in inside),
        "asked": len(statuses),
        "sent": statuses.count("accepted"),
        "not_sent": statuses.count("suppressed"),
        "consents": len(words),
        "events": len(inside),
    }
    yield Figures([(f"{number:,}", say(f"figure.{name}")) for name, number in numbers.items()])
    values = {"last": last.version, "at": f"{last.recorded_at:%Y-%m-%d %H:%M} UTC"}
    yield Paragraph(say("state", **values, hash=gathered.stored[-1].hash.hex()), soft=True)
    if gathered.is_sealed:
        yield Paragraph(say("erased"))
    shown = [event for event in gathered.disclosed if gathered.told.inside & {event.version}]
    yield Heading(say("timeline"))
    labels = {name: say(f"timeline.{name}", number="{number}") for name in _LABELS}
    yield Drawing(timeline(shown, labels), say("timeline.text"))


def _cards(told: Sequence[Explanation], said: Mapping[str, Said], wording: Wording) -> list[Block]:
    return [_card(explanation, said.get(explanation.message), wording) for explanation in told]


def _card(told: Explanation, said: Said | None, wording: Wording) -> Card:
    say = _Teller(wording)
    asked = next(link for link in told.chain[::-1] if link.kind.startswith("message.requested/"))
    channel = wording.tell(f"channel.{told.channel}") if told.channel else say("no_channel")
    notes = [(say("note.message"), told.message)]
    if told.rule is not None:
        values = "; ".join(f"{name} {value}" for name, value in told.values.items())
        notes.append((say("note.rule"), f"{told.rule} ({values})" if values else told.rule))
    if told.consent is not None:
        notes.append((say("note.consent"), say("event", number=told.consent.version)))
    if said is not None and said.digest:
        notes.append((say("note.digest"), said.digest))
    lost = said is not None and not said.digest
    return Card(
        title=f"{asked.occurred_at:%Y-%m-%d %H:%M} UTC  {channel}  {told.template}",
        status=say(f"status.{told.status}"),
        tone=_TONES.get(told.status, "waiting"),
        sentences=[*sentences(told, wording), *([say("words_lost")] if lost else [])],
        heading=said.heading if said else "",
        text=_cut(said.text if said else ""),
        notes=notes,
        file=said.file if said else "",
    )


def _refusals(gathered: Gathered, say: _Teller, wording: Wording) -> Iterator[Block]:
    """What was decided against besides messages: entries into journeys, steps, work for people."""
    rows: list[list[str]] = []
    for event in gathered.inside:
        match event.body:
            case AdmissionRefused() as body:
                why = _rule(body.rule, body.values, wording)
                rows.append([_at(event), f"{body.journey} {body.version}", say("refusal.admission"), why])
            case EnrolmentHeldOut() as body:
                why = say("refusal.held_out_why", percent=body.percent)
                rows.append([_at(event), f"{body.journey} {body.version}", say("refusal.held_out"), why])
            case StepSkipped() as body:
                why = _rule(body.reason, body.values, wording)
                rows.append([_at(event), body.step, say("refusal.step"), why])
            case TaskSuppressed() as body:
                rows.append(
                    [_at(event), body.step, say("refusal.task"), _rule(body.rule, body.values, wording)]
                )
    if rows:
        columns = [say("column.at"), say("column.where"), say("column.what"), say("column.why")]
        yield from _table(columns, [18, 22, 20, 40], rows, say)


def _consents(gathered: Gathered, say: _Teller, wording: Wording) -> Iterator[Block]:
    rows: list[list[str]] = []
    for event in gathered.disclosed:
        if not isinstance(body := event.body, ConsentGranted | ConsentWithdrawn):
            continue
        given = [
            wording.tell(f"consent.{name}", {"value": value})
            for name in ("provenance", "text_version", "captured_through", "captured_by")
            if (value := getattr(body, name)) not in (None, UNSET)
        ]
        word = say("consent.yes" if isinstance(body, ConsentGranted) else "consent.no")
        purpose = wording.tell(f"purpose.{body.purpose}")
        about = say("consent.about", purpose=purpose, channel=body.channel, topic=body.topic)
        rows.append([str(event.version), _at(event), word, about, wording.tell("consent.and").join(given)])
    yield Heading(say("consents"))
    if not rows:
        yield Paragraph(say("consents_none"), soft=True)
        return
    names = ("event", "at", "word", "about", "given")
    yield from _table([say(f"column.{name}") for name in names], [9, 18, 9, 28, 36], rows, say)


def _passages(gathered: Gathered, say: _Teller) -> Iterator[Block]:
    """The customer's passages through journeys, each with its end."""
    rows: dict[str, list[str]] = {}
    for event in gathered.inside:
        match event.body:
            case EnrolmentStarted() as body:
                entry = ", ".join(f"{name} {value}" for name, value in body.entry.items())
                rows[body.enrolment] = [
                    f"{body.journey} {body.version}",
                    _at(event),
                    "-",
                    say("open"),
                    entry,
                ]
            case EnrolmentEnded() as body if body.enrolment in rows:
                rows[body.enrolment][2:4] = [_at(event), say(f"ended.{body.reason}")]
    if rows:
        yield Heading(say("passages"))
        names = ("journey", "entered", "left", "ended", "entry")
        columns = [say(f"column.{name}") for name in names]
        yield from _table(columns, [20, 17, 17, 14, 32], list(rows.values()), say)


def _facts(gathered: Gathered, say: _Teller) -> Iterator[Block]:
    """What the bank and its channels told: counted by kind, then one by one but for routine."""
    facts = [event for event in gathered.inside if isinstance(event.body, Fact)]
    if not facts:
        return
    kinds: dict[str, list[Event]] = {}
    for event in facts:
        kinds.setdefault(_name(event), []).append(event)
    counts = [[kind, f"{len(told):,}", _at(told[0]), _at(told[-1])] for kind, told in sorted(kinds.items())]
    yield Heading(say("facts"))
    columns = [say(f"column.{name}") for name in ("kind", "number", "first", "last")]
    yield from _table(columns, [34, 14, 26, 26], counts, say)
    single = [event for event in facts if _name(event) not in _ROUTINE]
    rows = [[str(event.version), _at(event), _name(event), _values(event)] for event in single]
    if rows:
        yield Paragraph(say("facts_single"), soft=True)
        columns = [say(f"column.{name}") for name in ("event", "at", "kind", "values")]
        yield from _table(columns, [9, 18, 23, 50], rows, say)


def _proofs(gathered: Gathered, proofs: Proofs, say: _Teller) -> Iterator[Block]:
    yield Heading(say("proofs"))
    yield Paragraph(say("proofs.chain", events=len(gathered.history), hash=gathered.stored[-1].hash.hex()))
    yield Paragraph(say("proofs.digests"))
    if proofs.checkpoint:
        values = {"origin": proofs.origin, "size": f"{proofs.size:,}", "root": proofs.root.hex()}
        yield Paragraph(say("proofs.tree", sealed=proofs.sealed, **values))
        keys = ", ".join(proofs.keys) or say("proofs.no_key")
        yield Paragraph(say("proofs.key", keys=keys))
    else:
        yield Paragraph(say("proofs.none"))
    if not gathered.period.is_whole:
        hidden = len(gathered.history) - len(gathered.told.all)
        yield Paragraph(say("proofs.hidden", hidden=hidden))
    yield Paragraph(say("proofs.how"))
    yield Paragraph(say("proofs.limits"), soft=True)


def _table(
    columns: Sequence[str], shares: Sequence[int], rows: Sequence[Sequence[str]], say: _Teller
) -> Iterator[Block]:
    yield Table(columns, shares, [[_cut(cell, 600) for cell in row] for row in rows[:_MOST_ROWS]])
    if len(rows) > _MOST_ROWS:
        yield Paragraph(say("more", more=f"{len(rows) - _MOST_ROWS:,}"), soft=True)


def _rule(rule: str, values: Mapping[str, object], wording: Wording) -> str:
    """Why an entry, a step or a task was decided against, with the values that were seen."""
    code = f"refused.{rule}"
    told = wording.tell(code) if wording.has(code) else rule
    listed = ", ".join(f"{name} {value}" for name, value in values.items())
    return f"{told} ({listed})" if listed else told


def _values(event: Event) -> str:
    told: dict[str, object] = to_builtins(event.body)
    told.update(told.pop("data", {}))  # type: ignore[call-overload]
    hidden = ("source", "id")
    return "; ".join(f"{n} {v}" for n, v in told.items() if n not in hidden and v not in (None, "", {}))


def _name(event: Event) -> str:
    return event.kind.partition("/")[0]


def _at(event: Event) -> str:
    return f"{event.occurred_at:%Y-%m-%d %H:%M}"


def _cut(text: str, most: int = _MOST_OF_A_TEXT) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
