"""tidings approvals: what waits for a second person, who decided on it, and whether two are needed."""

import click
from msgspec import to_builtins

from domain.clock import from_micros
from domain.errors import InputRefused
from tidings.approved import approvals
from tidings.approving import (
    approve,
    ask_for_two,
    end,
    overtaken,
    proposal_of,
    proposals,
    propose_alone,
)
from tidings.bootstrap import Tidings, bootstrap, wall_clock
from tidings.cli.person import person_options
from tidings.cli.proposing import tell_changes, tell_proposed
from tidings.cli.terminal import Terminal, common_options, shown
from tidings.register import Proposal, State
from tidings.sanctions import Person


@click.group("approvals")
def command() -> None:
    """Changes that one person proposed and another puts in force."""


@command.command("list")
@click.option("--all", "every", is_flag=True, help="Those that were decided on too.")
@common_options
def list_command(terminal: Terminal, every: bool) -> None:
    """The proposals that wait for another person, the oldest first."""
    found = proposals(bootstrap(terminal.settings).engine, pending=not every)
    terminal.json([_as_json(proposal) for proposal in found])
    rows = [
        (
            p.name,
            p.created_on.strftime("%Y-%m-%d %H:%MZ"),
            p.by,
            _what(p),
            terminal.wording.tell(f"approvals.state.{p.state}"),
            p.decided_by,
        )
        for p in found
    ]
    if rows:
        terminal.table("approvals", ["proposal", "at", "by", "what", "state", "decided_by"], rows)
    else:
        terminal.tell("approvals.none")


@command.command("given")
@common_options
def given_command(terminal: Terminal) -> None:
    """Everything that ever came into force: proposed and approved by whom, when and why."""
    found = approvals(bootstrap(terminal.settings).engine).given
    terminal.json([{"at": from_micros(at), **to_builtins(approval)} for at, approval in found])
    rows = [
        (
            shown(at),
            approval.proposed_by,
            approval.approved_by,
            ", ".join(f"{b.kind} {b.name} {b.version}" for b in approval.documents),
            approval.reason,
            approval.proposal,
        )
        for at, approval in found
    ]
    terminal.table("approvals", ["at", "by", "approved_by", "what", "reason", "proposal"], rows)


@command.command("show")
@click.argument("proposal", metavar="ID")
@common_options
def show_command(terminal: Terminal, proposal: str) -> None:
    """One proposal: who, when, why, what it would change, and whether it still can. JSON has the texts."""
    tidings = bootstrap(terminal.settings)
    found = proposal_of(tidings.engine, proposal)
    changed = overtaken(tidings.in_force().rules, found) if found.state == "pending" else []
    terminal.json(
        {
            **_as_json(found),
            "rests_on": found.rests_on,
            "overtaken": [{"then": then, "now": now} for then, now in changed],
            "texts": [document.text for document in found.documents],
        }
    )
    values = {"proposal": found.name, "by": found.by, "at": f"{found.created_on:%Y-%m-%d %H:%MZ}"}
    terminal.tell("approvals.made", **values, reason=found.reason or "-")
    if found.decided_at is not None:
        terminal.tell(
            f"approvals.was_{found.state}",
            by=found.decided_by,
            at=f"{found.decided_at:%Y-%m-%d %H:%MZ}",
            reason=found.decided_because or "-",
        )
    rows = [(d.kind, d.name, d.version, d.digest) for d in found.documents]
    if rows:
        terminal.table("approvals", ["kind", "name", "version", "digest"], rows)
    if found.state != "pending":
        return
    if changed:
        for then, now in changed:
            terminal.tell("approvals.overtaken", proposal=found.name, then=then, now=now)
        return
    tell_changes(terminal, tidings, found, whole=True)
    terminal.tell("approvals.how", proposal=found.name)


@command.command("approve")
@click.argument("proposal", metavar="ID")
@person_options
@common_options
def approve_command(terminal: Terminal, proposal: str, person: Person) -> None:
    """Put in force exactly what another person proposed."""
    tidings = bootstrap(terminal.settings)
    before = proposal_of(tidings.engine, proposal).state
    new = approve(tidings.engine, proposal, person=person, at=wall_clock())
    published = [{"kind": kind, "name": name, "version": version} for kind, name, version in new]
    changed = before == "pending"
    terminal.json({"proposal": proposal, "state": "approved", "changed": changed, "published": published})
    if not changed:
        terminal.tell("approvals.approved_before", proposal=proposal)
    elif new:
        terminal.tell("init.published")
        terminal.table("init", ["kind", "name", "version"], new)
        terminal.tell("change.reach")
    else:
        terminal.tell("approvals.two_off")


@command.command("reject")
@click.argument("proposal", metavar="ID")
@person_options
@common_options
def reject_command(terminal: Terminal, proposal: str, person: Person) -> None:
    """Turn down what another person proposed; say why with --reason."""
    if not person.reason:
        raise InputRefused("approvals.reject_needs_reason", proposal=proposal)
    _end(terminal, bootstrap(terminal.settings), proposal, "rejected", person)


@command.command("withdraw")
@click.argument("proposal", metavar="ID")
@person_options
@common_options
def withdraw_command(terminal: Terminal, proposal: str, person: Person) -> None:
    """Take back what you proposed."""
    _end(terminal, bootstrap(terminal.settings), proposal, "withdrawn", person)


@command.command("four-eyes")
@click.argument("wanted", metavar="[on|off]", type=click.Choice(["on", "off"]), required=False)
@person_options
@common_options
def four_eyes_command(terminal: Terminal, wanted: str | None, person: Person) -> None:
    """Whether changes need two persons. Anybody may turn it on; to turn it off needs two."""
    tidings = bootstrap(terminal.settings)
    if wanted == "off":
        changed = propose_alone(tidings.engine, person=person, at=wall_clock())
        required = changed.proposal is not None
        proposal = changed.proposal.name if changed.proposal else None
        terminal.json({"four_eyes": required, "proposal": proposal})
        if changed.proposal is None:
            terminal.tell("approvals.two_off")
        tell_proposed(terminal, tidings, changed)
        return
    if wanted == "on":
        ask_for_two(tidings.engine, person=person, at=wall_clock())
    required = approvals(tidings.engine).four_eyes
    terminal.json({"four_eyes": required, "proposal": None})
    terminal.tell("approvals.two_on" if required else "approvals.two_off")


def _end(terminal: Terminal, tidings: Tidings, name: str, state: State, person: Person) -> None:
    changed = end(tidings.engine, name, state, person=person, at=wall_clock())
    terminal.json({"proposal": name, "state": state, "changed": changed})
    terminal.tell(f"approvals.{state}" if changed else f"approvals.{state}_before", proposal=name)


def _what(proposal: Proposal) -> str:
    if proposal.change == "four_eyes_off":
        return "four-eyes off"
    return ", ".join(f"{d.kind} {d.name} {d.version}" for d in proposal.documents)


def _as_json(proposal: Proposal) -> dict[str, object]:
    return {
        "proposal": proposal.name,
        "change": proposal.change,
        "state": proposal.state,
        "by": proposal.by,
        "at": proposal.created_on,
        "reason": proposal.reason,
        "documents": [to_builtins(document.bound) for document in proposal.documents],
        "decided_by": proposal.decided_by or None,
        "decided_at": proposal.decided_at,
        "decided_because": proposal.decided_because or None,
    }
