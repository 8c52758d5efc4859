import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from channels.apns import Apns, ApnsSettings
from channels.base import Accepted, Channel, Outcome, Outgoing, Rejected, Retry, Unknown
from channels.calling import Clock, wall_clock
from channels.provider import Callback
from channels.secret import Secret
from domain.errors import InputRefused
from support.channel_contract import NOW, ChannelContract, outgoing
from support.closing import ClosedAfterwards
from support.push_apns import KEY_ID, TEAM, TOPIC, ApnsServer
from support.push_loopback import Fault, answers, drops, half, silent

DEVICE = "00ff" * 16


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApnsServer]:
    with ApnsServer(tmp_path) as server:
        yield server


def settings(server: ApnsServer, **given: object) -> ApnsSettings:
    values = {
        "key": Secret(file=str(server.key_file)),
        "key_id": KEY_ID,
        "team_id": TEAM,
        "topic": TOPIC,
        "base_url": server.url,
        "ca_file": str(server.ca_file),
        "timeout_seconds": 5.0,
        **given,
    }
    return ApnsSettings(**values)  # type: ignore[arg-type]


def push(number: int = 1, **given: object) -> Outgoing:
    return outgoing(number, **{"channel": "push", "address": f"apns:{DEVICE}", **given})


def sent(
    server: ApnsServer, *messages: Outgoing, clock: Clock = wall_clock, **given: object
) -> list[Outcome]:
    channel = ClosedAfterwards(Apns("apple", settings(server, **given), clock=clock))
    return asyncio.run(channel.send(messages))


class TestApns(ChannelContract):
    """APNs tells nothing of a message afterwards: what was lost stays unknown."""

    @pytest.fixture
    def channel(self, server: ApnsServer) -> Channel:
        class ToOneDevice(Apns):
            async def send(self, messages):  # type: ignore[no-untyped-def]
                return await super().send([push(int(message.id[-12:])) for message in messages])

        return ClosedAfterwards(ToOneDevice("apple", settings(server)))

    def test_what_was_never_handed_over_is_not_taken(self, channel: Channel) -> None:
        """It cannot be asked, so nothing is certain."""
        assert asyncio.run(channel.ask([push()])) == [Unknown("apns: cannot be asked", provider="apple")]

    def test_what_was_accepted_is_known_afterwards_under_the_same_id(self, channel: Channel) -> None:
        """It cannot be asked, so nothing is certain."""
        asyncio.run(channel.send([push()]))
        assert asyncio.run(channel.ask([push()])) == [Unknown("apns: cannot be asked", provider="apple")]


def test_a_message_carries_its_words_its_id_and_its_end(server: ApnsServer) -> None:
    (outcome,) = sent(server, push(expires_at=NOW + timedelta(hours=2), purpose="regulatory"))
    assert outcome == Accepted(push().id, provider="apple")
    (asked,) = server.asked
    assert {name: value for name, value in asked.headers.items() if name.startswith("apns-")} == {
        "apns-id": push().id,
        "apns-topic": TOPIC,
        "apns-push-type": "alert",
        "apns-priority": "10",
        "apns-collapse-id": push().id,
        "apns-expiration": str(int((NOW + timedelta(hours=2)).timestamp())),
    }
    assert server.waiting[DEVICE, push().id] == {
        "aps": {"alert": {"title": "Happy birthday", "body": "Dear customer,\n"}, "sound": "default"},
        "message": push().id,
    }


def test_a_second_hand_over_takes_the_place_of_the_first(server: ApnsServer) -> None:
    server.will(drops(taken=True))
    assert [type(outcome) for outcome in sent(server, push())] == [Unknown]
    assert [type(outcome) for outcome in sent(server, push())] == [Accepted]
    assert server.taken[push().id] == 2
    assert list(server.waiting) == [(DEVICE, push().id)]


@pytest.mark.parametrize("address", ["fcm:00ff00ff", "apns:xyz", "apns:../3", "apns:", ""])
def test_an_address_of_no_apple_device_is_rejected_unasked(server: ApnsServer, address: str) -> None:
    (outcome,) = sent(server, push(address=address))
    assert isinstance(outcome, Rejected)
    assert outcome.refused == "address"
    assert server.asked == []


@pytest.mark.parametrize(
    ("status", "word", "refused"),
    [
        (410, "Unregistered", "address"),
        (410, "ExpiredToken", "address"),
        (400, "BadDeviceToken", "address"),
        (400, "DeviceTokenNotForTopic", "address"),
        (400, "BadExpirationDate", "message"),
        (400, "PayloadEmpty", "message"),
        (413, "PayloadTooLarge", "message"),
    ],
)
def test_a_refusal_for_good_says_what_it_is_about(
    server: ApnsServer, status: int, word: str, refused: str
) -> None:
    server.will(answers(status, {"reason": word}))
    (outcome,) = sent(server, push())
    assert outcome == Rejected(f"apns: {status} {word}", refused=refused, provider="apple")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (429, "TooManyRequests"),
        (429, "TooManyProviderTokenUpdates"),
        (408, "RequestTimeout"),
        (503, "Shutdown"),
        (503, "ServiceUnavailable"),
        (403, "InvalidProviderToken"),
        (403, "Forbidden"),
        (400, "TopicDisallowed"),
    ],
)
def test_an_explicit_refusal_for_now_is_a_retry(server: ApnsServer, status: int, word: str) -> None:
    server.will(answers(status, {"reason": word}, retry_after="30"))
    (outcome,) = sent(server, push())
    assert outcome == Retry(f"apns: {status} {word}", timedelta(seconds=30), provider="apple")
    assert server.taken.total() == 0


