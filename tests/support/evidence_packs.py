"""Evidence packs for tests: a bank to draw them from, and what attackers do to them."""

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from audit.evidence.contents import Period
from audit.evidence.verifier.files import written
from audit.evidence.verifier.findings import Findings, Wrong
from audit.evidence.verifier.running import verified
from audit.notes import SignerKey
from domain.ports import History
from support.bank import Bank
from support.facts import at, granted, opened, paid, registered
from support.scenario import envelope
from tidings.evidence.gathering import gather
from tidings.evidence.packing import write_pack
from tidings.evidence.proving import Proofs, prove
from tidings.evidence.zipped import Packed
from tidings.sealing import Sealer

KEY = SignerKey("bank.example/log", b"\x07" * 32)
NOW = datetime(2027, 1, 1, tzinfo=UTC)
WHOLE = Period()
# Told in January, and nothing that is said later rests on it.
JANUARY = "account-of-january"


def lived(folder: Path, *, url: str | None = None) -> Bank:
    """Two customers with a deposit; only the first said yes. The log was sealed in March and in August."""
    bank = Bank(folder, url=url)
    told = [
        envelope(name, at(f"2026-01-{day:02} 12:00"), fact)
        for name in ("c-1", "c-2")
        for day, fact in (
            (2, registered(given_name="Jiří", family_name="慕容")),
            (3, opened(matures_on=date(2026, 3, 10), product="deposit-36")),
            (4, paid()),
            (5, paid(account=JANUARY)),
        )
    ]
    assert bank.take([*told, envelope("c-1", at("2026-01-05 12:00"), granted())]).refused == []
    for until in ("2026-03-01 12:00", "2026-08-01 12:00"):
        bank.run(at(until))
        seal(bank)
    return bank


def copied(bank: Bank, folder: Path) -> Bank:
    """The same bank in another folder, with its keys."""
    copy = Bank(folder)
    for suffix in (".db", ".keys.db", ".master-key"):
        copy.path.with_suffix(suffix).write_bytes(bank.path.with_suffix(suffix).read_bytes())
    return copy


def seal(bank: Bank) -> str:
    """The checkpoint over all that is recorded now."""
    return Sealer(bank.tidings.engine, [KEY], clock=lambda: NOW).seal().checkpoint.note


def packed(
    bank: Bank,
    path: Path,
    *,
    customer: str = "c-1",
    period: Period = WHOLE,
    history: History | None = None,
    force: bool = False,
) -> Packed:
    """A pack at ``path``; ``history`` in the store's place tells what is on record."""
    tidings = bank.tidings
    gathered = gather(history or tidings.history, customer, period, now=NOW)
    proofs = Proofs()
    if history is None:
        told = gathered.told.all
        keys = [KEY.verifier]
        proofs = prove(tidings.engine, gathered.place[0], gathered.stored, told=told, keys=keys)
    return write_pack(gathered, proofs, path, force=force)


def wrongs(place: Path, *, key: str | None = None, kept: Path | None = None) -> list[str]:
    """The codes of all that the verifier finds wrong."""
    say = _Noted("en")
    right = verified(place, say, key=key, kept=kept)
    assert right == (say.codes == [])
    return say.codes


def opens(place: Path) -> list[str]:
    """The codes of all that the verifier says it did not check."""
    say = _Noted("en")
    verified(place, say)
    return say.unchecked


def verify(place: Path, *arguments: str, code: int = 0) -> list[str]:
    """The lines of the verifier in an unzipped pack, started as people start it, without our packages."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(place / "verify.py"), *arguments], capture_output=True, text=True
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    assert done.stderr == ""
    return done.stdout.splitlines()


def files_of(pack: Path) -> dict[str, bytes]:
    """A pack's files by name."""
    with zipfile.ZipFile(pack) as file:
        return {name: file.read(name) for name in file.namelist()}


def forged(files: Mapping[str, bytes], to: Path, *, listed: bool = True) -> Path:
    """A pack of these files; with ``listed`` its manifest is made anew, as an attacker would."""
    kept = {name: data for name, data in files.items() if name != "manifest.json"}
    manifest = files["manifest.json"]
    if listed:
        entries = [
            {"name": n, "sha256": hashlib.sha256(d).hexdigest(), "size": len(d)}
            for n, d in sorted(kept.items())
        ]
        manifest = written({"files": entries, "format": "tidings evidence pack 1"})
    with zipfile.ZipFile(to, "w") as file:
        for name, data in [*kept.items(), ("manifest.json", manifest)]:
            file.writestr(name, data)
    return to


def lines(data: bytes) -> list[dict[str, object]]:
    """JSON documents, one a line."""
    return [json.loads(line) for line in data.splitlines()]


def joined(events: list[dict[str, object]]) -> bytes:
    """The same, written."""
    return b"".join(map(written, events))


class _Noted(Findings):
    """Keeps what it is told, and writes nothing."""

    def __init__(self, language: str) -> None:
        super().__init__(language)
        self.codes: list[str] = []
        self.unchecked: list[str] = []

    def right(self, code: str, **values: object) -> None:
        """Nothing is kept of it."""

    def wrong(self, found: Wrong) -> None:
        """Its code is kept."""
        self.failed += 1
        self.codes.append(found.code)

    def open(self, code: str, **values: object) -> None:
        """Its code is kept."""
        self.unchecked.append(code)

    def plain(self, code: str, **values: object) -> None:
        """Nothing is kept of it."""
