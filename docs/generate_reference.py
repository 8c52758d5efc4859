"""Writes the reference pages that follow from the code: facts, events, and every kind of document.

From the project's root: ``python docs/generate_reference.py`` writes them, with ``--check`` it writes nothing
and exits 1 naming each page that no longer says what the code says.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import get_args

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec import inspect as shape

from domain.calendars import Calendar, Holiday, WorkingDays
from domain.caps import Cap
from domain.catalogue import FACTS, CustomFact, Fact
from domain.events import EVENTS, Event, is_input
from domain.lunar import LunarMonths
from domain.policy import AgeLimit, ControlGroup, Policy
from domain.quiet import OnHolidays, QuietHours
from journeys import definition
from journeys.definition import (
    Case,
    Condition,
    Enter,
    Exit,
    Goal,
    Holdout,
    Journey,
    Moved,
    Reentry,
    Segment,
    SegmentClass,
    Step,
    Way,
    entry_values,
)
from journeys.rulebook import CUSTOMER_VARIABLES
from templates.language import FILTERS, METHODS, TESTS
from templates.links import PLACEHOLDERS
from templates.model import Content, Fallback, Hold, InboxEntry, Picture, Push, Skip, Template, WeChat

FOLDER = Path(__file__).parent / "reference"
_GENERATED = "<!-- Written by docs/generate_reference.py; change the code and run it, not this page. -->"

_FACTS_INTRO = """
A fact is something that the bank or a channel tells, in the past tense, under a literal, versioned name. It
comes in as a CloudEvent: `type` is the name, `subject` the customer, `time` when it happened, `source` and
`id` together identify it, and the fields below are its `data`. How files of facts are read, and what is
refused, stands in [importing.md](importing.md).

`source` and `id` (text, 1 to 200 characters each) belong to every fact and are left out of the tables. Dates
look like `2026-12-31`; a decimal number is a JSON text (`"100.50"`) or a JSON number. A field marked
*personal* identifies a person, or may: it is stored sealed by the customer's own key.
"""
_EVENTS_INTRO = """
A customer's history is made of facts ([facts.md](facts.md)) and of the events on this page. From an *input*,
as from a fact, decisions follow; a *decision* follows from its cause, and `tidings audit verify` makes it
again. Instants are UTC: in the store the envelope's are microseconds since 1970, those in bodies ISO 8601
texts. How these events follow each other: [lifecycles.md](../explanation/lifecycles.md).
"""
_JOURNEYS_INTRO = """
A journey is one YAML document; `tidings journeys validate FILE` checks it. Fields that are not on this page
are refused. A *name* is lower-case letters, digits and hyphens, begins with a letter, and has at most 63
characters. Times of day are the customer's own; days are days of the customer's calendar. The shipped
journeys in `journeys/library/` are examples of all of it but most conditions. `tidings journeys schema` gives
the same as a JSON Schema; `tidings journeys show NAME` tells entry and conditions as sentences.
"""
_ENTRIES_INTRO = """
What is planned ahead follows the customer: with another zone, birth date or contract it is worked out anew,
and what has its moment behind it then is over. So who moves east on the day itself, over the hour of `at`,
does not enter that day, and who moves west does not enter twice. A time that the clock skips comes as late
after it as it was before; one that it shows twice is the first.

`when` is asked at the moment of entry, of the customer and the values below. Where it does not hold nobody
enters, and no refusal is recorded, since most who are asked do not fit; of a request it is.
"""
_CONDITIONS_INTRO = """
A condition is a tree, decided from the customer's history alone, as of the customer's own clock: the fact
that is being decided on counts, the machine's time does not. What is not known makes a condition false, and
only a `not` around it true.
"""
_TOGETHER_INTRO = """
Besides the shape, validation requires that

- each fact that is named exists, or is a bank's own (`x.<name>/<version>`);
- a calendar exists, with lunar months for birthdays and festivals and working days to move by or to count;
- a `yearly` entry has just one day, which there is in some year, and a calendar if the day is lunar;
- an `anniversary` has `kinds` if it is one of a contract, and else none;
- the rule of a `schedule` can be read, and names a day within a hundred years;
- the values of a `request` differ from each other and from what every request and customer has;
- step names differ, and every `next`, `otherwise`, `to` and case leads to a step;
- every step can be reached, only a `jump` leads round, and there is a wait on every way round;
- the ways of a split differ in name and add up to 100 percent, and steps that name one experiment share it
  out alike;
