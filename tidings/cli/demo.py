"""tidings demo: a made-up bank lived through, from the first command to the proof."""

import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import click
from msgspec import to_builtins

from domain.errors import InputRefused, StoreUnusable
from stores.inbox import Told
from stores.projections import LedgerEntry
from tidings.bootstrap import Tidings, bootstrap, initialise
from tidings.cli.running import live, to_do
from tidings.cli.terminal import Terminal, common_options
from tidings.cli.verifying import show as show_verified
from tidings.cli.verifying import verify_all
from tidings.cli.why import explanation_of, sentences
from tidings.importing.reading import take_in
from tidings.sanctions import Person
from tidings.settings import Settings
from tidings.synthetic import synthetic_bank

_START = date(2026, 1, 1)
_STORE = "tidings.db"
_OUTBOX = "outbox"
_MARK = ".tidings-demo"


@click.command("demo")
@click.option("--customers", type=click.IntRange(1), default=2_000, show_default=True)
@click.option("--days", type=click.IntRange(1), default=365, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed, the same bank.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
@click.option("--force", is_flag=True, help="Replace a demo that is there.")
@common_options
def command(terminal: Terminal, customers: int, days: int, seed: int, folder: Path, force: bool) -> None:
    """A synthetic bank lives through a year: messages, non-messages, reasons, proof."""
    settings = _prepared(terminal.settings, folder, force=force)
    terminal.tell("demo.start", customers=f"{customers:,}", days=days, start=_START, seed=seed, folder=folder)
    initialise(settings, alone=Person("demo", "one person looks at a demo"))
    tidings = bootstrap(settings)
    start = datetime.combine(_START, time(0), UTC)
    with terminal.progress("demo.facts", None) as advance:
        bank = synthetic_bank(customers=customers, days=days, start=_START, seed=seed)
        told = (Told(envelope, f"fact {number}") for number, envelope in enumerate(bank, 1))
        imported = take_in(told, tidings.inbox, origin="demo", at=start, progress=advance)
    until = start + timedelta(days=days)
    with terminal.progress("run.progress", to_do(tidings, until=until)) as advance:
        tally = live(tidings, until=until, since=start, advance=advance)
    entries = tidings.ledger.messages()
    with terminal.progress("audit.progress", tidings.history.size()) as advance:
        verified = verify_all(tidings, advance)
    terminal.json(
        {
            "facts": imported.accepted,
            "run": to_builtins(tally),
            "tasks": len(tidings.ledger.tasks()),
            "audit": {"ok": verified.ok, "events": verified.events, "replayed": verified.replayed},
        }
    )
    _summary(terminal, tidings, entries)
    terminal.write()
    terminal.tell("demo.audit")
    show_verified(terminal, verified)
    _where_next(terminal, settings, entries)


def _prepared(settings: Settings, folder: Path, *, force: bool) -> Settings:
    """Settings for a fresh demo in the folder. Raises InputRefused where something else is in it."""
    mark = folder / _MARK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if force and mark.exists():
            _clear(folder)
        if any(folder.iterdir()):
            raise InputRefused("demo.folder_taken", folder=str(folder))
        mark.touch()
    except OSError as error:
        raise StoreUnusable("outbox.unwritable", folder=str(folder), reason=str(error)) from error
    return Settings(f"sqlite:///{folder / _STORE}", folder / _OUTBOX, settings.language)


def _clear(folder: Path) -> None:
    """Remove what a former demo made in the folder it marked, and nothing else."""
    shutil.rmtree(folder / _OUTBOX, ignore_errors=True)
    # The store with its keys, which lie beside it.
    for path in (*folder.glob(f"{Path(_STORE).stem}.*"), folder / _MARK):
        path.unlink()


def _summary(terminal: Terminal, tidings: Tidings, entries: list[LedgerEntry]) -> None:
    wording = terminal.wording
    sent = Counter((e.journey, f"channel.{e.channel}") for e in entries if e.status == "accepted")
    terminal.write()
    terminal.write(wording.tell("demo.sent"), style="bold")
    rows = [(journey, wording.tell(channel), number) for (journey, channel), number in sorted(sent.items())]
    terminal.table("demo", ["programme", "channel", "number"], rows)
    kept = Counter(
        (e.journey, e.status if e.status == "deferred" else e.reason or e.status)
        for e in entries
        if e.status != "accepted"
    )
    terminal.write()
    terminal.write(wording.tell("demo.not_sent"), style="bold")
    rows = [(journey, wording.tell(reason), number) for (journey, reason), number in sorted(kept.items())]
    terminal.table("demo", ["programme", "reason", "number"], rows)
    terminal.write()
    terminal.tell("demo.tasks", tasks=f"{len(tidings.ledger.tasks()):,}")
    for code, entry in _samples(entries):
        terminal.write()
        terminal.write(wording.tell(code), style="bold")
        for sentence in sentences(explanation_of(tidings, entry.id), wording):
            terminal.write(f"  {sentence}")


def _samples(entries: list[LedgerEntry]) -> Iterator[tuple[str, LedgerEntry]]:
    """One message and one non-message, the most telling programmes first."""
    for code, status, journey in (
        ("demo.one_sent", "accepted", "maturity"),
        ("demo.one_not_sent", "suppressed", "win-back"),
    ):
        fitting = [entry for entry in entries if entry.status == status]
        preferred = [entry for entry in fitting if entry.journey == journey]
        if fitting:
            yield code, (preferred or fitting)[-1]


def _where_next(terminal: Terminal, settings: Settings, entries: list[LedgerEntry]) -> None:
    terminal.write()
    terminal.write(terminal.wording.tell("demo.next"), style="bold")
    values: dict[str, object] = {"store": settings.store, "outbox": settings.outbox}
    if entries:
        values |= {"message": entries[-1].id, "customer": entries[-1].customer}
    for name in ("messages", "why", "replay", "outbox", "journeys"):
        if entries or name not in ("why", "replay"):
            terminal.tell(f"demo.look.{name}", **values)
