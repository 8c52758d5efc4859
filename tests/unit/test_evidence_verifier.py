"""The pack's verifier: signatures as in the RFC, proofs as the tree makes them, one file for Python 3.9."""

import ast
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from audit.evidence.verifier.aesgcm import CustomersKey
from audit.evidence.verifier.ed25519 import is_signed
from audit.evidence.verifier.findings import Findings, Wrong
from audit.evidence.verifier.merkle import checkpoint_of, grows_from, leaf_of, root_of_path, signers_of
from audit.evidence.verifier_file import verifier_source
from audit.notes import SignerKey, sign_checkpoint
from audit.tree import TileKey, Tree, appended, leaf_hash
from tidings.wording import LANGUAGES, catalogue

# RFC 8032 section 7.1, tests 1, 2 and 3: public key, message, signature.
VECTORS = (
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
)
_ORDER = 2**252 + 27742317777372353535851937790883648493
KEY = SignerKey("bank.example/log", b"\x07" * 32)
STANDARD = {"__future__", *sys.stdlib_module_names}


def tree_of(size: int) -> Tree:
    tiles: dict[TileKey, bytes] = {}

    def read(level: int, number: int) -> bytes:
        return tiles.get((level, number), b"")

    leaves = b"".join(leaf_hash(entry(number)) for number in range(size))
    tiles.update(appended(0, leaves, read=read))
    return Tree(read)


def entry(number: int) -> bytes:
    return number.to_bytes(32, "big")


TREE = tree_of(300)


class TestSignatures:
    @pytest.mark.parametrize(("public", "text", "signature"), VECTORS)
    def test_of_the_rfc_are_right(self, public: str, text: str, signature: str) -> None:
        given_ = {"public": bytes.fromhex(public), "signature": bytes.fromhex(signature)}
        assert is_signed(bytes.fromhex(text), **given_)
        assert not is_signed(bytes.fromhex(text) + b"x", **given_)

    @given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511))
    def test_are_those_that_another_library_makes(self, seed: bytes, text: bytes, bit: int) -> None:
        key = Ed25519PrivateKey.from_private_bytes(seed)
        public, signature = key.public_key().public_bytes_raw(), key.sign(text)
        assert is_signed(text, public=public, signature=signature)
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not is_signed(text, public=public, signature=bytes(flipped))

    def test_have_one_form_only(self) -> None:
        public, text, signature = (bytes.fromhex(part) for part in VECTORS[1])
        scalar = int.from_bytes(signature[32:], "little") + _ORDER
        again = signature[:32] + scalar.to_bytes(32, "little")
        assert not is_signed(text, public=public, signature=again)
        assert not is_signed(text, public=public, signature=signature + b"\x00")

    @pytest.mark.parametrize(
        "public",
        [
            b"\xff" * 32,
            (2**255 - 19).to_bytes(32, "little"),
            (2 | 1 << 255).to_bytes(32, "little"),
            (1 | 1 << 255).to_bytes(32, "little"),
            b"",
        ],
        ids=["all bits", "not below the prime", "not on the curve", "minus nought", "nothing"],
    )
    def test_of_what_is_no_key_are_wrong(self, public: bytes) -> None:
        assert not is_signed(b"", public=public, signature=bytes.fromhex(VECTORS[0][2]))


class TestSealedValues:
    @given(
        st.binary(min_size=32, max_size=32),
        st.binary(min_size=12, max_size=12),
        st.binary(max_size=70),
        st.binary(max_size=70),
        st.data(),
    )
    def test_are_opened_as_another_library_sealed_them(
        self, key: bytes, nonce: bytes, text: bytes, place: bytes, data: st.DataObject
    ) -> None:
        sealed = AESGCM(key).encrypt(nonce, text, place)
        ours = CustomersKey(key)
        assert ours.opened(nonce, sealed, place=place) == text
        flipped = bytearray(sealed)
        flipped[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        assert ours.opened(nonce, bytes(flipped), place=place) is None
        assert ours.opened(nonce, sealed, place=place + b"x") is None

    def test_are_not_opened_by_what_is_no_key(self) -> None:
        with pytest.raises(ValueError, match="32 bytes"):
            CustomersKey(b"short")
        assert CustomersKey(bytes(32)).opened(b"", bytes(20), place=b"") is None
        assert CustomersKey(bytes(32)).opened(bytes(12), b"short", place=b"") is None


class TestProofs:
    @given(st.integers(1, 300), st.data())
    def test_of_inclusion_lead_to_the_root(self, size: int, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, size - 1))
        path = TREE.inclusion(index, size)
        leaf = leaf_of(entry(index))
        assert root_of_path(leaf, index=index, size=size, path=path) == TREE.root(size)
        other = data.draw(st.integers(0, size - 1))
        if other != index:
            with pytest.raises((Wrong, AssertionError)):
                assert root_of_path(leaf, index=other, size=size, path=path) == TREE.root(size)
        with pytest.raises(Wrong):
            root_of_path(leaf, index=index, size=size, path=[*path, entry(1)])
        if path:
            with pytest.raises(Wrong):
                root_of_path(leaf, index=index, size=size, path=path[1:])

    def test_of_a_leaf_beyond_the_tree_are_wrong(self) -> None:
        with pytest.raises(Wrong, match="leaf_beyond"):
            root_of_path(leaf_of(entry(9)), index=9, size=9, path=[])

    @given(st.integers(0, 300), st.integers(0, 300), st.data())
    def test_of_growth_hold_for_the_trees_that_grew(self, one: int, other: int, data: st.DataObject) -> None:
        old, new = sorted((one, other))
        before = (old, TREE.root(old))
        after = (new, TREE.root(new))
        path = TREE.consistency(old, new)
        assert grows_from(before, after, path)
        assert not grows_from(before, after, [*path, entry(1)])
        if old:
            assert not grows_from((old, entry(5)), after, path)
        if 0 < old < new:
            assert not grows_from(before, (new, entry(5)), path)
            assert not grows_from(after, before, path)
            at = data.draw(st.integers(0, len(path) - 1))
            assert not grows_from(before, after, [*path[:at], entry(5), *path[at + 1 :]])


