import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from channels.base import Accepted, Channel, Outcome, Outgoing, Rejected, Retry, Unknown
from channels.calling import Clock, wall_clock
from channels.secret import Secret
from channels.wechat import WeChat, WeChatSettings
from support.channel_contract import NOW, ChannelContract, outgoing
from support.closing import ClosedAfterwards
from support.push_loopback import Fault, Given, answers, drops, half, silent
from support.push_servers import APPID, WECHAT_TOKEN, WeChatServer
from support.wechat_told import OPEN_ID, finished, signed

CANNOT_BE_ASKED = Unknown("wechat: cannot be asked", provider="account")
TEXT = json.dumps({"template_id": "T1", "data": {"thing1": "到期提醒", "time2": {"value": "2026-05-03"}}})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WeChatServer]:
    (tmp_path / "token").write_text(WECHAT_TOKEN)
    with WeChatServer(tmp_path) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def settings(server: WeChatServer, folder: Path, **given: object) -> WeChatSettings:
    values = {
        "appid": APPID,
        "secret": Secret(file=str(folder / "app-secret")),
        "token": Secret(file=str(folder / "token")),
        "base_url": server.url,
        "timeout_seconds": 5.0,
        **given,
    }
    return WeChatSettings(**values)  # type: ignore[arg-type]


def message(number: int = 1, **given: object) -> Outgoing:
    return outgoing(number, **{"channel": "wechat", "address": OPEN_ID, "text": TEXT, "heading": "", **given})


class Sending:
    def __init__(self, server: WeChatServer, folder: Path) -> None:
        self.server = server
        self._folder = folder

    def adapter(self, *, clock: Clock = wall_clock, **given: object) -> WeChat:
        return WeChat("account", settings(self.server, self._folder, **given), clock=clock)

    def __call__(self, *messages: Outgoing, **given: object) -> list[Outcome]:
        return asyncio.run(ClosedAfterwards(self.adapter(**given)).send(messages))  # type: ignore[arg-type]


@pytest.fixture
def sent(server: WeChatServer, folder: Path) -> Sending:
    return Sending(server, folder)


class TestWeChat(ChannelContract):
    """WeChat knows no message by our id: what was lost stays unknown."""

    @pytest.fixture
    def channel(self, sent: Sending) -> Channel:
        class ToOneFollower(WeChat):
            async def send(self, messages):  # type: ignore[no-untyped-def]
                return await super().send([message(int(given.id[-12:])) for given in messages])

        return ClosedAfterwards(ToOneFollower("account", settings(sent.server, sent._folder)))

    def test_what_was_never_handed_over_is_not_taken(self, channel: Channel) -> None:
        """It cannot be asked, so nothing is certain."""
        assert asyncio.run(channel.ask([message()])) == [CANNOT_BE_ASKED]

    def test_what_was_accepted_is_known_afterwards_under_the_same_id(self, channel: Channel) -> None:
        """It cannot be asked, so nothing is certain."""
        asyncio.run(channel.send([message()]))
        assert asyncio.run(channel.ask([message()])) == [CANNOT_BE_ASKED]


def test_a_template_message_carries_its_values_and_its_id(sent: Sending) -> None:
    text = json.dumps({**json.loads(TEXT), "url": "https://bank.example/deposits"})
    assert sent(message(text=text)) == [Accepted("1000", provider="account")]
    assert sent.server.shown == [
        {
            "touser": OPEN_ID,
            "template_id": "T1",
            "url": "https://bank.example/deposits",
            "data": {"thing1": {"value": "到期提醒"}, "time2": {"value": "2026-05-03"}},
            "client_msg_id": message().id,
        }
    ]


def test_a_subscription_message_goes_the_other_way(sent: Sending) -> None:
    text = json.dumps({**json.loads(TEXT), "kind": "subscription", "url": "https://bank.example/"})
    assert sent(message(text=text)) == [Accepted(message().id, provider="account")]
    (shown,) = sent.server.shown
    assert (shown["page"], "client_msg_id" in shown) == ("https://bank.example/", False)


def test_a_second_hand_over_of_what_was_taken_is_not_a_second_message(sent: Sending) -> None:
    sent.server.will(drops(taken=True))
    assert [type(outcome) for outcome in sent(message())] == [Unknown]
    assert sent(message()) == [Accepted("1000", provider="account")]
    assert sent.server.taken == {message().id: 1}


@pytest.mark.parametrize("text", ["", "Dear customer", "{}", '{"template_id": "T", "data": {"a": 1}}', "[]"])
def test_a_text_that_is_no_content_is_rejected_unasked(sent: Sending, text: str) -> None:
    (outcome,) = sent(message(text=text))
    assert outcome == Rejected("wechat: the text is no content of a template", provider="account")
    assert sent.server.asked == []


def test_a_message_to_nobody_is_rejected_unasked(sent: Sending) -> None:
    (outcome,) = sent(message(address=""))
    assert outcome == Rejected("wechat: no open id", refused="address", provider="account")
    assert sent.server.asked == []


@pytest.mark.parametrize(
    ("code", "refused"),
    [
        (43004, "opted_out"),
        (43101, "opted_out"),
        (50005, "opted_out"),
        (40003, "address"),
        (40037, "message"),
        (47003, "message"),
        (43116, "message"),
        (45002, "message"),
    ],
)
def test_a_refusal_for_good_says_what_it_is_about(sent: Sending, code: int, refused: str) -> None:
    sent.server.will(answers(200, {"errcode": code, "errmsg": f"no {OPEN_ID}"}))
    assert sent(message()) == [Rejected(f"wechat: {code}", refused=refused, provider="account")]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "after"),
    [
        (45009, timedelta(hours=1)),
        (45011, timedelta(minutes=1)),
        (40164, None),
        (48001, None),
        (40013, None),
    ],
)
def test_an_explicit_refusal_for_now_is_a_retry(sent: Sending, code: int, after: timedelta | None) -> None:
    sent.server.will(answers(200, {"errcode": code}))
    assert sent(message()) == [Retry(f"wechat: {code}", after, provider="account")]


