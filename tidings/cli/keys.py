"""tidings keys: where the keys of personal data are, and wrapping them anew."""

from pathlib import Path
from typing import Any

import click

from domain.errors import InputRefused
from stores.keyring import Keyring
from stores.master_key import KeyService, LocalMaster, named_service, read_master, write_master
from stores.vault import vault_of
from tidings.bootstrap import bootstrap
from tidings.cli.person import ordered, person_options
from tidings.cli.terminal import Terminal, common_options
from tidings.sanctions import Person

_PATH = click.Path(path_type=Path)


@click.group("keys")
def command() -> None:
    """The keys that what identifies a person is sealed with."""


@command.command("status")
@common_options
@click.pass_context
def status_command(ctx: click.Context, terminal: Terminal) -> None:
    """Where the keys are, what wraps them, and how many there are; exit 1 where the master does not fit."""
    vault = vault_of(bootstrap(terminal.settings).engine)
    told = _status(vault.ring())
    told["keys"] = vault.ring().engine.url.render_as_string(hide_password=True)
    terminal.json(told)
    for name in ("keys", "master", "customers", "destroyed", "letters_keys"):
        value = told[name]
        shown = f"{value:,}" if isinstance(value, int) else value
        terminal.write(f"{terminal.wording.tell(f'keys.{name}')}: {shown}")
    if not told["ok"]:
        wrapped_by = ", ".join(map(str, told["wrapped_by"]))
        terminal.complain(terminal.wording.tell("keys.unfit", {**told, "wrapped_by": wrapped_by}))
        ctx.exit(1)


@command.command("rotate")
@click.option("--new-master-file", type=_PATH, help="From now on under the master key in this file.")
@click.option("--new-key-service", metavar="MODULE:NAME", help="The same, under the bank's own key service.")
@person_options
@common_options
def rotate_command(
    terminal: Terminal, new_master_file: Path | None, new_key_service: str | None, person: Person
) -> None:
    """Wrap all keys anew; no event changes, and whoever works goes on."""
    if new_master_file is not None and new_key_service is not None:
        raise click.UsageError("--new-master-file and --new-key-service: give one of the two")
    vault = vault_of(bootstrap(terminal.settings).engine)
    ring = vault.ring()
    before = ring.master
    service: KeyService | None = None
    if new_master_file is not None:
        service = LocalMaster(read_master(new_master_file))
    elif new_key_service is not None:
        service = named_service(new_key_service)
    service = service or vault.place.service()
    ordered(terminal, person, "keys rotate", master=service.name)
    rotated = ring.rotate(service)
    terminal.json({"customers": rotated, "master": ring.master, "before": before})
    terminal.tell("keys.rotated", customers=f"{rotated:,}", master=ring.master)
    if new_master_file is not None and ring.master != before:
        terminal.tell("keys.move_master", file=new_master_file, place=vault.place.master_file)
    elif ring.master != before:
        terminal.tell("keys.name_service", name=new_key_service)


@command.command("new-master")
@click.argument("file", type=_PATH)
@common_options
def new_master_command(terminal: Terminal, file: Path) -> None:
    """Write a new random master key to FILE, readable by its owner alone; nothing uses it yet."""
    if file.exists():
        raise InputRefused("keys.file_exists", file=file)
    write_master(file)
    name = LocalMaster(read_master(file)).name
    terminal.json({"file": str(file), "master": name})
    terminal.tell("keys.new_master", file=file, name=name)


def _status(ring: Keyring) -> dict[str, Any]:
    customers, destroyed = ring.counted()
    services = ring.services()
    return {
        "master": ring.master,
        "wrapped_by": sorted(services),
        "customers": customers,
        "destroyed": destroyed,
        "letters_keys": len(ring.letters_keys()),
        "ok": services == {ring.master},
    }
