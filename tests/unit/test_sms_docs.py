"""The settings that the page on text messages shows are settings that work."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from channels.http_sms import HttpSms, HttpSmsSettings
from channels.replies import meaning
from channels.twilio_sms import Twilio, TwilioSettings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "sms.md"


def shown() -> dict[str, dict[str, object]]:
    """Providers by name, as the page shows them."""
    found: dict[str, dict[str, object]] = {}
    for block in re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        found |= tomllib.loads(block)["providers"]
    return found


def test_the_settings_shown_are_read_and_make_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TWILIO_AUTH_TOKEN", "GATEWAY_KEY", "GATEWAY_CALLBACKS"):
        monkeypatch.setenv(name, "secret")
    providers = shown()
    settings = msgspec.convert(providers.pop("twilio"), type=TwilioSettings)
    assert Twilio("twilio", settings).name == "twilio"
    gateway = msgspec.convert(providers.pop("gateway"), type=HttpSmsSettings)
    assert HttpSms("gateway", gateway).name == "gateway"
    assert providers == {}


def test_every_setting_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for settings in (TwilioSettings, HttpSmsSettings):
        for field in msgspec.structs.fields(settings):
            assert re.search(rf"\b{field.name}\b", page), field.name


def test_the_words_shown_mean_what_the_page_says() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = {row: what for row, what in rows if row.startswith(("STOP", "START", "HELP"))}
    assert len(told) == 3
    for row, what in told.items():
        expected = {"an": "opted_out", "that": "opted_in", "a": "help"}[what.split()[0]]
        for word in re.split(r", |; ", row.split(", TD and")[0].split("; YES")[0]):
            assert meaning(word) == expected, word
