"""tidings audit checkpoint, keys, rotate-signer, publish and prove: the log's tree, signed and given away."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from audit.notes import Checkpoint
from audit.proofs import base64
from domain.codec import restored
from domain.errors import InputRefused, NotFound
from domain.ports import History, StoredEvent
from stores.tree import StoredTree
from tidings.bootstrap import Tidings, bootstrap, wall_clock
from tidings.cli.person import ordered, person_options
from tidings.cli.reading import Source, archive_option, opened
from tidings.cli.terminal import Terminal, common_options
from tidings.cli.worker import channels_option
from tidings.proving import consistency_of, inclusion_of
from tidings.sanctions import Person
from tidings.sealing import Sealer
from tidings.signers import assured_keys, rotate, signer_file

_PLACE = re.compile(r"([0-9]{1,9}):([0-9]{1,18})")
_PROOF_SUFFIX = ".tlog-proof"


def add_to(group: click.Group) -> None:
    """Put the commands under ``tidings audit``."""
    for command in (checkpoint_command, keys_command, rotate_command, publish_command, prove_command):
        group.add_command(command)


@click.command("checkpoint")
@common_options
def checkpoint_command(terminal: Terminal) -> None:
    """Seal what was recorded since into the log's tree, sign the tree, and print the checkpoint."""
    with _opened(terminal) as tidings:
        keys = assured_keys(terminal.settings, tidings.engine, clock=wall_clock)
        sealed = Sealer(tidings.engine, keys, clock=wall_clock).seal()
    told = _told(sealed.checkpoint)
    terminal.json({"added": sealed.added, "new": sealed.new, **told})
    terminal.write(sealed.checkpoint.note.removesuffix("\n"))


@click.command("keys")
@common_options
def keys_command(terminal: Terminal) -> None:
    """The keys that sign checkpoints, as others need them to check; the first use makes one."""
    with _opened(terminal) as tidings:
        keys = assured_keys(terminal.settings, tidings.engine, clock=wall_clock)
    vkeys = [key.verifier.text for key in keys]
    terminal.json({"origin": keys[-1].verifier.name, "keys": vkeys})
    for vkey in vkeys:
        terminal.write(vkey)


@click.command("rotate-signer")
@click.option("--retire", is_flag=True, help="End an overlap: from now on the newest key signs alone.")
@person_options
@common_options
def rotate_command(terminal: Terminal, retire: bool, person: Person) -> None:
    """Make a new key that signs beside the present one, put it on record, and sign with both."""
    with _opened(terminal) as tidings:
        ordered(terminal, person, "audit rotate-signer", retire=retire)
        keys = rotate(terminal.settings, tidings.engine, retire=retire, clock=wall_clock)
        sealed = Sealer(tidings.engine, keys, clock=wall_clock).seal()
    vkeys = [key.verifier.text for key in keys]
    terminal.json({"origin": keys[-1].verifier.name, "keys": vkeys, **_told(sealed.checkpoint)})
    code = "signer.retired" if retire else "signer.rotated"
    terminal.tell(
        code, vkey=vkeys[-1], size=f"{sealed.checkpoint.size:,}", path=signer_file(terminal.settings)
    )


@click.command("publish")
@click.option("--to", "folder", metavar="FOLDER", type=click.Path(path_type=Path), help="Into this folder.")
@click.option("--url", metavar="URL", help="POST the checkpoint to this address.")
@click.option("--mail-to", metavar="ADDRESS", help="Send the checkpoint there, by [audit] mail_by.")
@channels_option
@common_options
def publish_command(
    terminal: Terminal, folder: Path | None, url: str | None, mail_to: str | None, channels: Path | None
) -> None:
    """Seal, sign, and give the log to others; without options as [audit] of the settings file says."""
    # The providers' libraries cost more to import than most commands take.
    from tidings.providers import opened as opened_with
    from tidings.publication import publish

    tidings, ways = opened_with(terminal.settings, channels or terminal.settings.channels)
    wanted = ways.file.audit
    if folder or url or mail_to:
        wanted = replace(wanted, folder=str(folder or ""), url=url or "", mail_to=mail_to or "")
    if not (wanted.folder or wanted.url or wanted.mail_to):
        raise click.UsageError(
            "say where: --to FOLDER, --url URL, --mail-to ADDRESS, or [audit] of --channels"
        )
    try:
        keys = assured_keys(terminal.settings, tidings.engine, clock=wall_clock)
        sealed = Sealer(tidings.engine, keys, clock=wall_clock).seal()
        tree = StoredTree(tidings.engine)
        with terminal.progress("publish.progress", sealed.checkpoint.size) as advance:
            places = publish(tree, wanted, ways.mailer(), at=wall_clock(), progress=advance)
    finally:
        tidings.engine.dispose()
    terminal.json({**_told(sealed.checkpoint), "published": places})
    for place in places:
        terminal.tell("publish.done", size=f"{sealed.checkpoint.size:,}", place=place)