@pytest.mark.parametrize(
    "fault",
    [
        answers(500, {"reason": "InternalServerError"}),
        answers(503),
        answers(502, b"<html>"),
        answers(500, b'{"a":' + b"[" * 30_000),
        drops(taken=True),
        drops(taken=False),
        half(),
    ],
)
def test_what_may_have_been_taken_is_unknown(server: ApnsServer, fault: Fault) -> None:
    server.will(fault)
    (outcome,) = sent(server, push())
    assert isinstance(outcome, Unknown)


@pytest.mark.parametrize("taken", [True, False])
def test_a_time_out_after_the_request_is_unknown(server: ApnsServer, taken: bool) -> None:
    server.will(silent(taken=taken))
    assert sent(server, push(), timeout_seconds=0.5) == [Unknown("timeout", provider="apple")]
    assert server.taken.total() == taken


def test_a_stream_that_was_refused_was_not_taken(server: ApnsServer) -> None:
    server.refused = 1
    assert sent(server, push()) == [Retry("http: RemoteProtocolError", provider="apple")]
    assert server.taken.total() == 0


def test_a_stream_beyond_the_last_one_that_the_server_names_was_not_taken(server: ApnsServer) -> None:
    server.goodbye = 0
    assert sent(server, push()) == [Retry("http: RemoteProtocolError", provider="apple")]
    assert server.taken.total() == 0


def test_a_stream_that_the_server_may_have_looked_at_is_unknown(server: ApnsServer) -> None:
    server.goodbye = 1
    assert sent(server, push()) == [Unknown("http: RemoteProtocolError", provider="apple")]


def test_a_server_that_nobody_vouches_for_gets_nothing(server: ApnsServer) -> None:
    assert sent(server, push(), ca_file=None) == [Retry("http: ConnectError", provider="apple")]
    assert server.asked == []


def test_a_refused_connection_is_a_retry(server: ApnsServer, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with ApnsServer(tmp_path / "other") as ended:
        pass
    assert sent(server, push(), base_url=ended.url) == [Retry("http: ConnectError", provider="apple")]


def test_one_connection_and_one_token_serve_a_batch(server: ApnsServer) -> None:
    outcomes = sent(server, *[push(number) for number in range(200)])
    assert {type(outcome) for outcome in outcomes} == {Accepted}
    assert (server.connections, len(server.tokens)) == (1, 1)


def test_nothing_is_lost_over_a_connection_that_was_closed_while_idle(server: ApnsServer) -> None:
    channel = Apns("apple", settings(server))

    async def twice() -> list[Outcome]:
        await channel.send([push(1)])
        server.hang_up()
        outcomes = await channel.send([push(number) for number in range(2, 40)])
        await channel.close()
        return outcomes

    assert {type(outcome) for outcome in asyncio.run(twice())} == {Accepted}
    assert server.connections == 2


def test_a_token_is_renewed_after_forty_minutes(server: ApnsServer) -> None:
    moment = [datetime.now(UTC)]
    channel = ClosedAfterwards(Apns("apple", settings(server), clock=lambda: moment[0]))
    for minutes, tokens in ((0, 1), (39, 1), (2, 2)):
        moment[0] += timedelta(minutes=minutes)
        asyncio.run(channel.send([push()]))
        assert len(server.tokens) == tokens


def test_a_token_that_apple_calls_old_is_renewed_and_the_message_tried_once_more(server: ApnsServer) -> None:
    moment = [datetime.now(UTC)]
    channel = ClosedAfterwards(Apns("apple", settings(server), clock=lambda: moment[0]))
    asyncio.run(channel.send([push()]))
    moment[0] += timedelta(minutes=5)
    server.will(answers(403, {"reason": "ExpiredProviderToken"}))
    (outcome,) = asyncio.run(channel.send([push(2)]))
    assert isinstance(outcome, Accepted)
    assert len(server.tokens) == 2


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(hours=-2)])
def test_with_a_wrong_clock_tokens_are_not_renewed_again_and_again(
    server: ApnsServer, ahead: timedelta
) -> None:
    server.ahead = ahead
    outcomes = sent(server, *[push(number) for number in range(150)])
    assert set(outcomes) == {Retry("apns: 403 ExpiredProviderToken", provider="apple")}
    assert len(server.tokens) <= 2


def test_another_teams_token_is_a_retry(server: ApnsServer) -> None:
    outcomes = sent(server, push(), team_id="OTHER")
    assert outcomes == [Retry("apns: 403 InvalidProviderToken", provider="apple")]


def test_what_is_too_long_is_rejected(server: ApnsServer) -> None:
    (outcome,) = sent(server, push(text="long " * 1000))
    assert outcome == Rejected("apns: 413 PayloadTooLarge", provider="apple")


def test_words_of_apple_that_are_no_code_are_not_kept(server: ApnsServer) -> None:
    server.will(answers(400, {"reason": f"device {DEVICE} is bad"}))
    assert sent(server, push()) == [Rejected("apns: 400", provider="apple")]


def test_a_key_that_is_none_is_refused_without_being_quoted(server: ApnsServer, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hush")
    with pytest.raises(InputRefused, match=r"secret\.unreadable") as refused:
        Apns("apple", settings(server, key=Secret(file=str(tmp_path / "key"))))
    assert "hush" not in str(refused.value)


def test_apple_never_calls_back(server: ApnsServer) -> None:
    with pytest.raises(InputRefused, match=r"callback\.forged"):
        Apns("apple", settings(server)).receipts(Callback("https://bank.example/", {}, b"", NOW))
