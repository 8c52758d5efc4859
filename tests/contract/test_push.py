import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from channels.base import Accepted, Rejected, Unknown
from channels.provider import Callback
from channels.push import Push, PushSettings
from domain.errors import InputRefused
from support.channel_contract import NOW, outgoing
from support.closing import ClosedAfterwards
from support.push_apns import KEY_ID, TEAM, TOPIC, ApnsServer
from support.push_loopback import answers
from support.push_servers import FcmServer, WebPushServer


class Services:
    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.fcm = stack.enter_context(FcmServer(folder))
        self.apns = stack.enter_context(ApnsServer(folder))
        self.web = stack.enter_context(WebPushServer(folder))

    def settings(self, *left_out: str) -> PushSettings:
        document = {
            "kind": "push",
            "fcm": {
                "service_account": {"file": str(self.fcm.account_file)},
                "base_url": self.fcm.url,
                "token_uri": f"{self.fcm.url}/token",
                "concurrency": 1,
            },
            "apns": {
                "key": {"file": str(self.apns.key_file)},
                "key_id": KEY_ID,
                "team_id": TEAM,
                "topic": TOPIC,
                "base_url": self.apns.url,
                "ca_file": str(self.apns.ca_file),
            },
            "web": {
                "subject": "mailto:push@bank.example",
                "key": {"file": str(self.web.key_file)},
                "hosts": [f"127.0.0.1:{self.web.port}"],
                "allow_http": True,
            },
        }
        kept = {name: part for name, part in document.items() if name not in left_out}
        return msgspec.convert(kept, PushSettings)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with ExitStack() as stack:
        yield Services(tmp_path, stack)


def test_each_message_goes_to_its_devices_platform_and_outcomes_keep_their_order(services: Services) -> None:
    addresses = ["fcm:a", "apns:" + "0f" * 32, f"web:{services.web.subscription()}", "pigeon:1", ""]
    messages = [
        outgoing(number, channel="push", address=address)
        for number, address in enumerate([*addresses, *reversed(addresses)])
    ]
    services.fcm.will(answers(404, {"error": {"details": [{"errorCode": "UNREGISTERED"}]}}))
    outcomes = asyncio.run(ClosedAfterwards(Push("push", services.settings())).send(messages))
    assert [type(outcome) for outcome in outcomes] == [
        *(Rejected, Accepted, Accepted, Rejected, Rejected),
        *(Rejected, Rejected, Accepted, Accepted, Accepted),
    ]
    assert {outcome.provider for outcome in outcomes} == {"push"}
    assert set(services.apns.taken) == {messages[1].id, messages[8].id}
    assert set(services.web.taken) == {messages[2].id, messages[7].id}
    assert set(services.fcm.taken) == {messages[9].id}


def test_a_device_of_a_platform_that_is_not_set_up_is_not_called_bad(services: Services) -> None:
    channel = ClosedAfterwards(Push("push", services.settings("apns")))
    (outcome,) = asyncio.run(channel.send([outgoing(channel="push", address="apns:" + "0f" * 32)]))
    assert outcome == Rejected("push: apns is not set up", provider="push")


def test_nothing_to_send_asks_nobody(services: Services) -> None:
    channel = ClosedAfterwards(Push("push", services.settings()))
    assert asyncio.run(channel.send([])) == []
    assert services.fcm.asked == services.apns.asked == services.web.asked == []


def test_no_platform_can_be_asked_and_none_calls_back(services: Services) -> None:
    push = Push("push", services.settings())
    assert asyncio.run(ClosedAfterwards(push).ask([outgoing()])) == [
        Unknown("push: cannot be asked", provider="push")
    ]
    with pytest.raises(InputRefused, match=r"callback\.forged"):
        push.receipts(Callback("https://bank.example/", {}, b"", NOW))