@click.command("prove")
@click.argument("event", nargs=-1)
@click.option(
    "--consistency", nargs=2, metavar="OLD NEW", help="That one tree begins another: sizes or files."
)
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Write it there.")
@archive_option
@common_options
def prove_command(
    terminal: Terminal,
    event: tuple[str, ...],
    consistency: tuple[str, str] | None,
    out: Path | None,
    archive: Path | None,
) -> None:
    """Prove that EVENT is in the signed tree: CUSTOMER VERSION, a message's id, or PARTITION:ENTRY."""
    if bool(event) == bool(consistency) or len(event) > 2:
        raise click.UsageError(
            "name an event (CUSTOMER VERSION, MESSAGE, PARTITION:ENTRY) or --consistency OLD NEW"
        )
    with _opened(terminal) as tidings:
        if consistency is not None:
            told = consistency_of(tidings.engine, old=consistency[0], new=consistency[1]).told()
            text = msgspec.json.format(msgspec.json.encode(told)).decode() + "\n"
        else:
            with opened(Source(terminal.settings, archive, both=True)) as history:
                told, text = _inclusion(tidings, history, event)
    as_text = out is not None and out.suffix == _PROOF_SUFFIX and consistency is None
    if out is not None:
        content = text.encode() if as_text else msgspec.json.format(msgspec.json.encode(told)) + b"\n"
        _write(out, content)
        terminal.tell("prove.written", path=out)
    terminal.json(told)
    if out is None:
        terminal.write(text.removesuffix("\n"))


def _inclusion(tidings: Tidings, history: History, named: tuple[str, ...]) -> tuple[dict[str, object], str]:
    """The proof of the event that was named, as JSON says it and as the text of C2SP."""
    partition, subject, event = _event(tidings, history, named)
    proof = inclusion_of(tidings.engine, partition=partition, seq=event.seq, entry=event.hash)
    place = {"partition": partition, "seq": event.seq, "customer": subject, "version": event.version}
    return {"event": {**place, "kind": event.kind}, **proof.told()}, proof.text


def _event(tidings: Tidings, history: History, named: tuple[str, ...]) -> tuple[int, str, StoredEvent]:
    """Partition, subject and event. Raises NotFound for what there is not."""
    place = _PLACE.fullmatch(named[0])
    if place is not None and len(named) == 1:
        partition, seq = int(place[1]), int(place[2])
        for event in history.events(partition, upto=seq, after=seq - 1):
            return partition, history.subjects(partition).get(event.stream, f"#{event.stream}"), event
        raise NotFound("prove.no_event", event=named[0])
    if len(named) == 1:
        return _event_of_message(tidings, history, named[0])
    subject, version = named
    found = history.find(subject)
    if found is None:
        raise NotFound("customer.unknown", customer=subject)
    for event in history.history(*found):
        if str(event.version) == version:
            return found[0], subject, event
    raise NotFound("prove.no_event", event=f"{subject} {version}")


def _event_of_message(tidings: Tidings, history: History, message: str) -> tuple[int, str, StoredEvent]:
    """The last event about a message: its hash speaks for those before it."""
    subject = tidings.ledger.customer_of(message)
    found = None if subject is None else history.find(subject)
    if subject is None or found is None:
        raise NotFound("message.unknown", message=message, near=tidings.ledger.similar(message))
    about = [e for e in history.history(*found) if getattr(restored(e).body, "message", None) == message]
    return found[0], subject, about[-1]


@contextmanager
def _opened(terminal: Terminal) -> Iterator[Tidings]:
    tidings = bootstrap(terminal.settings)
    try:
        yield tidings
    finally:
        tidings.engine.dispose()


def _told(checkpoint: Checkpoint) -> dict[str, object]:
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": base64(checkpoint.root),
        "checkpoint": checkpoint.note,
    }


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InputRefused("prove.unwritable", path=path, reason=error.strerror) from error