- a wait says in one way how long it is, and an exit has a fact or a condition;
- a value that is named is one of those that the entry gives, an `await` takes along or a `webhook` answers,
  and what is taken from a fact is one of its fields;
- a `step_outcome` stands behind a step that sends, with a wait between them; in an exit behind any;
- `all` and `any` have parts, numbers that are compared have a bound (`holds`, `fact_count` and
  `message_count` may do without), and `at_least` is not above `at_most`;
- an `attribute` is compared as its type is: texts by `one_of`, numbers by `at_least` and `at_most`;
- the journey of an `entered`, `message_count` or `start`, and segment and classes of an `in_segment` or an
  entry, are published, or are published with this one; `validate`, which needs no store, does not look;
- the template of a `message_count` exists;
- templates exist, and need no other variables than the entry's and {customer};
- a promotional template stands in a journey of purpose `marketing` only.
"""

_POLICY_INTRO = """
A policy is one YAML document, the same for every journey; the shipped one is
`journeys/library/policies/standard.yaml`. Fields that are not on this page are refused. Days and times of
day are the customer's own.

A message is judged when it is asked for, and again when it was put off till then. First come the rules that
forbid it by every channel: `customer_gone`, `journey_left` (the goal was reached while it was put off),
`care_hold`, `control_group`, `too_young` and `too_old`, `risk_not_assessed`, `risk_too_high` and
`risk_assessment_expired`. Then each channel of the step in its order: `no_address`, `suppressed_address`,
`no_consent`, `consent_withdrawn`. What passes all of them leaves, unless `quiet_hours` or a `cap` stand
against it now: then it is put off to the first moment that none of them stands against, and judged anew at
that moment. If that moment comes after the message makes sense, it is not sent, by the rule that costs the
most time.

Hours in which messages *may* leave are written as the quiet hours around them: marketing on working days from
ten to seven only is quiet from `"19:00"` to `"10:00"`, and, by another window, all day on Saturdays, Sundays
and `holidays`. A calendar that a window names must be published, with working days.

An address that bounced or complained is suppressed for the customer of whom that was told. Another customer
who shares the address has a history of their own, which does not know of it: suppression across customers is
not built.

