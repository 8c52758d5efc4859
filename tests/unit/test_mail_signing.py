"""Signatures on mails, checked by dkimpy."""

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dkim  # type: ignore[import-untyped]
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from channels.base import Image, Outgoing
from channels.mail_signing import Dkim, DkimSigner
from channels.mime import Composer, Envelope, Sender
from channels.secret import Secret
from domain.errors import InputRefused
from support.channel_contract import NOW, outgoing

BANK = Sender(address="care@bank.example", names={"en": "Example Bank", "zh-CN": "示例银行，北京分行"})
UNSUBSCRIBE = "https://bank.example/u/abc.def?x=1&y=%E4%BD%A0"
PIXEL = Image("logo.png", "image/png", bytes(range(256)))
CHINESE = "尊敬的客户：\n您的定期存款即将到期。\n" * 20


def envelope(message: Outgoing, composer: Composer) -> Envelope:
    made = composer.envelope(message)
    assert made is not None
    return made


def parsed(message: Outgoing, composer: Composer) -> EmailMessage:
    mail = message_from_bytes(envelope(message, composer).content, policy=policy.SMTP)
    assert isinstance(mail, EmailMessage)
    assert [defect for part in mail.walk() for defect in part.defects] == []
    return mail


class Keys:
    """A pair of keys: the private one as a secret in a file, the public one in a made-up DNS."""

    def __init__(self, kind: str, folder: Path) -> None:
        key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
        if kind == "rsa":
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        else:
            key = ed25519.Ed25519PrivateKey.generate()
        self.public = key.public_key()
        path = folder / "key.pem"
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.settings = Dkim(domain="bank.example", selector="s1", key=Secret(file=str(path)))
        self.asked: list[bytes] = []

    def dns(self, name: bytes, timeout: int = 5) -> bytes:
        self.asked.append(name)
        der = self.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b"v=DKIM1; k=rsa; p=" + base64.b64encode(der)

    def verified(self, content: bytes) -> bool:
        """What dkimpy says; of Ed25519 it does all but the curve, for which it needs another library."""
        if isinstance(self.public, rsa.RSAPublicKey):
            return bool(dkim.verify(content, dnsfunc=self.dns))
        return bool(_OnTheCurve(content, self.public).verify(dnsfunc=self.dns))


class _CurveKey:
    """A public key as dkimpy asks it."""

    def __init__(self, public: ed25519.Ed25519PublicKey) -> None:
        self._public = public
        self.held = False

    def verify(self, digest: bytes, signature: bytes) -> None:
        try:
            self._public.verify(signature, digest)
            self.held = True
        except InvalidSignature:
            self.held = False


class _OnTheCurve(dkim.DKIM):  # type: ignore[misc]
    def __init__(self, content: bytes, public: ed25519.Ed25519PublicKey) -> None:
        super().__init__(content)
        self._public = public

    def verify_sig(
        self, sig: dict[bytes, bytes], include_headers: list[bytes], sig_header: object, dnsfunc: object
    ) -> bool:
        self.pk, self.keysize, self.ktag, self.seqtlsrpt = _CurveKey(self._public), 256, b"ed25519", False
        try:
            self.verify_sig_process(sig, include_headers, sig_header, dnsfunc)
        except dkim.ValidationError:
            return False
        return self.pk.held


KINDS = pytest.mark.parametrize("kind", ["rsa", "ed25519"])


@KINDS
@pytest.mark.parametrize(
    "given_",
    [{}, {"text": CHINESE, "html": "<p>你好</p>", "images": (PIXEL,)}, {"text": "\n\n.\n\n\n"}, {"text": ""}],
)
def test_every_mail_carries_a_signature_that_holds(kind: str, given_: dict[str, Any], tmp_path: Path) -> None:
    keys = Keys(kind, tmp_path)
    composer = Composer(BANK, domain="bank.example", signers=[DkimSigner(keys.settings)])
    message = outgoing(heading="生日快乐，" * 9, unsubscribe=UNSUBSCRIBE, **given_)
    assert keys.verified(envelope(message, composer).content)


@KINDS
@pytest.mark.parametrize(
    "spoil",
    [
        lambda mail: mail.replace(b"Dear", b"Poor"),
        lambda mail: mail.replace(b"Subject: Happy", b"Subject: Sad"),
        lambda mail: mail.replace(b"One-Click", b"Two-Click"),
        lambda mail: mail.replace(b"https://bank", b"https://bonk"),
        lambda mail: b"From: other@example.com\r\n" + mail,
    ],
)
def test_whoever_changes_what_is_signed_breaks_the_signature(
    kind: str, spoil: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    keys = Keys(kind, tmp_path)
    composer = Composer(BANK, domain="bank.example", signers=[DkimSigner(keys.settings)])
    content = envelope(outgoing(unsubscribe=UNSUBSCRIBE), composer).content
    assert keys.verified(content)
    assert spoil(content) != content
    assert not keys.verified(spoil(content))


def test_the_signature_covers_what_one_click_needs_and_names_from_once_more(tmp_path: Path) -> None:
    keys = Keys("rsa", tmp_path)
    composer = Composer(BANK, domain="bank.example", signers=[DkimSigner(keys.settings)])
    mail = parsed(outgoing(unsubscribe=UNSUBSCRIBE), composer)
    tags = dict(tag.split("=", 1) for tag in re.sub(r"\s+", "", mail["DKIM-Signature"]).split(";") if tag)
    names = tags["h"].lower().split(":")
    assert names.count("from") == 2
    assert {
        "to", "subject", "date", "message-id", "list-unsubscribe", "list-unsubscribe-post",
    } <= set(names)  # fmt: skip
    assert (tags["d"], tags["s"], tags["a"]) == ("bank.example", "s1", "rsa-sha256")
    assert int(tags["t"]) == int(NOW.timestamp())


@KINDS
def test_signing_takes_nothing_from_the_clock(kind: str, tmp_path: Path) -> None:
    keys = Keys(kind, tmp_path)
    first, second = (
        Composer(BANK, domain="bank.example", signers=[DkimSigner(keys.settings)]) for _ in range(2)
    )
    assert envelope(outgoing(), first).content == envelope(outgoing(), second).content


def test_a_mail_may_carry_two_signatures(tmp_path: Path) -> None:
    folders = [tmp_path / kind for kind in ("rsa", "ed25519")]
    for folder in folders:
        folder.mkdir()
    both = [Keys(folder.name, folder) for folder in folders]
    composer = Composer(BANK, domain="bank.example", signers=[DkimSigner(keys.settings) for keys in both])
    assert len(parsed(outgoing(), composer).get_all("DKIM-Signature", [])) == 2
    assert both[0].verified(envelope(outgoing(), composer).content)


@pytest.mark.parametrize(
    "text", ["no key at all", "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"]
)
def test_what_is_no_key_is_refused_without_being_shown(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DKIM_KEY", text)
    with pytest.raises(InputRefused) as refused:
        DkimSigner(Dkim(domain="bank.example", selector="s1", key=Secret(env="DKIM_KEY")))
    assert refused.value.code == "mail.dkim_key"
    assert refused.value.values == {"selector": "s1"}


def test_a_curve_key_may_be_its_bare_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DKIM_KEY", base64.b64encode(bytes(range(32))).decode())
    signer = DkimSigner(Dkim(domain="bank.example", selector="s1", key=Secret(env="DKIM_KEY")))
    name, value = signer.sign([(b"From", b"a@b.example")], b"x\r\n", at=datetime(2026, 1, 1, tzinfo=UTC))
    assert name == b"DKIM-Signature"
    assert b"a=ed25519-sha256" in value
