"""Whatever a file's format, its facts are taken in by chunks and its refusals are told in every language."""

import re
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from domain.errors import InputRefused
from stores.database import create_store
from stores.inbox import Inbox, Item
from tidings.importing import reading
from tidings.importing.cloudevents import read_cloudevents
from tidings.importing.reading import take_in
from tidings.wording import LANGUAGES, Wording

ROOT = Path(__file__).parents[2]
NOW = datetime(2024, 6, 1, tzinfo=UTC)
REGISTERED = "customer.registered/1"


def event(name: str, kind: str = "customer.erased/1", /, *, subject: str = "c-1", **data: object) -> bytes:
    """A CloudEvents line."""
    header = {"specversion": "1.0", "id": name, "source": "/core", "type": kind, "subject": subject}
    return msgspec.json.encode({**header, "time": "2024-05-01T10:00:00Z", "data": data})


def written(path: Path, lines: Iterable[bytes]) -> Path:
    path.write_bytes(b"\n".join(lines))
    return path


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    engine, _ = create_store(f"sqlite:///{tmp_path / 'store.db'}", customer_partitions=2)
    return Inbox(engine, limit=1_000)


def take(inbox: Inbox, path: Path) -> reading.Imported:
    return take_in(read_cloudevents(path, now=NOW), inbox, origin=path.name, at=NOW, progress=lambda _: None)


def test_taking_in_counts_new_repeated_and_refused_facts(tmp_path: Path, inbox: Inbox) -> None:
    known = event("f-1", REGISTERED)
    path = written(
        tmp_path / "facts", [known, event("f-2"), event("f-2"), b"{", event("f-3", subject="nobody")]
    )
    imported = take(inbox, path)
    counts = (imported.read, imported.accepted, imported.repeated, imported.refused)
    assert counts == (5, 2, 1, 2)
    places = [(refusal.place, refusal.code) for refusal in imported.refusals]
    assert places == [("line 4", "import.broken_json"), ("line 5", "fact.unknown_customer")]
    again = take(inbox, path)
    assert (again.accepted, again.repeated, again.refused) == (0, 3, 2)


def test_a_used_id_with_another_body_is_refused(tmp_path: Path, inbox: Inbox) -> None:
    path = written(tmp_path / "facts", [event("f-1", REGISTERED), event("f-1", REGISTERED, language="cs")])
    refusal = take(inbox, path).refusals[0]
    assert (refusal.place, refusal.code) == ("line 2", "fact.id_reused")
    assert "f-1" in Wording("en").tell(refusal.code, refusal.values)


def test_only_the_first_refusals_are_kept_for_printing_and_in_order(tmp_path: Path, inbox: Inbox) -> None:
    lines = [event(f"f-{number}") if number % 2 else b"{" for number in range(60)]
    imported = take(inbox, written(tmp_path / "facts", lines))
    assert imported.refused == 60
    assert [refusal.place for refusal in imported.refusals] == [f"line {n}" for n in range(1, 21)]


def test_whole_chunks_stay_when_reading_fails(
    tmp_path: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK", 2)
    path = written(tmp_path / "facts", [event("f-1", REGISTERED), *(event(f"f-{n}") for n in range(2, 6))])
    seen: list[int] = []

    def broken() -> Iterable[Item]:
        yield from islice(read_cloudevents(path, now=NOW), 3)
        raise InputRefused("import.unreadable", path="x", reason="y")

    with pytest.raises(InputRefused):
        take_in(broken(), inbox, origin="x", at=NOW, progress=seen.append)
    assert seen == [2]
    again = take(inbox, path)
    assert (again.accepted, again.repeated) == (3, 2)


@pytest.mark.parametrize("code", ["import.broken_json", "fact.id_reused", "import.berka_date"])
def test_every_language_has_the_sentences(code: str) -> None:
    assert all(Wording(language).has(code) for language in LANGUAGES)


def test_catalogues_agree_and_have_exactly_the_codes_in_use() -> None:
    english, chinese = (
        tomllib.loads((ROOT / f"tidings/texts/{language}/import.toml").read_text()) for language in LANGUAGES
    )
    gaps = {code: set(re.findall(r"{(\w+)}", text)) for code, text in english.items()}
    assert gaps == {code: set(re.findall(r"{(\w+)}", text)) for code, text in chinese.items()}
    sources = [*(ROOT / "tidings/importing").glob("*.py"), ROOT / "stores/inbox.py"]
    used = {code for path in sources for code in re.findall(r'"((?:import|fact)\.\w+)"', path.read_text())}
    assert used == {code.removesuffix("_near") for code in english}
