"""Changes given by a command: in force at once where one person may, else proposed, and told as such."""

from collections.abc import Iterator
from datetime import datetime
from difflib import unified_diff

import msgspec
from msgspec import Struct
from sqlalchemy import Engine

from journeys.definition import Controls, Journey, Migration
from journeys.differences import differences
from journeys.rulebook import Rules
from tidings.approving import Changed, change, documents_of
from tidings.bootstrap import Tidings
from tidings.changing import effects
from tidings.cli.effects_shown import tell_effects
from tidings.cli.terminal import Terminal
from tidings.documents import Documents
from tidings.publications import named
from tidings.register import Proposal
from tidings.sanctions import Person
from tidings.telling import difference_lines

_LONGEST_LINE = 2_000


class Orders:
    """One person's orders to a store; ``changed`` is what the last one came to."""

    def __init__(self, engine: Engine, person: Person, *, at: datetime, at_once: bool = False) -> None:
        self._engine, self._person, self._at, self._at_once = engine, person, at, at_once
        self.changed = Changed([])

    def put(self, documents: Documents) -> None:
        """Put the documents in force, or propose them."""
        self.changed = change(
            self._engine, documents, person=self._person, at=self._at, at_once=self._at_once
        )

    @property
    def proposal(self) -> str | None:
        """The name of the proposal that waits for another person; None where all is in force."""
        return None if self.changed.proposal is None else self.changed.proposal.name

    @property
    def told(self) -> dict[str, object]:
        """What the command's JSON says besides: the proposal, where there is one."""
        return {} if self.proposal is None else {"proposal": self.proposal}


def tell_proposed(terminal: Terminal, tidings: Tidings, changed: Changed) -> None:
    """What was proposed, what it would change, and who can put it in force."""
    if changed.proposal is None:
        return
    code = "approvals.proposed_before" if changed.proposed_before else "approvals.proposed"
    terminal.tell(code, proposal=changed.proposal.name, by=changed.proposal.by)
    tell_changes(terminal, tidings, changed.proposal)
    terminal.tell("approvals.how", proposal=changed.proposal.name)


def tell_changes(terminal: Terminal, tidings: Tidings, proposal: Proposal, *, whole: bool = False) -> None:
    """What the proposal would change in what is in force, document by document.

    With ``whole`` the text of what is new, too: whoever approves it must be able to read it.
    """
    if proposal.change == "four_eyes_off":
        terminal.tell("approvals.would_turn_off")
        return
    if terminal.as_json:
        return
    rules = tidings.in_force().rules
    for kind, name, document in named(documents_of(proposal)):
        version = getattr(document, "version")  # noqa: B009 - all have one
        terminal.write()
        terminal.write(f"{kind.KIND} {name} {version}", style="bold")
        if isinstance(document, Migration):
            new = rules.versions[name, document.to]
            inside = tidings.ledger.inside(name)
            tell_effects(terminal, *effects(document, rules, new, inside, explicit=set()))
            continue
        former = _former(tidings, rules, kind.KIND, name, document)
        if former is None:
            terminal.tell("approvals.is_new")
            for line in _pretty(document) if whole else ():
                terminal.write(f"+{_cut(line)}")
        elif isinstance(former, Journey) and isinstance(document, Journey):
            for line in difference_lines(differences(former, document), terminal.wording):
                terminal.write(line)
        else:
            for line in _lines(former, document):
                terminal.write(_cut(line))
    terminal.write()


def _former(tidings: Tidings, rules: Rules, kind: str, name: str, document: Struct) -> Struct | None:
    """The version of the document that is in force; None where there is none."""
    ordered = rules.rulebook.controls if isinstance(rules.rulebook.controls, Controls) else Controls()
    match kind:
        case "journey":
            return rules.journeys.get(name)
        case "template":
            known = [v for n, v in tidings.in_force().templates if n == name]
            return tidings.in_force().templates[name, max(known)] if known else None
        case "policy":
            return rules.policy
        case "calendar":
            return rules.calendars.get(name)
        case "segment":
            return rules.segments.in_force.get(name)
        case "control":
            return next((control for control in ordered.journeys if control.journey == name), None)
        case _:
            return next((order for order in ordered.templates if order.template == name), None)


def _lines(former: Struct, document: Struct) -> Iterator[str]:
    """The lines by which two versions differ, as ``diff -u`` shows them."""
    old, new = (_pretty(found) for found in (former, document))
    return (line for number, line in enumerate(unified_diff(old, new, lineterm="", n=1)) if number > 1)


def _cut(line: str) -> str:
    """A line of a text; pictures of templates are lines without end."""
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"


def _pretty(document: Struct) -> list[str]:
    body = msgspec.json.encode(document, order="deterministic")
    return msgspec.json.format(body, indent=2).decode().splitlines()
