"""tidings templates lint, preview and proof: looked through and looked at, nothing sent, nothing recorded."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from domain.catalogue import CustomerChanged
from support.bank import Bank
from support.facts import at, registered
from support.scenario import envelope
from tidings import cli

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "templates"
BAD = """\
template: bad
version: 1
variables: [given_name]
promotional: true
languages:
  en:
    subject: "WIN NOW {{ name }}"
    html: |
      <p>Hello</p>
      <script>alert(1)</script>
"""


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank(tmp_path)
    named = CustomerChanged(source="/t", id="n", given_name="秀英", language="zh-CN")
    bank.take(
        [
            envelope("c-1", at("2026-01-01 12:00"), registered(given_name="Jana")),
            envelope("c/2", at("2026-01-01 12:00"), registered()),
            envelope("c/2", at("2026-01-02 12:00"), named),
        ]
    )
    bank.run(at("2026-06-01 12:00"))
    return bank


def tidings(
    bank: Bank, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0
) -> tuple[str, str]:
    found = cli.run(["templates", *arguments, "--store", bank.settings.store, "--outbox", str(bank.outbox)])
    out, err = capsys.readouterr()
    assert found == code, (out, err)
    return out, err


def test_lint_tells_everything_with_its_line_and_refuses(
    bank: Bank, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(BAD)
    out, err = tidings(bank, capsys, "lint", str(path), "--json", code=1)
    told = json.loads(out)
    assert (told["template"], told["version"], told["ok"]) == ("bad", 1, False)
    assert [(p["severity"], p["line"], p["code"]) for p in told["problems"] if p["severity"] == "error"] == [
        ("error", 8, "lint.no_unsubscribe"),
        ("error", 10, "lint.tag_forbidden"),
        ("error", 7, "lint.undeclared"),
    ]
    assert f"{path}:10:1: error: en.html: script is not allowed in a mail" in err
    _, err = tidings(bank, capsys, "lint", str(path), "--lang", "zh-CN", code=1)
    assert "邮件中不允许使用 script" in err


def test_lint_of_a_name_knows_the_journeys_that_send_it(
    bank: Bank, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = tidings(bank, capsys, "lint", "birthday-greeting")
    assert "can be published; warnings: 0" in out
    path = tmp_path / "birthday.yaml"
    text = (EXAMPLES / "birthday-greeting.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace("    sms: ", "    email: "), encoding="utf-8")
    _, err = tidings(bank, capsys, "lint", str(path), code=1)
    assert "en: a journey sends it by sms, by which nothing is said" in err


def test_a_template_with_an_error_is_not_published(
    bank: Bank, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(BAD)
    assert cli.run(["journeys", "publish", "--template", str(path), "--store", bank.settings.store]) == 1
    assert f"{path}:10:1: en.html: script is not allowed in a mail" in capsys.readouterr().err


def test_the_examples_are_published_alone_and_are_what_is_sent_from_then_on(
    bank: Bank, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["journeys", "publish", "--template", str(EXAMPLES), "--store", bank.settings.store]) == 0
    out = capsys.readouterr().out
    assert all(path.stem in out for path in EXAMPLES.glob("*.yaml"))
    bank.run(at("2027-06-01 12:00"))
    assert bank.verify().findings == []
    greetings = [entry for entry in bank.tidings.ledger.messages() if entry.template == "birthday-greeting"]
    assert {entry.status for entry in greetings} == {"accepted"}


def test_preview_writes_what_the_mail_would_be(
    bank: Bank, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example, folder = str(EXAMPLES / "birthday-greeting.yaml"), tmp_path / "shown"
    out, _ = tidings(bank, capsys, "preview", example, "--customer", "c/2", "--out", str(folder))
    assert out.startswith("秀英，生日快乐\n")
    html = (folder / "birthday-greeting.zh-CN.email.html").read_text(encoding="utf-8")
    assert "秀英，生日快乐" in html
    assert "cid:" not in html
    assert "data:image/png;base64," in html
    text = (folder / "birthday-greeting.zh-CN.email.txt").read_text(encoding="utf-8")
    assert text.startswith("秀英，生日快乐\n\n")
    out, _ = tidings(bank, capsys, "preview", example, "--lang", "en", "--set", "given_name=", "--json")
    told = json.loads(out)
    assert (told["heading"], told["language"], told["files"]) == ("Happy birthday, customer", "en", [])
    out, _ = tidings(bank, capsys, "preview", example, "--channel", "sms", "--language", "zh-TW")
    assert "欧阳秀英" in out


def test_proof_shows_real_customers_by_every_channel_and_leaves_the_store_as_it_was(
    bank: Bank, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, sent = sha256(bank.path.read_bytes()).digest(), sorted(bank.outbox.rglob("*"))
    folder = tmp_path / "proofs"
    out, _ = tidings(
        bank,
        capsys,
        "proof",
        "birthday-greeting",
        "--customers",
        "c-1,c/2,c-1",
        "--out",
        str(folder),
        "--json",
    )
    told = json.loads(out)
    assert [(one["customer"], one["channel"], one["language"]) for one in told] == [
        (customer, channel, language)
        for customer, language in (("c-1", "en"), ("c/2", "zh-CN"))
        for channel in ("email", "sms", "push", "inbox")
    ]
    assert "Jana" in (folder / "c-1.email.txt").read_text(encoding="utf-8")
    assert "秀英" in (folder / "c%2F2.sms.txt").read_text(encoding="utf-8")
    assert sha256(bank.path.read_bytes()).digest() == before
    assert sorted(bank.outbox.rglob("*")) == sent


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["lint", "birthday-greting"], "Did you mean birthday-greeting"),
        (["preview", "birthday-greting"], "Did you mean birthday-greeting"),
        (["preview", "birthday-greeting", "--customer", "c-9"], "Did you mean"),
        (["proof", "birthday-greeting", "--customers", "c-9", "--out", "x"], "Did you mean"),
        (["preview", "birthday-greeting", "--set", "nme=x"], "has no variable nme"),
        (["preview", "birthday-greeting", "--channel", "wechat"], "says nothing by wechat"),
        (["lint", "nowhere.yaml"], "no such file"),
    ],
)
def test_mistakes_are_told_in_a_line(
    bank: Bank,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    _, err = tidings(bank, capsys, *arguments, code=1)
    assert told in err
    assert len(err.strip().splitlines()) == 1


def test_without_a_store_the_shipped_templates_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDINGS_STORE", raising=False)
    assert cli.run(["templates", "preview", "statement-ready", "--channel", "push"]) == 0
    assert capsys.readouterr().out.strip()
    assert not list(tmp_path.iterdir())


PRICED = """
public_url = "https://care.bank.example"
link_keys = [{ env = "LINK_KEY" }]
[routes]
sms = ["twilio"]
[providers.twilio]
kind = "twilio"
account_sid = "AC00000000000000000000000000000000"
auth_token = { env = "TWILIO_TOKEN" }
sender = "+15005550006"
signature = { zh = "【您的银行】" }
[providers.twilio.prices]
currency = "EUR"
per_segment = { "+420" = 0.05, "+86" = "0.03" }
"""


def test_a_text_tells_its_segments_and_what_it_costs_where_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWILIO_TOKEN", "token")
    path = tmp_path / "channels.toml"
    path.write_text(PRICED)
    bank, born = Bank(tmp_path), at("2026-01-01 12:00")
    told = [
        envelope("c-1", born, registered(phone="+420601000001", language="en")),
        envelope("c-2", born, registered(phone="+8613800138000", language="zh-CN")),
    ]
    assert bank.take(told).refused == []
    bank.run(born)
    words = ["templates", "proof", "win-back-offer", "--customers", "c-1,c-2", "--out", str(tmp_path / "out")]
    words += ["--store", bank.settings.store, "--json"]

    def said(*more: str) -> list[dict[str, Any]]:
        assert cli.run([*words, *more]) == 0
        found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
        return found

    texts = {one["customer"]: one for one in said("--channels", str(path)) if one["channel"] == "sms"}
    assert [texts[name]["segments"]["encoding"] for name in ("c-1", "c-2")] == ["gsm-7", "ucs-2"]
    assert texts["c-1"]["cost"] == {"segments": 1, "amount": "0.05", "currency": "EUR"}
    assert texts["c-2"]["cost"] == {"segments": 1, "amount": "0.03", "currency": "EUR"}
    assert {one["cost"] for one in said()} == {None}