class TestNotes:
    NOTE = sign_checkpoint("bank.example/log", size=300, root=TREE.root(300), keys=[KEY]).note

    def test_of_our_own_are_read_and_checked(self) -> None:
        assert checkpoint_of(self.NOTE) == ("bank.example/log", 300, TREE.root(300))
        other = SignerKey("bank.example/log", b"\x08" * 32).verifier.text
        assert signers_of(self.NOTE, [other, KEY.verifier.text]) == [KEY.verifier.text]
        assert signers_of(self.NOTE, [other]) == []

    def test_that_say_something_else_are_found(self) -> None:
        with pytest.raises(Wrong, match="note_forged"):
            signers_of(self.NOTE.replace("\n300\n", "\n301\n"), [KEY.verifier.text])

    @pytest.mark.parametrize("text", ["", "a\nb\nc\n\n", "a\n3\n!!\n\n", "a\n3\nYQ==\n\n"])
    def test_that_are_none_are_told(self, text: str) -> None:
        with pytest.raises(Wrong, match="note_malformed"):
            checkpoint_of(text)

    @pytest.mark.parametrize("key", ["a", "a+b+c", KEY.verifier.text.replace("log+", "log2+")])
    def test_with_what_is_no_key_are_told(self, key: str) -> None:
        with pytest.raises(Wrong):
            signers_of(self.NOTE, [key])


class TestTheFile:
    SOURCE = verifier_source({"en": {"files": "{number} files"}})

    def test_is_python_of_3_9_from_the_standard_library(self) -> None:
        parsed = ast.parse(self.SOURCE, feature_version=(3, 9))
        modules: set[str] = set()
        for part in ast.walk(parsed):
            if isinstance(part, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in part.names}
            elif isinstance(part, ast.ImportFrom):
                modules.add((part.module or "").partition(".")[0])
        assert modules <= STANDARD
        assert not modules & {"socket", "urllib", "http", "ssl", "subprocess", "os"}

    def test_names_nothing_twice(self) -> None:
        parsed = ast.parse(self.SOURCE)
        names = [p.name for p in parsed.body if isinstance(p, ast.FunctionDef | ast.ClassDef)]
        names += [
            t.id
            for p in parsed.body
            if isinstance(p, ast.Assign)
            for t in p.targets
            if isinstance(t, ast.Name)
        ]
        assert len(names) > 30
        assert sorted({name for name in names if names.count(name) > 1}) == []

    def test_has_a_sentence_for_all_that_it_says(self) -> None:
        said: set[str] = set()
        for part in ast.walk(ast.parse(self.SOURCE)):
            if isinstance(part, ast.Call) and part.args and isinstance(part.args[0], ast.Constant):
                name = (
                    part.func.attr if isinstance(part.func, ast.Attribute) else getattr(part.func, "id", "")
                )
                if name in ("Wrong", "right", "open", "plain") and isinstance(part.args[0].value, str):
                    said.add(part.args[0].value)
        # Files are opened too; they are named by a variable.
        assert len(said) > 40
        for language in LANGUAGES:
            known = catalogue(language)
            assert sorted(code for code in said if f"evidence.verify.{code}" not in known) == []


def test_a_line_never_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Findings("en").right("files", number="\x1b[2J\u202e")
    assert capsys.readouterr().out == "ok    files: number=\\u001b[2J\\u202e\n"