`tidings journeys publish --policy PATH` puts a bank's own policy in force; its version must be higher than
that of the one in force, whatever its name.
"""

_CALENDARS_INTRO = """
A calendar is one YAML document: working days of a country, or lunar months, or both. Fields that are not on
this page are refused. The shipped ones lie in `journeys/library/calendars/`: `cn` (mainland China), `cz`
(Czechia), `gb-eng` (England and Wales), `lunar`. A journey names one in its entry
([journeys.md](journeys.md#entries)), `tidings journeys publish --calendar PATH` publishes a newer version,
and the newest published counts. What is decided follows from the rulebook, which holds calendars in full.
"""

_SEGMENTS_INTRO = """
A segment is one YAML document: classes of customers, told apart by the [conditions](journeys.md#conditions)
of journeys. A customer is in the first class that holds, or in none; a plain segment has one class. Fields
that are not on this page are refused. The shipped ones lie in `journeys/library/segments/`: `asset-tier`,
`investment-need`, `behaviour`, `life-cycle`, `risk-level`; `tidings segments publish` publishes them,
`tidings segments publish PATH` a bank's own ([how to](../how-to/segments.md)). The newest version counts.

Membership is part of a customer's history: `segment.entered/1` and `segment.left/1` ([events.md](events.md))
say when a class changed, by which version, and the values that were seen.

- It is looked at when a fact comes that can change it, and at the beginning of those days of the customer's
  calendar with which it can change (wake-ups `segment:<name>`); so it is what the conditions say, at any
  instant. Facts of a very midnight come before the wake-ups of that instant.
- What a fact changes is recorded before it leads into journeys, and seen by their conditions.
- Who is not registered yet, or is gone, is in no class.
- A journey may be entered by it: `enter: {by: segment, segment: asset-tier, on: entered, classes: [wealth]}`.
  Each change is a new key, so how often somebody may enter is up to `reentry`. A change by a fact that is
  told more than seven days late leads nobody in (`told_late`), and neither does one that comes at the end of
  a long chain of journeys (`chain_too_long`).
- When a segment is published, or a new version of it, the next run works out everybody's class. What changes
  by it has the reason `adopted`, and leads nobody into a journey: the rules have changed, not the customer.
"""
_SEGMENTS_TOGETHER = """
Besides the shape, validation requires that

- class names differ;
- conditions are sound as [those of journeys](journeys.md#what-must-hold-together) are, and ask for no entry
  value;
- segments and classes that an `in_segment` names exist, and segments refer to each other in no circle;
- a new version keeps the classes to which journeys and segments in force refer.
"""

_TEMPLATES_INTRO = """
A template is one YAML document: what is said by each channel in each language. Fields that are not on this
page are refused; `tidings templates lint PATH` tells everything that is wrong with one, and
[the how-to](../how-to/templates.md) how they are written. The shipped ones lie in `templates/library/`,
examples with HTML in `examples/templates/`.
"""
_TEMPLATES_LANGUAGE = """
Texts are written in a small part of [Jinja](https://jinja.palletsprojects.com/): `{{{{ variable }}}}`,
`{{% if %}}`, `{{% for %}}`, `{{% set x = ... %}}`, comparisons, arithmetic on numbers, `~` for putting texts
together, `x if y else z`, and:

- filters: {filters}; `day` writes a date as the language does
- tests (`is`): {tests}
- methods of texts: {methods}; of `words`: {entries}; inside a loop `loop.index`, `loop.first`, `loop.last`
  and the like
- variables that need not be declared: `words` (the language's own) and {links}, which become the
  customer's own links when the message leaves

Nothing else is there: no macros, blocks, includes, attributes, functions. A text has at most 256 Ki
characters, a value in an expression 32 Ki, a loop 1,000 turns, and a filling ends when it has done too much
work. What comes out has at most 1,000 characters (subjects and titles), 10 Ki (SMS, push, WeChat), 64 Ki
(inbox), 256 Ki (text of an e-mail), 512 Ki (HTML).
"""

# What a text's pattern means, where the pattern alone would be no help.
_WORDED = {
    get_args(definition.Name)[1].pattern: "name",
    get_args(definition.ValueName)[1].pattern: "name (with `_`, not `-`)",
    get_args(definition.MonthDay)[1].pattern: 'day of a year, `"MM-DD"`',
    get_args(definition.LocalTime)[1].pattern: 'time of day, `"HH:MM"`',
    get_args(definition.Amount)[1].pattern: 'decimal number as text, `"100.50"`',
}
_FAMILIES: dict[object, str] = {
    **dict.fromkeys(get_args(Condition), "[condition](#conditions)"),
    **dict.fromkeys(get_args(Enter), "[entry](#entries)"),
    **dict.fromkeys(get_args(Step), "[step](#steps)"),
    Case: "[case](#case)",
    Way: "[way](#way)",
    Reentry: "[reentry](#reentry)",
    Moved: "[moved](#moved)",
    Goal: "[goal](#goal)",
    Holdout: "[holdout](#holdout)",
    Exit: "[exit](#exit)",
    SegmentClass: "[class](#segmentclass)",
    QuietHours: "[quiet hours](#quiethours)",
    OnHolidays: "[on holidays](#onholidays)",
    Cap: "[cap](#cap)",
    AgeLimit: "[age limit](#agelimit)",
    ControlGroup: "[control group](#controlgroup)",
    WorkingDays: "[working days](#workingdays)",
    Holiday: "[holiday](#holiday)",
    LunarMonths: "[lunar months](#lunarmonths)",
    Content: "[content](#content)",
    Push: "[push](#push)",
    InboxEntry: "[inbox entry](#inboxentry)",
    WeChat: "[WeChat message](#wechat)",
    Picture: "[picture](#picture)",
    Fallback: "[fallback](#do-fallback)",
    Hold: "[hold](#do-hold)",
    Skip: "[skip](#do-skip)",
}


def pages() -> dict[str, str]:
    """Each page's file name and text."""
    return {
        "facts.md": facts_page(),
        "events.md": events_page(),
        "journeys.md": journeys_page(),
        "segments.md": segments_page(),
        "policy.md": policy_page(),
        "templates.md": templates_page(),
        "calendars.md": calendars_page(),
    }


def facts_page() -> str:
    """Every fact of the catalogue, in its order, and a bank's own."""
    parts = [_head("Facts", _FACTS_INTRO)]
    for kind, fact in FACTS.items():
        parts.append(_section(f"`{kind}`", fact, hidden=Fact.__struct_fields__, personal=True))
    own = next(_worded(field.type) for field in _fields(CustomFact) if field.name == "data")
    parts.append(f"## `x.<name>/<version>`\n\n{_docstring(CustomFact)}\nIts `data` is a {own}.\n")
    return "\n".join(parts)


def events_page() -> str:
    """What surrounds every event, then inputs and decisions."""
    inputs = {kind: event for kind, event in EVENTS.items() if is_input(kind)}
    decisions = {kind: event for kind, event in EVENTS.items() if kind not in inputs}
    envelope = [f"| `{field.name}` | {_worded(shape.type_info(field.type))} |" for field in _envelope()]
    parts = [_head("Events", _EVENTS_INTRO), f"## The envelope\n\n{_docstring(Event)}\n"]
    parts.append("\n".join(["| field | type |", "|---|---|", *envelope]) + "\n")
    for title, group in (("Inputs", inputs), ("Decisions", decisions)):
        parts.append(f"## {title}\n")
        parts += [_section(f"`{kind}`", event, level=3) for kind, event in group.items()]
    return "\n".join(parts)


def journeys_page() -> str:
    """The journey document: its own fields, entries, steps, conditions, and what holds between them."""
    parts = [_head("Journeys", _JOURNEYS_INTRO), _section("The document", Journey)]
    parts += [_section(kind.__name__, kind, level=3) for kind in (Reentry, Goal, Holdout, Exit)]
    parts.append(f"## Entries\n{_ENTRIES_INTRO}")
    for entry in get_args(Enter):
        values = ", ".join(f"`{name}`" for name in _values_of(entry))
        parts.append(_section(_tag(entry), entry, level=3) + f"\nSteps and templates may use: {values}.\n")
    parts.append(_section("Moved", Moved, level=3))
    parts.append("## Steps\n")
    parts += [_section(_tag(step), step, level=3) for step in get_args(Step)]
    parts += [_section(kind.__name__, kind, level=3) for kind in (Case, Way)]
    parts.append(f"## Conditions\n{_CONDITIONS_INTRO}")
    parts += [_section(_tag(condition), condition, level=3) for condition in get_args(Condition)]
    customer = ", ".join(f"`{name}`" for name in CUSTOMER_VARIABLES)
    parts.append(f"## What must hold together\n{_TOGETHER_INTRO.format(customer=customer)}")
    return "\n".join(parts)


def segments_page() -> str:
    """The segment document, and what holds between segments."""
    parts = [_head("Segments", _SEGMENTS_INTRO), _section("The document", Segment)]
    parts.append(_section("SegmentClass", SegmentClass))
    parts.append(f"## What must hold together\n{_SEGMENTS_TOGETHER}")
    return "\n".join(parts)


def policy_page() -> str:
    """The policy document and its parts."""
    parts = [_head("Policy", _POLICY_INTRO), _section("The document", Policy)]
    parts += [_section(kind.__name__, kind) for kind in (QuietHours, OnHolidays, Cap, AgeLimit, ControlGroup)]
    return "\n".join(parts)


def calendars_page() -> str:
    """The calendar document and its parts."""
    parts = [_head("Calendars", _CALENDARS_INTRO), _section("The document", Calendar)]
    parts += [_section(kind.__name__, kind) for kind in (WorkingDays, Holiday, LunarMonths)]
    return "\n".join(parts)


def templates_page() -> str:
    """The template document, its parts, and the language of its texts."""
    parts = [_head("Templates", _TEMPLATES_INTRO), _section("The document", Template)]
    parts += [_section(kind.__name__, kind) for kind in (Content, Push, InboxEntry, WeChat, Picture)]
    parts.append("## When a value is missing\n")
    parts += [_section(_tag(kind), kind, level=3) for kind in (Fallback, Hold, Skip)]
    told = _TEMPLATES_LANGUAGE.format(
        filters=_listed(FILTERS),
        tests=_listed(name for name in TESTS if name.isalpha()),
        methods=_listed(METHODS[str]),
        entries=_listed(METHODS[dict]),
        links=_listed(PLACEHOLDERS),
    )
    parts.append(f"## The language of texts\n{told}")
    return "\n".join(parts)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def stale(folder: Path) -> list[Path]:
    """The pages in the folder that are missing or differ from what the code says."""
    wanted = {folder / name: text for name, text in pages().items()}
    return [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` name the stale ones; gives the exit code."""
    if list(arguments) not in ([], ["--check"]):
        sys.stderr.write("usage: python docs/generate_reference.py [--check]\n")
        return 2
    if arguments:
        found = stale(FOLDER)
        for path in found:
            sys.stderr.write(f"{path.name} is stale; run python docs/generate_reference.py\n")
        return 1 if found else 0
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


def _head(title: str, intro: str) -> str:
    return f"{_GENERATED}\n# {title}\n{intro}"


def _section(
    title: str,
    kind: type[Struct],
    *,
    level: int = 2,
    hidden: Sequence[str] = (),
    personal: bool = False,
) -> str:
    """A heading, what the docstring says, and a table of the fields."""
    fields = [field for field in _fields(kind) if field.name not in hidden]
    said = _docstring(kind)
    blocks = [f"{'#' * level} {title}", *([said] if said else [])]
    if fields:
        blocks.append("\n".join(_table(fields, personal=personal)))
    return "\n\n".join(blocks) + "\n"


def _fields(kind: type[Struct]) -> tuple[shape.Field, ...]:
    described = shape.type_info(kind)
    assert isinstance(described, shape.StructType)  # noqa: S101 - every kind here is a struct
    return described.fields


def _envelope() -> Iterator[msgspec.structs.FieldInfo]:
    """What stands around an event's body, which is one of many kinds and described by its own."""
    return (field for field in msgspec.structs.fields(Event) if field.name != "body")


def _docstring(kind: type[Struct]) -> str:
    """The class's own docstring, its ``code`` as Markdown's; a base's says nothing about it."""
    return cleandoc(vars(kind).get("__doc__") or "").replace("``", "`")


def _table(fields: Sequence[shape.Field], *, personal: bool) -> Iterator[str]:
    headings = ["field", "type", "required", "default", *(["personal"] if personal else [])]
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for field in fields:
        cells = [
            f"`{field.encode_name}`",
            _worded(field.type),
            "yes" if field.required else "",
            _default(field),
        ]
        if personal:
            cells.append("yes" if _is_personal(field.type) else "")
        yield "| " + " | ".join(cells) + " |"


def _default(field: shape.Field) -> str:
    # A default that is left out of the bytes is none that the library tells.
    if field.required or field.default is field.default_factory is NODEFAULT:
        return ""
    value = field.default_factory() if field.default is NODEFAULT else field.default
    return "" if value is None else f"`{msgspec.json.encode(value).decode()}`"


def _is_personal(kind: shape.Type) -> bool:
    if isinstance(kind, shape.UnionType):
        return any(_is_personal(part) for part in kind.types)
    return isinstance(kind, shape.Metadata) and bool((kind.extra or {}).get("personal"))


def _worded(kind: shape.Type) -> str:
    """A type in words, for a cell of a table."""
    match kind:
        case shape.Metadata():
            return _worded(kind.type)
        case shape.UnionType():
            return _either([part for part in kind.types if not isinstance(part, shape.NoneType)])
        case shape.StrType():
            return _text(kind)
        case shape.IntType():
            return "whole number" + _bounds(kind.ge, kind.le)
        case shape.LiteralType():
            return " or ".join(f"`{value}`" for value in kind.values)
        case shape.VarTupleType():
            number = " (at least one)" if kind.min_length else ""
            return f"list of: {_worded(kind.item_type)}{number}"
        case shape.DictType():
            value = kind.value_type
            kinds = value.types if isinstance(value, shape.UnionType) else (value,)
            return f"mapping of text to {_either(kinds)}"
        case shape.StructType():
            return _FAMILIES.get(kind.cls, f"`{kind.cls.__name__}`")
        case _:
            return _PLAIN[type(kind)]


_PLAIN: Mapping[type[shape.Type], str] = {
    shape.BoolType: "boolean",
    shape.NoneType: "null",
    shape.FloatType: "number",
    shape.DecimalType: "decimal number",
    shape.DateType: "date",
    shape.DateTimeType: "instant",
}


def _either(kinds: Sequence[shape.Type]) -> str:
    """Several types in words, each once."""
    *others, last = dict.fromkeys(map(_worded, kinds))
    return f"{', '.join(others)} or {last}" if others else last


def _text(kind: shape.StrType) -> str:
    if kind.pattern is not None:
        return _WORDED.get(kind.pattern) or f"text like `{kind.pattern}`".replace("|", r"\|")
    bounds = _bounds(kind.min_length, kind.max_length)
    return f"text{bounds} characters" if bounds else "text"


def _bounds(least: float | None, most: float | None) -> str:
    if least is None and most is None:
        return ""
    if most is None:
        return f", {least} or more"
    return f", up to {most}" if least is None else f", {least} to {most}"


def _tag(kind: type[Struct]) -> str:
    """How the document names this entry, step or condition."""
    config = kind.__struct_config__
    return f"`{config.tag_field}: {config.tag}`"


def _values_of(entry: type[Struct]) -> tuple[str, ...]:
    """What an enrolment by this entry holds; it depends on the sort of entry alone."""
    return entry_values(entry(**{field.name: None for field in _fields(entry) if field.required}))  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