@pytest.mark.parametrize(
    "fault",
    [
        answers(200, {"errcode": -1, "errmsg": "system error"}),
        answers(200, {"errcode": 9001}),
        answers(200, b"<html>busy</html>"),
        answers(200, b""),
        answers(200, b'{"a":' + b"[" * 30_000),
        answers(500),
        answers(502, b"<html>"),
        answers(503),
        drops(taken=True),
        drops(taken=False),
        half(),
    ],
)
def test_what_may_have_been_taken_is_unknown(sent: Sending, fault: Fault) -> None:
    sent.server.will(fault)
    (outcome,) = sent(message())
    assert isinstance(outcome, Unknown)


@pytest.mark.parametrize("taken", [True, False])
def test_a_time_out_after_the_request_is_unknown(sent: Sending, taken: bool) -> None:
    sent.server.will(silent(taken=taken))
    assert sent(message(), timeout_seconds=0.3) == [Unknown("timeout", provider="account")]


def test_too_many_requests_is_a_retry(sent: Sending) -> None:
    sent.server.will(answers(429, retry_after="7"))
    assert sent(message()) == [Retry("wechat: http 429", timedelta(seconds=7), provider="account")]


def test_a_refused_connection_is_a_retry(sent: Sending, folder: Path) -> None:
    with WeChatServer(folder) as ended:
        pass
    outcome = Retry("wechat token: http: ConnectError", provider="account")
    assert sent(message(), base_url=ended.url) == [outcome]


def test_a_token_serves_all_messages_till_near_its_end(sent: Sending) -> None:
    moment = [NOW]
    channel = ClosedAfterwards(sent.adapter(clock=lambda: moment[0]))
    asyncio.run(channel.send([message(number) for number in range(40)]))
    moment[0] += timedelta(minutes=114)
    asyncio.run(channel.send([message(50)]))
    assert sent.server.lent == 1
    moment[0] += timedelta(minutes=2)
    asyncio.run(channel.send([message(51)]))
    assert sent.server.lent == 2


def test_a_token_that_is_over_is_fetched_again_once_for_all(sent: Sending) -> None:
    channel = ClosedAfterwards(sent.adapter())
    asyncio.run(channel.send([message()]))
    sent.server.expired.add("ACCESS-1")
    outcomes = asyncio.run(channel.send([message(number) for number in range(2, 30)]))
    assert {type(outcome) for outcome in outcomes} == {Accepted}
    assert (sent.server.lent, sent.server.tokens) == (2, ["ACCESS-1", "ACCESS-2"])


@pytest.mark.parametrize("code", [40001, 40014, 42001])
def test_a_stable_token_that_wechat_refuses_itself_is_forced_anew(sent: Sending, code: int) -> None:
    sent.server.will(answers(200, {"errcode": code}))
    assert [type(outcome) for outcome in sent(message())] == [Accepted]
    assert sent.server.tokens == ["ACCESS-1", "ACCESS-2"]


def test_tokens_refused_again_and_again_are_not_forced_again_and_again(sent: Sending) -> None:
    sent.server.will(*[answers(200, {"errcode": 40001})] * 200)
    outcomes = sent(*[message(number) for number in range(50)])
    assert set(outcomes) == {Retry("wechat: 40001", provider="account")}
    assert len(sent.server.tokens) == 2


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (Given(200, b'{"errcode": 40125}'), Retry("wechat token: 40125", provider="account")),
        (
            Given(200, b'{"errcode": 45009}'),
            Retry("wechat token: 45009", timedelta(hours=1), provider="account"),
        ),
        (Given(200, b"nonsense"), Retry("wechat token: -1", provider="account")),
        (Given(503), Retry("wechat token: 503", provider="account")),
    ],
)
def test_without_a_token_nothing_was_sent(sent: Sending, given: Given, outcome: Outcome) -> None:
    sent.server.token_faults = [given]
    assert sent(message()) == [outcome]
    assert sent.server.taken.total() == 0


def test_a_wrong_secret_is_a_retry_and_never_told(sent: Sending, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WECHAT_SECRET", "wrong")
    outcomes = sent(message(), secret=Secret(env="WECHAT_SECRET"))
    assert outcomes == [Retry("wechat token: 40125", provider="account")]


def test_only_the_last_messages_are_known_by_their_numbers(
    sent: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.wechat._NUMBERS", 2)
    account = sent.adapter(concurrency=1)
    asyncio.run(ClosedAfterwards(account).send([message(number) for number in (1, 2, 3)]))
    told = [account.receipts(signed(finished("success", number)))[0].message for number in (1000, 1001, 1002)]
    assert told == ["", message(2).id, message(3).id]


def test_what_became_of_a_message_is_told_by_its_id(sent: Sending) -> None:
    account = sent.adapter()
    asyncio.run(ClosedAfterwards(account).send([message(1), message(2)]))
    by_number = {number: key for (_, key), number in sent.server.sent.items()}
    (good,) = account.receipts(signed(finished("success")))
    assert (good.told, good.message) == ("delivered", by_number[1000])
    (bad,) = account.receipts(signed(finished("failed: system failed", 1001)))
    assert (bad.told, bad.message) == ("undelivered", by_number[1001])
    (other,) = account.receipts(signed(finished("success", 7)))
    assert (other.told, other.message, other.address) == ("delivered", "", OPEN_ID)
