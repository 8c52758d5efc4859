"""An evidence pack: what is in it, what is never disclosed, and that nothing in it is altered unseen."""

import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.evidence.contents import Period
from audit.evidence.verifier.history import _said
from audit.notes import SignerKey, sign_checkpoint
from domain.errors import InputRefused
from support.bank import Bank
from support.evidence_packs import (
    JANUARY,
    KEY,
    copied,
    files_of,
    forged,
    joined,
    lines,
    lived,
    opens,
    packed,
    seal,
    verify,
    wrongs,
)
from support.facts import at, paid, registered
from support.postgres import fresh_database
from support.scenario import envelope
from tidings.as_sent import as_sent
from tidings.evidence import packing

Files = dict[str, bytes]
SPRING = Period(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return lived(tmp_path_factory.mktemp("bank"))


@pytest.fixture(scope="module")
def pack(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packs") / "c-1.zip"
    packed(bank, path)
    return path


@pytest.fixture(scope="module")
def spring(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packs") / "spring.zip"
    packed(bank, path, period=SPRING)
    return path


def unzipped(pack: Path, to: Path) -> Path:
    with zipfile.ZipFile(pack) as file:
        file.extractall(to)
    return to


class TestAPack:
    def test_proves_itself_without_us_and_says_what_it_checked(self, pack: Path, tmp_path: Path) -> None:
        folder = unzipped(pack, tmp_path)
        told = verify(folder)
        assert told == verify(folder, str(pack))
        assert all(line.startswith(("ok ", "-- ", "   ")) for line in told)
        said = "\n".join(told)
        for what in ("files:", "chain", "rulebooks", "templates", "words", "consents", "checkpoint", "tree:"):
            assert what in said
        assert "has grown from the checkpoint" in said
        assert told[-1].strip() == "Everything that can be checked here holds."

    def test_speaks_chinese(self, pack: Path, tmp_path: Path) -> None:
        assert verify(unzipped(pack, tmp_path), "--lang", "zh-CN")[-1].strip() == "凡可在此核验的，均成立。"

    def test_is_held_against_key_and_checkpoint_from_elsewhere(self, pack: Path, tmp_path: Path) -> None:
        kept = tmp_path / "kept.txt"
        kept.write_bytes(files_of(pack)["proofs/earlier-01.txt"])
        assert wrongs(pack, key=KEY.verifier.text, kept=kept) == []
        other = SignerKey("bank.example/log", b"\x08" * 32)
        assert wrongs(pack, key=other.verifier.text) == ["note_unsigned"]
        kept.write_text(sign_checkpoint("bank.example/log", size=7, root=b"x" * 32, keys=[KEY]).note)
        assert wrongs(pack, kept=kept) == ["kept_unknown"]
        size = int(files_of(pack)["proofs/checkpoint.txt"].split(b"\n")[1])
        kept.write_text(sign_checkpoint("bank.example/log", size=size, root=b"x" * 32, keys=[KEY]).note)
        assert wrongs(pack, kept=kept) == ["kept_differs"]
        assert wrongs(pack, kept=tmp_path / "nowhere") == ["file_unreadable"]

    def test_is_the_same_bytes_each_time(self, bank: Bank, pack: Path, tmp_path: Path) -> None:
        again = packed(bank, tmp_path / "again.zip")
        assert (tmp_path / "again.zip").read_bytes() == pack.read_bytes()
        assert again.sha256 == sha256(pack.read_bytes()).hexdigest()

    @pytest.mark.long
    @pytest.mark.slow
    def test_is_no_other_from_postgresql(self, pack: Path, tmp_path: Path) -> None:
        packed(lived(tmp_path, url=fresh_database()), tmp_path / "other.zip")
        assert wrongs(tmp_path / "other.zip") == []
        ours, other = files_of(pack), files_of(tmp_path / "other.zip")
        # Facts got ids of their own, and what is sealed is sealed anew.
        assert ours.keys() == other.keys()
        assert [words for name, words in sorted(ours.items()) if name.startswith("messages/")] == [
            words for name, words in sorted(other.items()) if name.startswith("messages/")
        ]

    def test_has_the_words_as_they_were_sent(self, bank: Bank, pack: Path) -> None:
        files = files_of(pack)
        sent = [event for event in lines(files["history.jsonl"]) if event["kind"] == "message.sending/1"]
        assert len(sent) == 7
        for event in sent:
            said = json.loads(files[f"messages/{event['version']:06}.json"])
            message = as_sent(bank.tidings, "c-1", json.loads(str(event["body"]))["message"])
            assert (said["heading"], said["text"]) == (message.heading, message.text)

    def test_tells_why_in_both_languages(self, bank: Bank, tmp_path: Path) -> None:
        packed(bank, tmp_path / "pack.zip", customer="c-2")
        files = files_of(tmp_path / "pack.zip")
        refused = [m for m in json.loads(files["messages.json"]) if m["status"] == "suppressed"]
        assert [m["rule"] for m in refused] == ["no_consent", "no_consent"]
        for language, sentence in (("en", "no consent"), ("zh-CN", "没有授权")):
            assert any(sentence in told for told in refused[0]["why"][language])
            page = files[f"report.{language}.html"].decode()
            assert sentence in page
            assert "evidence.report." not in page

    def test_has_reports_that_people_can_read(self, pack: Path) -> None:
        files = files_of(pack)
        for language, words in (("en", "Evidence on customer c-1"), ("zh-CN", "关于客户 c-1 的证据")):
            page = files[f"report.{language}.html"].decode()
            assert words in page
            assert "<svg" in page
            assert "http" not in page.replace("http-equiv", "")
            assert "evidence.report." not in page
            pdf = pypdfium2.PdfDocument(files[f"report.{language}.pdf"])
            text = "".join(sheet.get_textpage().get_text_range() for sheet in pdf)
            assert words in text
            assert "Jiří" in text
            assert "慕容" in text
            pdf.close()

    def test_tells_that_what_came_since_is_not_sealed(self, bank: Bank, tmp_path: Path) -> None:
        copy = copied(bank, tmp_path)
        assert copy.take([envelope("c-1", at("2026-08-02 12:00"), paid())]).refused == []
        copy.run(at("2026-08-03 12:00"))
        made = packed(copy, tmp_path / "new.zip")
        assert made.sealed < made.events
        assert "unsealed" in opens(tmp_path / "new.zip")
        seal(copy)
        made = packed(copy, tmp_path / "newer.zip")
        assert made.sealed == made.events
        assert "unsealed" not in opens(tmp_path / "newer.zip")

    def test_of_a_hostile_customer_runs_nothing(self, tmp_path: Path) -> None:
        copy = Bank(tmp_path)
        name = "<script>alert(1)</script>"
        assert copy.take([envelope(name, at("2026-01-02 12:00"), registered())]).refused == []
        copy.run(at("2026-01-03 12:00"))
        packed(copy, tmp_path / "hostile.zip", customer=name)
        assert b"<script" not in files_of(tmp_path / "hostile.zip")["report.en.html"]
        assert wrongs(tmp_path / "hostile.zip") == []
        assert "unsealed_all" in opens(tmp_path / "hostile.zip")


class TestAPeriod:
    def test_is_proved_by_the_whole_chain(self, spring: Path, pack: Path) -> None:
        assert wrongs(spring) == []
        events = lines(files_of(spring)["history.jsonl"])
        assert [e["hash"] for e in events] == [e["hash"] for e in lines(files_of(pack)["history.jsonl"])]
        assert 0 < sum("body" in event for event in events) < len(events)

    def test_discloses_nothing_from_outside(self, spring: Path, pack: Path) -> None:
        def holds(pack: Path, text: str) -> list[str]:
            return [name for name, data in files_of(pack).items() if text.encode() in data]

        assert "history.jsonl" in holds(pack, JANUARY)
        assert holds(spring, JANUARY) == []
        # The birthday in May lies outside too: not even its words are there.
        birthday = [m for m in json.loads(files_of(pack)["messages.json"]) if m["journey"] == "birthday"]
        assert len(birthday) == 1
        assert holds(spring, birthday[0]["message"]) == []

    def test_discloses_what_its_messages_rest_on(self, spring: Path) -> None:
        files = files_of(spring)
        consents = json.loads(files["consents.json"])
        assert [(c["kind"], c["provenance"]) for c in consents] == [("consent.granted/1", "branch form 7")]
        marketing = [m for m in json.loads(files["messages.json"]) if m["purpose"] == "marketing"]
        assert marketing[0]["consent"]["version"] == consents[0]["version"]

    def test_without_events_is_refused(self, bank: Bank, tmp_path: Path) -> None:
        period = Period(datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC))
        with pytest.raises(InputRefused, match="empty_period"):
            packed(bank, tmp_path / "none.zip", period=period)


class TestWhateverIsAltered:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_in_any_byte_of_any_file_is_found(self, pack: Path, tmp_path: Path, data: st.DataObject) -> None:
        files = files_of(pack)
        name = data.draw(st.sampled_from(sorted(name for name in files if files[name])))
        at_byte = data.draw(st.integers(0, len(files[name]) - 1))
        changed = bytearray(files[name])
        changed[at_byte] ^= 1 << data.draw(st.integers(0, 7))
        altered = {**files, name: bytes(changed)}
        assert wrongs(forged(altered, tmp_path / "altered.zip", listed=False)) != []

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_in_the_zip_itself_is_found_or_alters_no_file(
        self, pack: Path, tmp_path: Path, data: st.DataObject
    ) -> None:
        raw = bytearray(pack.read_bytes())
        # Names and sizes stand at the end; chance would rarely hit them.
        first = data.draw(st.sampled_from([0, len(raw) - 4_000]))
        raw[data.draw(st.integers(first, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        altered = tmp_path / "altered.zip"
        altered.write_bytes(raw)
        if wrongs(altered) == []:
            assert files_of(altered) == files_of(pack)

    @pytest.mark.parametrize("length", [0, 1, 100, 10_000])
    def test_a_zip_cut_short_is_one_clear_line(self, pack: Path, tmp_path: Path, length: int) -> None:
        cut = tmp_path / "cut.zip"
        cut.write_bytes(pack.read_bytes()[:length])
        assert wrongs(cut) == ["zip_broken"]
        told = verify(unzipped(pack, tmp_path / "pack"), str(cut), code=1)
        assert len([line for line in told if line.startswith("WRONG")]) == 1

    def test_what_is_no_pack_is_told(self, tmp_path: Path) -> None:
        assert wrongs(tmp_path) == ["no_pack"]
        assert wrongs(tmp_path / "nowhere.zip") == ["no_file"]


def of_history(
    change: Callable[[list[dict[str, Any]]], object], *, chained: bool = False
) -> Callable[[Files], Files]:
    """An attack on the events; with ``chained`` every hash after it is made anew, and the end with them."""

    def attack(files: Files) -> Files:
        events = lines(files["history.jsonl"])
        change(events)
        about = json.loads(files["pack.json"])
        if chained:
            link = sha256(b"tidings/history/2\x00" + about["customer"].encode()).digest()
            for event in events:
                link = sha256(_said(link, event)).digest()
                event["hash"] = link.hex()
            about["ends"] = {"version": len(events), "hash": link.hex()}
        return {**files, "history.jsonl": joined(events), "pack.json": json.dumps(about).encode()}

    return attack


def of_body(kind: str, old: str, new: str, *, chained: bool = False) -> Callable[[Files], Files]:
    """An attack that makes the first event of a kind say something else."""

    def change(events: list[dict[str, Any]]) -> None:
        event = next(event for event in events if event["kind"] == kind)
        assert old in event["body"]
        event["body"] = event["body"].replace(old, new)

    return of_history(change, chained=chained)


def of_json(name: str, change: Callable[[Any], None]) -> Callable[[Files], Files]:
    """An attack on a file of JSON."""

    def attack(files: Files) -> Files:
        found = json.loads(files[name])
        change(found)
        return {**files, name: json.dumps(found).encode()}

    return attack


def of_first(folder: str, old: bytes, new: bytes) -> Callable[[Files], Files]:
    """An attack on the first file of a folder that has these bytes."""

    def attack(files: Files) -> Files:
        name = next(
            n for n in sorted(files) if n.startswith(folder) and n.endswith(".json") and old in files[n]
        )
        return {**files, name: files[name].replace(old, new)}

    return attack


def without(folder: str) -> Callable[[Files], Files]:
    """An attack that leaves out the first file of a folder."""
    return lambda files: {
        n: d for n, d in files.items() if n != min(x for x in files if x.startswith(folder))
    }


def swap(events: list[dict[str, Any]]) -> None:
    events[4], events[5] = events[5], events[4]
    for event, version in ((events[4], 5), (events[5], 6)):
        event["version"] = version


def re_signed(files: Files) -> Files:
    """The attacker's own log, signed by a key of theirs, which the pack then names."""
    key = SignerKey("bank.example/log", b"\x66" * 32)
    head = files["proofs/checkpoint.txt"].split(b"\n")
    made = sign_checkpoint("bank.example/log", size=int(head[1]), root=b"\x00" * 32, keys=[key])
    return {
        **files,
        "proofs/checkpoint.txt": made.note.encode(),
        "proofs/keys.txt": key.verifier.text.encode(),
    }


# What somebody does who also makes the manifest anew, and what the verifier says first.
ATTACKS: dict[str, tuple[Callable[[Files], Files], str]] = {
    "a fact edited": (of_body("transaction.posted/1", "-10.00", "-99.00"), "chain_broken"),
    "a fact edited, all hashes made anew": (
        of_body("transaction.posted/1", "-10.00", "-99.00", chained=True),
        "not_included",
    ),
    "a consent invented, all hashes made anew": (
        of_body("consent.granted/1", "branch form 7", "branch form 8", chained=True),
        "not_included",
    ),
    "an instant moved": (of_history(lambda e: e[3].update(occurred_at=1)), "chain_broken"),
    "recorded before what it follows, all hashes made anew": (
        of_history(lambda e: e[5].update(recorded_at=1), chained=True),
        "time_back",
    ),
    "a cause moved": (of_history(lambda e: e[8].update(cause=1)), "chain_broken"),
    "a kind changed": (of_history(lambda e: e[2].update(kind="holding.closed/1")), "chain_broken"),
    "another rulebook cited": (of_history(lambda e: e[2].update(rulebook="0" * 64)), "chain_broken"),
    "an event left out": (of_history(lambda e: e.pop(7)), "version_gap"),
    "an event put in": (of_history(lambda e: e.insert(7, e[7])), "version_gap"),
    "two events swapped": (of_history(swap), "cause_wrong"),
    "the last event cut off": (of_history(lambda e: e.pop()), "end_wrong"),
    "the last event cut off, the end moved": (of_history(lambda e: e.pop(), chained=True), "not_included"),
    "another customer named": (of_json("pack.json", lambda p: p.update(customer="c-2")), "chain_broken"),
    "words edited": (of_first("messages/", b"deposit", b"present"), "words_differ"),
    "words left out": (without("messages/"), "file_missing"),
    "a rulebook edited": (of_first("rulebooks/", b'"at_most":3', b'"at_most":9'), "document_differs"),
    "a rulebook left out": (without("rulebooks/"), "file_missing"),
    "a template edited": (of_first("templates/", b"version", b"Version"), "document_differs"),
    "a template left out": (without("templates/"), "file_missing"),
    "a message left off the list": (of_json("messages.json", lambda m: m.pop()), "messages_differ"),
    "a message's event left off": (
        of_json("messages.json", lambda m: m[0]["events"].pop()),
        "messages_differ",
    ),
    "a consent left off the table": (of_json("consents.json", lambda c: c.pop()), "consents_differ"),
    "a consent told otherwise": (
        of_json("consents.json", lambda c: c[0].update(provenance="web form")),
        "consents_differ",
    ),
    "values in clear made up": (
        lambda f: {**f, "clear.jsonl": b'{"version":2,"body":"{}"}\n'},
        "clear_unfounded",
    ),
    "a path edited": (
        of_json("proofs/inclusion.json", lambda p: p[0]["path"].__setitem__(0, "00" * 32)),
        "not_included",
    ),
    "another place in the tree": (
        of_json("proofs/inclusion.json", lambda p: p[3].update(index=p[2]["index"])),
        "not_included",
    ),
    "a checkpoint edited": (
        lambda f: {**f, "proofs/checkpoint.txt": f["proofs/checkpoint.txt"].replace(b"/log\n", b"/dog\n")},
        "note_forged",
    ),
    "a checkpoint signed by somebody": (re_signed, "not_included"),
    "growth edited": (
        of_json("proofs/consistency.json", lambda p: p[0]["path"].__setitem__(0, "00" * 32)),
        "forked",
    ),
    "words that nothing was the intent of": (
        lambda f: {**f, "messages/000001.json": b"{}"},
        "file_added",
    ),
    "a rulebook that nothing cites": (lambda f: {**f, f"rulebooks/{'0' * 64}.json": b"{}"}, "file_added"),
    "a file put in and listed": (lambda f: {**f, "json.py": b""}, "file_added"),
}


class TestAnAttackerWhoMakesTheManifestAnew:
    @pytest.mark.parametrize("name", ATTACKS)
    def test_is_found(self, pack: Path, tmp_path: Path, name: str) -> None:
        attack, code = ATTACKS[name]
        found = wrongs(forged(attack(files_of(pack)), tmp_path / "forged.zip"))
        assert code in found

    def test_is_not_even_needed_for_a_file_more_or_less(self, pack: Path, tmp_path: Path) -> None:
        files = files_of(pack)
        more = forged({**files, "more.txt": b""}, tmp_path / "more.zip", listed=False)
        assert wrongs(more) == ["file_added"]
        less = {name: data for name, data in files.items() if name != "README.txt"}
        assert wrongs(forged(less, tmp_path / "less.zip", listed=False)) == ["file_missing"]

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_cannot_put_a_file_in_twice(self, pack: Path, tmp_path: Path) -> None:
        twice = forged(files_of(pack), tmp_path / "twice.zip")
        with zipfile.ZipFile(twice, "a") as file:
            file.writestr("README.txt", files_of(pack)["README.txt"])
        assert wrongs(twice) == ["file_twice"]

    def test_who_leaves_the_proofs_out_is_found_by_a_key_or_told(self, pack: Path, tmp_path: Path) -> None:
        files = {name: data for name, data in files_of(pack).items() if not name.startswith("proofs/")}
        bare = forged(files, tmp_path / "bare.zip")
        assert wrongs(bare, key=KEY.verifier.text) == ["no_checkpoint"]
        assert "unsealed_all" in opens(bare)
        emptied = forged({**files_of(pack), "proofs/inclusion.json": b"[]"}, tmp_path / "emptied.zip")
        assert "unsealed" in opens(emptied)

    def test_with_a_log_of_their_own_is_found_by_a_key_from_elsewhere(
        self, pack: Path, tmp_path: Path
    ) -> None:
        place = forged(re_signed(files_of(pack)), tmp_path / "forged.zip")
        assert wrongs(place, key=KEY.verifier.text) == ["note_unsigned"]


class TestAPackThatCannotBeWritten:
    def test_leaves_what_was_there(self, bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "pack.zip"
        path.write_bytes(b"older")

        def full(*_: object, **__: object) -> bytes:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(packing, "pdf_of", full)
        with pytest.raises(InputRefused, match="not_written"):
            packed(bank, path, force=True)
        assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("pack.zip", b"older")]

    def test_replaces_nothing_unasked(self, bank: Bank, tmp_path: Path) -> None:
        path = tmp_path / "pack.zip"
        path.write_bytes(b"older")
        with pytest.raises(InputRefused, match="file_exists"):
            packed(bank, path)
        assert path.read_bytes() == b"older"
        packed(bank, path, force=True)
        assert wrongs(path) == []


@pytest.mark.long
@pytest.mark.slow
def test_ten_thousand_events_fit(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    start = at("2026-01-02 12:00")
    told = [envelope("c-1", start, registered())]
    told += [
        envelope("c-1", start.replace(minute=n % 60, hour=n // 60 % 24), paid(f"{n}.00"))
        for n in range(10_000)
    ]
    assert bank.take(told).refused == []
    bank.run(at("2026-02-01 12:00"))
    seal(bank)
    made = packed(bank, tmp_path / "large.zip")
    assert made.events > 10_000
    assert (tmp_path / "large.zip").stat().st_size < 4_000_000
    assert verify(unzipped(tmp_path / "large.zip", tmp_path / "large"))[-1].strip().startswith("Everything")
