"""tidings templates: what is said, tried out and looked through, and what must not be said any more."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import click
from msgspec import to_builtins

from audit.replay import Replayed, replay
from channels.segments import Cost, segments
from domain.catalogue import ChannelName
from domain.customer import Customer
from domain.errors import InputRefused, NotFound
from domain.events import Values
from journeys.definition import Journey
from templates.missing import Held, Skipped
from templates.model import Template
from templates.render import Rendered
from tidings.bootstrap import Tidings, bootstrap, wall_clock
from tidings.changing import withdraw
from tidings.cli.person import person_options, seen
from tidings.cli.proposing import Orders, tell_proposed
from tidings.cli.terminal import Terminal, common_options
from tidings.cli.trying import usual_store
from tidings.cli.worker import channels_option
from tidings.documents import Document, decode, read_document, shipped
from tidings.previews import Preview, channels_of, merged, names, preview, told_to, value_of, written
from tidings.sanctions import Person
from tidings.template_checks import Linted, looked_through
from tidings.wording import Wording

_SUFFIXES = (".yaml", ".yml")
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group("templates")
def command() -> None:
    """Templates: lint, preview, proof, withdraw."""


@command.command("lint")
@click.argument("template", metavar="PATH|NAME")
@common_options
@click.pass_context
def lint_command(ctx: click.Context, terminal: Terminal, template: str) -> None:
    """Everything that is wrong with a template, each with its place; exit 1 if there is an error.

    A PATH ends in .yaml or .yml; a NAME is a template of the store, or a shipped one.
    """
    known = _Known(terminal)
    found, document = known.one(template)
    problems = looked_through(found, document, journeys=known.journeys)
    failed = any(problem.severity == "error" for problem in problems)
    wording = Wording("en") if terminal.as_json else terminal.wording
    terminal.json(
        {
            "template": found.template,
            "version": found.version,
            "ok": not failed,
            "problems": [_problem(problem, wording) for problem in problems],
        }
    )
    for problem in problems:
        place = f"{problem.path or found.template}:{problem.line}:{problem.column}"
        place = place if problem.path else found.template
        severity = wording.tell(f"lint.{problem.severity}")
        terminal.complain(f"{place}: {severity}: {wording.tell(problem.finding.code, problem.values)}")
    if failed:
        ctx.exit(1)
    terminal.tell("lint.passed", template=found.template, version=found.version, warnings=len(problems))


@command.command("preview")
@click.argument("template", metavar="PATH|NAME")
@click.option(
    "--channel",
    type=click.Choice(get_args(ChannelName)),
    default="email",
    show_default=True,
    help="The channel by which it would be sent.",
)
@click.option(
    "--language", "spoken", metavar="LANG", help="The customer's language (theirs, or that of the output)."
)
@click.option("--customer", metavar="ID", help="A customer of the store, whose name is written.")
@click.option("--set", "settings", metavar="VAR=VALUE", multiple=True, help="A value; may be given again.")
@click.option("--out", type=_FOLDER, metavar="FOLDER", help="Write text and HTML into this folder.")
@person_options
@common_options
@click.pass_context
def preview_command(
    ctx: click.Context,
    terminal: Terminal,
    template: str,
    channel: ChannelName,
    spoken: str | None,
    customer: str | None,
    settings: tuple[str, ...],
    out: Path | None,
    person: Person,
) -> None:
    """One message of a template as it would be written, with made-up values for what is not set."""
    known = _Known(terminal)
    found, _ = known.one(template)
    of = known.customer(customer).customer if customer else None
    wanted = spoken or (of.language if of else terminal.settings.language)
    shown = preview(found, channel=channel, language=wanted, given=_given(settings), customer=of)
    seen(terminal, person, "templates preview", [customer] if customer else [])
    name = f"{found.template}.{shown.language}.{channel}"
    files = written(shown, out, name) if out else []
    terminal.json(_told(shown, files))
    if isinstance(shown.outcome, Rendered):
        if shown.outcome.heading:
            terminal.write(shown.outcome.heading, style="bold")
            terminal.write()
        terminal.write(shown.outcome.text.rstrip("\n"))
        if channel == "sms":
            terminal.write()
            terminal.tell("preview.segments", **to_builtins(segments(shown.outcome.text.rstrip("\n"))))
    else:
        _tell_want(terminal, shown.outcome)
        ctx.exit(1)
    _tell_files(terminal, files)


@command.command("proof")
@click.argument("template", metavar="NAME")
@click.option("--customers", metavar="ID,ID", required=True, help="Customers of the store.")
@click.option("--out", type=_FOLDER, metavar="FOLDER", required=True, help="Where the messages are written.")
@channels_option
@person_options
@common_options
def proof_command(
    terminal: Terminal, template: str, customers: str, out: Path, channels: Path | None, person: Person
) -> None:
    """A template's messages for real customers, by every channel it has; nothing is sent or recorded.

    Values are those of the customer's last message of this template, or made up where there was none. Texts
    tell what they would cost by the prices in the settings of channels.
    """
    priced = _priced(channels or terminal.settings.channels)
    known = _Known(terminal, asked_for=True)
    found, _ = known.one(template)
    told: list[dict[str, object]] = []
    rows: list[tuple[object, ...]] = []
    replays = {customer: known.customer(customer) for customer in names(customers)}
    seen(terminal, person, "templates proof", [*replays])
    for customer, replayed in replays.items():
        of = replayed.customer
        values = merged(found, told_to(replayed, found.template), replayed)
        for channel in channels_of(found, of.language):
            shown = preview(found, channel=channel, language=of.language, given=values, customer=of)
            files = written(shown, out, f"{customer}.{channel}")
            cost = priced(of, shown)
            told.append({"customer": customer, **_told(shown, files), "cost": _as_json(cost)})
            written_to = ", ".join(path.name for path in files) or "-"
            rows.append((customer, channel, shown.language, written_to, _shown(cost)))
    terminal.json(told)
    terminal.table("proof", ["customer", "channel", "language", "files", "cost"], rows)
    terminal.tell("proof.done", folder=out)


@command.command("withdraw")
@click.argument("name")
@click.option("--version", type=int, metavar="V", help="Only this version (all that are published).")
@person_options
@common_options
def withdraw_command(terminal: Terminal, name: str, version: int | None, person: Person) -> None:
    """Nothing of this template leaves any more, until a newer version of it is published."""
    tidings, now = bootstrap(terminal.settings), wall_clock()
    orders = Orders(tidings.engine, person, at=now)
    found, users = withdraw(tidings.engine, name, version, at=now, put=orders.put)
    withdrawn = [] if orders.proposal else found
    journeys = [{"journey": journey, "version": number} for journey, number in users]
    told = {"template": name, "withdrawn": withdrawn, "journeys": journeys, **orders.told}
    terminal.json(told)
    if orders.proposal:
        tell_proposed(terminal, tidings, orders.changed)
    elif withdrawn:
        terminal.tell("withdraw.done", template=name, versions=", ".join(map(str, withdrawn)))
        terminal.tell("change.reach")
    else:
        terminal.tell("withdraw.already", template=name)
    if users:
        terminal.tell("withdraw.used", template=name)
        terminal.table("journeys", ["journey", "version"], users)


class _Known:
    """Templates, journeys and customers of the store, read only, or what is shipped where there is none."""

    def __init__(self, terminal: Terminal, *, asked_for: bool = False) -> None:
        self._tidings: Tidings | None = usual_store(terminal, asked_for=asked_for)
        if self._tidings is None:
            documents = shipped()
            self._templates = {template.template: template for template in documents.templates}
            self.journeys: list[Journey] = documents.journeys
        else:
            in_force = self._tidings.in_force()
            ordered = sorted(in_force.templates.values(), key=lambda template: template.version)
            self._templates = {template.template: template for template in ordered}
            self.journeys = list(in_force.rules.journeys.values())

    def one(self, wanted: str) -> tuple[Template, Document | None]:
        """The template in a file, or the newest of a name. Raises InputRefused, NotFound."""
        if wanted.endswith(_SUFFIXES) or Path(wanted).is_dir():
            document = read_document(Path(wanted))
            return decode(document, Template), document
        if wanted not in self._templates:
            raise NotFound("template.unknown", template=wanted, near=sorted(self._templates))
        return self._templates[wanted], None

    def customer(self, subject: str) -> Replayed:
        """A customer as they are known now. Raises NotFound; InputRefused where there is no store."""
        if self._tidings is None:
            raise InputRefused("template.needs_store", customer=subject)
        history = self._tidings.history
        try:
            return replay(history, subject)
        except NotFound:
            near = history.similar_subjects(subject)
            raise NotFound("customer.unknown", customer=subject, near=near) from None


def _given(settings: tuple[str, ...]) -> Values:
    pairs = [setting.partition("=") for setting in settings]
    for setting, (_, sign, _) in zip(settings, pairs, strict=True):
        if not sign:
            raise click.BadParameter(f"{setting!r} is not VAR=VALUE", param_hint="--set")
    return {name.strip(): value_of(text) for name, _, text in pairs}


def _problem(problem: Linted, wording: Wording) -> dict[str, object]:
    finding = problem.finding
    return {
        "path": problem.path,
        "line": problem.line,
        "column": problem.column,
        "language": finding.language,
        "part": finding.part,
        "severity": finding.severity,
        "code": finding.code,
        "message": wording.tell(finding.code, problem.values),
    }


def _told(shown: Preview, files: list[Path]) -> dict[str, object]:
    told: dict[str, object] = {
        "template": shown.template.template,
        "version": shown.template.version,
        "channel": shown.channel,
        "language": shown.language,
        "files": [str(path) for path in files],
    }
    match shown.outcome:
        case Rendered(heading=heading, text=text, html=html) as rendered:
            if shown.channel == "sms":
                told["segments"] = to_builtins(segments(text.rstrip("\n")))
            return {**told, "heading": heading, "text": text, "html": html, "sha256": rendered.sha256}
        case Held(variable=variable, hours=hours):
            return {**told, "missing": {"variable": variable, "do": "hold", "hours": hours}}
        case Skipped(variable=variable):
            return {**told, "missing": {"variable": variable, "do": "skip"}}


def _priced(path: Path | None) -> Callable[[Customer, Preview], Cost | None]:
    """What a text would cost by the first provider of its route; nothing is known without settings."""
    if path is None:
        return lambda person, shown: None
    # The providers' libraries cost more to import than most commands take.
    from tidings.providers import estimates

    estimate = estimates(path)
    return lambda person, shown: (
        estimate(person.address("sms") or "", shown.language, shown.outcome.text.rstrip("\n"))
        if shown.channel == "sms" and isinstance(shown.outcome, Rendered)
        else None
    )


def _as_json(cost: Cost | None) -> dict[str, object] | None:
    if cost is None:
        return None
    amount = None if cost.amount is None else f"{cost.amount:f}"
    return {"segments": cost.segments, "amount": amount, "currency": cost.currency}


def _shown(cost: Cost | None) -> str:
    if cost is None or cost.amount is None:
        return "-"
    return f"{cost.amount:f} {cost.currency} ({cost.segments})"


def _tell_want(terminal: Terminal, want: Held | Skipped) -> None:
    if isinstance(want, Held):
        terminal.tell("preview.held", variable=want.variable, hours=want.hours)
    else:
        terminal.tell("preview.skipped", variable=want.variable)


def _tell_files(terminal: Terminal, files: list[Path]) -> None:
    for path in files:
        terminal.tell("preview.written", path=path)
