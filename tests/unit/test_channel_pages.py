"""The settings that the how-to pages of channels show are settings that the adapters take."""

import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from channels.calling import decoded
from channels.push import PushSettings
from channels.webhook import EndpointSettings
from channels.wechat import Content, WeChatSettings

PAGES = Path(__file__).resolve().parents[2] / "docs" / "how-to"


def shown(page: str, kind: str) -> list[str]:
    found = re.findall(rf"```{kind}\n(.*?)```", (PAGES / page).read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found


@pytest.mark.parametrize("page", ["push.md", "wechat.md"])
def test_the_providers_of_a_page_are_taken_as_they_stand(page: str) -> None:
    (document,) = shown(page, "toml")
    for settings in tomllib.loads(document)["providers"].values():
        msgspec.convert(settings, PushSettings | WeChatSettings)


def test_the_endpoints_of_the_page_are_taken_as_they_stand() -> None:
    (document,) = shown("webhooks.md", "toml")
    for settings in tomllib.loads(document)["webhooks"].values():
        msgspec.convert(settings, EndpointSettings)


def test_the_text_of_a_message_for_wechat_is_one() -> None:
    for document in shown("wechat.md", "json"):
        assert decoded(document, Content) is not None


def test_the_later_answer_of_a_webhook_is_json() -> None:
    for document in shown("webhooks.md", "json"):
        assert json.loads(document)["data"]["ok"] is True
