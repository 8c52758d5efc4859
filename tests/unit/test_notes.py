"""Signed notes and checkpoints: published examples, and what must be refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.notes import (
    SignerKey,
    VerifierKey,
    check_note,
    open_checkpoint,
    read_checkpoint,
    read_note,
    read_signer_key,
    read_verifier_key,
    sign_checkpoint,
)
from domain.errors import InputRefused
from support import tlog_verifier

# The example of Go's package golang.org/x/mod/sumdb/note, whose format C2SP wrote down.
SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE"
    "6RyyBwJnAM=\n"
)
# The examples in the texts of signed-note and tlog-checkpoint.
POEM = (
    "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n"
    "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99i"
    "hAQwaqP3ZekRwNtIc=\n"
)
SOFA = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9n"
    "To+zyWE+xeMcTOAYQ8=\n"
)
OLD, NEW = SignerKey("bank.example/log", b"\x01" * 32), SignerKey("bank.example/log", b"\x02" * 32)
MADE = sign_checkpoint("bank.example/log", size=7, root=b"\x03" * 32, keys=[OLD, NEW])


def test_the_published_key_signs_as_published() -> None:
    key = read_signer_key(SKEY)
    assert (key.text, key.verifier.text) == (SKEY, VKEY)
    assert key.sign(TEXT) == LINE


def test_the_published_note_is_verified() -> None:
    key = read_verifier_key(VKEY)
    note = read_note(TEXT + "\n" + LINE)
    assert note.text == TEXT
    assert check_note(note, [OLD.verifier, key]) == [key]


def test_a_text_may_hold_empty_lines() -> None:
    note = read_note(POEM)
    assert note.text.endswith("ed è subito sera.\n")
    assert [name for name, _, _ in note.signatures] == ["quasimodo.example/salvatore"]


def test_the_published_checkpoint_is_read() -> None:
    found = read_checkpoint(SOFA)
    assert (found.origin, found.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert found.root.hex().startswith("0ac5186a")


@pytest.mark.parametrize("key", [OLD, NEW])
def test_each_key_of_a_change_is_enough(key: SignerKey) -> None:
    assert open_checkpoint(MADE.note, origin="bank.example/log", keys=[key.verifier]) == MADE
    told = tlog_verifier.opened_note(MADE.note.encode(), key.verifier.text)
    assert told[:2] == ["bank.example/log", "7"]


def test_a_key_that_has_not_signed_is_not_enough() -> None:
    other = SignerKey("bank.example/log", b"\x05" * 32).verifier
    with pytest.raises(InputRefused, match=r"note\.unknown_key"):
        open_checkpoint(MADE.note, origin=None, keys=[other])
    with pytest.raises(InputRefused, match=r"note\.unknown_key"):
        open_checkpoint(MADE.note, origin=None, keys=[])


def test_a_name_alone_makes_no_key() -> None:
    renamed = VerifierKey("other.example", OLD.verifier.public)
    with pytest.raises(InputRefused, match=r"note\.unknown_key"):
        open_checkpoint(MADE.note, origin=None, keys=[renamed])


def test_a_checkpoint_of_another_log_is_refused() -> None:
    with pytest.raises(InputRefused, match=r"note\.other_origin"):
        open_checkpoint(MADE.note, origin="bank.example/other", keys=[OLD.verifier])


@given(at=st.integers(0, len(MADE.note) - 1), to=st.characters(codec="utf-8"))
def test_no_altered_checkpoint_is_taken_for_the_signed_one(at: int, to: str) -> None:
    altered = MADE.note[:at] + to + MADE.note[at + 1 :]
    try:
        found = open_checkpoint(altered, origin=None, keys=[OLD.verifier])
    except InputRefused:
        return
    # What is left of it is what was signed: a line of another key may have become another's.
    assert (found.origin, found.size, found.root) == (MADE.origin, MADE.size, MADE.root)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "bank.example/log\n7\nroot\n",
        MADE.note.rstrip("\n"),
        MADE.note.replace("— ", "- "),
        MADE.note.replace("\n7\n", "\n07\n"),
        MADE.note.replace("\n7\n", "\n-7\n"),
        MADE.note.replace("\n7\n", "\n99999999999999999999999\n"),
        MADE.note.replace("\n7\n", "\n7\r\n"),
        MADE.note.replace("AwMD", "AwM"),
    ],
)
def test_what_is_no_checkpoint_is_refused(note: str) -> None:
    with pytest.raises(InputRefused):
        read_checkpoint(note)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        VKEY[:-2],
        VKEY.replace("c74f20a3", "c74f20a4"),
        VKEY.replace("Peter", "Paul"),
        SKEY,
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InputRefused, match=r"note\.bad_key"):
        read_verifier_key(text)


def test_a_broken_secret_is_refused_and_not_repeated() -> None:
    with pytest.raises(InputRefused) as refused:
        read_signer_key(SKEY[:-1] + "A")
    assert SKEY[30:60] not in str(refused.value)
