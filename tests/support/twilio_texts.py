"""Texts and settings for tests of Twilio's adapter against its stand-in."""

import asyncio
from typing import Any

from channels.base import Answer, Outcome, Outgoing
from channels.secret import Secret
from channels.twilio_sms import Twilio, TwilioSettings
from support.channel_contract import outgoing
from support.closing import ClosedAfterwards
from support.twilio_server import ACCOUNT

NUMBER = "+420601000001"
CALLBACK = "https://bank.example/callbacks/twilio"


def text(number: int = 1, **given: object) -> Outgoing:
    """A text message."""
    values = {"channel": "sms", "address": NUMBER, "heading": "", "text": f"Hello {number}.\n", **given}
    return outgoing(number, **values)


def settings(base_url: str, **given: Any) -> TwilioSettings:
    values: dict[str, Any] = {
        "account_sid": ACCOUNT,
        "auth_token": Secret(env="TWILIO_TOKEN"),
        "sender": "+15005550006",
        "callback_url": CALLBACK,
        "base_url": base_url,
        "timeout_seconds": 0.8,
        **given,
    }
    return TwilioSettings(**values)


def sent(base_url: str, *messages: Outgoing, **given: Any) -> list[Outcome]:
    """What became of the messages."""
    return asyncio.run(ClosedAfterwards(Twilio("twilio", settings(base_url, **given))).send(messages))


def asked(base_url: str, message: Outgoing, **given: Any) -> Answer:
    """What Twilio is found to know of the message."""
    (answer,) = asyncio.run(ClosedAfterwards(Twilio("twilio", settings(base_url, **given))).ask([message]))
    return answer
