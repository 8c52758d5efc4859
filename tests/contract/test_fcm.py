import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from channels.base import Accepted, Channel, Outcome, Outgoing, Rejected, Retry, Unknown
from channels.fcm import Fcm, FcmSettings
from channels.provider import Callback
from channels.secret import Secret
from domain.errors import InputRefused
from support.channel_contract import NOW, ChannelContract, outgoing
from support.closing import ClosedAfterwards
from support.push_loopback import Fault, Given, drops, half, silent
from support.push_servers import PROJECT, FcmServer, fcm_error

TOO_BUSY = b'{"error": "temporarily_unavailable"}'  # google-auth would try again by itself
DEEP = Given(200, b'{"a":' + b"[" * 30_000)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FcmServer]:
    with FcmServer(tmp_path) as server:
        yield server


def settings(server: FcmServer, **given: object) -> FcmSettings:
    values = {
        "service_account": Secret(file=str(server.account_file)),
        "base_url": server.url,
        "token_uri": f"{server.url}/token",
        "timeout_seconds": 5.0,
        **given,
    }
    return FcmSettings(**values)  # type: ignore[arg-type]


def push(number: int = 1, **given: object) -> Outgoing:
    return outgoing(number, **{"channel": "push", "address": "fcm:device-1", **given})


def sent(server: FcmServer, *messages: Outgoing, **given: object) -> list[Outcome]:
    channel = ClosedAfterwards(Fcm("google", settings(server, **given)))
    return asyncio.run(channel.send(messages))


def erring(given: Given) -> Fault:
    return Fault("answer", False, given)


class TestFcm(ChannelContract):
    """FCM knows no message by our id: what was lost stays unknown, and a second one replaces the first."""

    @pytest.fixture
    def channel(self, server: FcmServer) -> Channel:
        class ToOneDevice(Fcm):
            async def send(self, messages):  # type: ignore[no-untyped-def]
                return await super().send([push(int(message.id[-12:])) for message in messages])

        return ClosedAfterwards(ToOneDevice("google", settings(server)))

    def test_what_was_never_handed_over_is_not_taken(self, channel: Channel) -> None:
        """It cannot be asked, so nothing is certain."""
        assert asyncio.run(channel.ask([push()])) == [Unknown("fcm: cannot be asked", provider="google")]

    def test_what_was_accepted_is_known_afterwards_under_the_same_id(self, channel: Channel) -> None:
        """It cannot be asked, so nothing is certain."""
        asyncio.run(channel.send([push()]))
        assert asyncio.run(channel.ask([push()])) == [Unknown("fcm: cannot be asked", provider="google")]

    def test_the_same_id_twice_is_one_message(  # type: ignore[override]
        self, channel: Channel, server: FcmServer
    ) -> None:
        """FCM takes both, under names of its own; the device shows one notification for one tag."""
        for _ in range(2):
            asyncio.run(channel.send([push()]))
        assert list(server.shown["device-1"]) == [push().id]


def test_a_message_carries_its_words_its_id_and_its_end(server: FcmServer) -> None:
    (outcome,) = sent(server, push(expires_at=NOW + timedelta(hours=2), purpose="service"))
    assert outcome == Accepted(f"projects/{PROJECT}/messages/0:1", provider="google")
    message = server.shown["device-1"][push().id]
    assert message["notification"] == {"title": "Happy birthday", "body": "Dear customer,\n"}
    assert message["data"] == {"message": push().id}
    assert message["android"] == {
        "priority": "HIGH",
        "ttl": "7200s",
        "notification": {"tag": push().id},
    }
    expiration = str(int((NOW + timedelta(hours=2)).timestamp()))
    assert message["apns"] == {"headers": {"apns-collapse-id": push().id, "apns-expiration": expiration}}


def test_a_message_without_an_end_leaves_it_to_the_platform(server: FcmServer) -> None:
    sent(server, push())
    message = server.shown["device-1"][push().id]
    assert message["android"] == {"priority": "NORMAL", "notification": {"tag": push().id}}


def test_an_end_beyond_four_weeks_is_four_weeks(server: FcmServer) -> None:
    sent(server, push(expires_at=NOW + timedelta(days=90)))
    android = server.shown["device-1"][push().id]["android"]
    assert isinstance(android, dict)
    assert android["ttl"] == "2419200s"


@pytest.mark.parametrize("address", ["apns:00ff", "device-1", "fcm:", ""])
def test_an_address_of_no_fcm_device_is_rejected_unasked(server: FcmServer, address: str) -> None:
    (outcome,) = sent(server, push(address=address))
    assert isinstance(outcome, Rejected)
    assert outcome.refused == "address"
    assert server.asked == []


@pytest.mark.parametrize(
    ("given", "reason", "refused"),
    [
        (fcm_error(404, "UNREGISTERED", status_word="NOT_FOUND"), "fcm: 404 UNREGISTERED", "address"),
        (fcm_error(403, "SENDER_ID_MISMATCH"), "fcm: 403 SENDER_ID_MISMATCH", "address"),
        (fcm_error(400, "INVALID_ARGUMENT", field="message.token"), "fcm: 400 INVALID_ARGUMENT", "address"),
        (
            fcm_error(
                400,
                "INVALID_ARGUMENT",
                message="The registration token is not a valid FCM registration token",
            ),
            "fcm: 400 INVALID_ARGUMENT",
            "address",
        ),
        (fcm_error(400, "", status_word="INVALID_ARGUMENT"), "fcm: 400 INVALID_ARGUMENT", "message"),
        (
            fcm_error(400, "INVALID_ARGUMENT", field="message.data[0].value"),
            "fcm: 400 INVALID_ARGUMENT",
            "message",
        ),
        (Given(413, b"<html>"), "fcm: 413", "message"),
    ],
)
def test_a_refusal_for_good_says_what_it_is_about(
    server: FcmServer, given: Given, reason: str, refused: str
) -> None:
    server.will(erring(given))
    assert sent(server, push()) == [Rejected(reason, refused=refused, provider="google")]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "after"),
    [
        (fcm_error(429, "QUOTA_EXCEEDED", retry_after="60"), timedelta(seconds=60)),
        (fcm_error(429, "QUOTA_EXCEEDED"), None),
        (fcm_error(503, "UNAVAILABLE", retry_after="90"), timedelta(seconds=90)),
        (fcm_error(503, "UNAVAILABLE", retry_after="999999"), timedelta(hours=6)),
        (
            fcm_error(
                503,
                "UNAVAILABLE",
                date="Sun, 03 May 2026 07:00:00 GMT",
                retry_after="Sun, 03 May 2026 07:02:00 GMT",
            ),
            timedelta(minutes=2),
        ),
        (fcm_error(403, "", status_word="PERMISSION_DENIED"), None),
        (Given(408), None),
        (Given(425), None),
        (fcm_error(404, "", status_word="NOT_FOUND"), None),
        (fcm_error(401, "THIRD_PARTY_AUTH_ERROR"), None),
    ],
)
def test_an_explicit_refusal_for_now_is_a_retry(
    server: FcmServer, given: Given, after: timedelta | None
) -> None:
    server.will(erring(given))
    (outcome,) = sent(server, push())
    assert isinstance(outcome, Retry)
    assert (outcome.after, outcome.provider) == (after, "google")
    assert len(server.tokens) == 1


@pytest.mark.parametrize(
    "fault",
    [
        erring(fcm_error(500, "INTERNAL")),
        erring(fcm_error(503, "UNAVAILABLE")),
        erring(Given(503, b"", {"retry-after": "5"})),
        erring(Given(502, b"<html>")),
        erring(Given(200, b"not json")),
        erring(Given(200, b'{"a": ' + b"[" * 30_000)),
        erring(Given(500, b'{"a": ' + b"[" * 30_000)),
        erring(Given(302, b"", {"location": "/elsewhere"})),
        erring(Given(200, b"x" * 100_000)),
        drops(taken=True),
        drops(taken=False),
        half(),
    ],
)
def test_what_may_have_been_taken_is_unknown(server: FcmServer, fault: Fault) -> None:
    server.will(fault)
    (outcome,) = sent(server, push())
    assert isinstance(outcome, Unknown)
    assert server.taken.total() <= 1


@pytest.mark.parametrize("taken", [True, False])
def test_a_time_out_after_the_request_is_unknown(server: FcmServer, taken: bool) -> None:
    server.will(silent(taken=taken))
    assert sent(server, push(), timeout_seconds=0.3) == [Unknown("timeout", provider="google")]
    assert server.taken.total() == taken


def test_a_refused_connection_is_a_retry(server: FcmServer, tmp_path: Path) -> None:
    with FcmServer(tmp_path) as ended:
        pass
    assert sent(server, push(), base_url=ended.url) == [Retry("http: ConnectError", provider="google")]


def test_a_name_that_does_not_exist_is_a_retry(server: FcmServer) -> None:
    (outcome,) = sent(server, push(), base_url="http://fcm.invalid")
    assert outcome == Retry("http: ConnectError", provider="google")


def test_a_handshake_that_never_ends_is_a_retry(server: FcmServer) -> None:
    url = server.url.replace("http:", "https:")
    (outcome,) = sent(server, push(), base_url=url, timeout_seconds=0.5)
    assert outcome == Retry("timeout: not connected", provider="google")


def test_a_token_serves_all_messages_till_near_its_end(server: FcmServer) -> None:
    moment = [NOW]
    channel = ClosedAfterwards(Fcm("google", settings(server), clock=lambda: moment[0]))
    asyncio.run(channel.send([push(number) for number in range(40)]))
    moment[0] += timedelta(minutes=54)
    asyncio.run(channel.send([push(50)]))
    assert len(server.tokens) == 1
    moment[0] += timedelta(minutes=2)
    asyncio.run(channel.send([push(51)]))
    assert len(server.tokens) == 2


def test_a_token_that_google_let_go_is_renewed_once_for_all(server: FcmServer) -> None:
    channel = ClosedAfterwards(Fcm("google", settings(server)))
    asyncio.run(channel.send([push()]))
    server.valid.clear()
    outcomes = asyncio.run(channel.send([push(number) for number in range(2, 42)]))
    assert {type(outcome) for outcome in outcomes} == {Accepted}
    assert len(server.tokens) == 2


def test_tokens_refused_again_and_again_are_not_asked_for_again_and_again(server: FcmServer) -> None:
    server.will(*[erring(fcm_error(401, "", status_word="UNAUTHENTICATED"))] * 200)
    outcomes = sent(server, *[push(number) for number in range(60)])
    assert {(type(outcome), outcome.reason) for outcome in outcomes if isinstance(outcome, Retry)} == {
        (Retry, "fcm: 401 UNAUTHENTICATED")
    }
    assert len(outcomes) == 60
    assert len(server.tokens) == 2
    assert server.taken.total() == 0


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(hours=-2)])
def test_a_wrong_clock_has_the_assertion_refused(server: FcmServer, ahead: timedelta) -> None:
    server.ahead = ahead
    assert sent(server, push()) == [Retry("google token: invalid_grant", provider="google")]


@pytest.mark.parametrize(
    "given",
    [Given(503, TOO_BUSY), Given(429, TOO_BUSY), Given(200, b"{}"), Given(200, b"no json"), Given(404), DEEP],
)
def test_without_a_token_nothing_was_sent(server: FcmServer, given: Given) -> None:
    server.token_faults = [given]
    outcomes = sent(server, push(1), push(2))
    assert [type(outcome) for outcome in outcomes] == [Retry, Retry]
    assert [asked.path for asked in server.asked] == ["/token"]


def test_a_token_that_is_over_when_it_comes_is_used_and_then_asked_for_anew(server: FcmServer) -> None:
    server.life_seconds = 1
    assert [type(outcome) for outcome in sent(server, push(1), push(2))] == [Accepted, Accepted]


def test_connections_are_kept_for_the_messages_of_a_batch(server: FcmServer) -> None:
    sent(server, *[push(number) for number in range(30)], concurrency=2)
    assert server.connections <= 3


@pytest.mark.parametrize("http2", [True, False])
def test_nothing_is_lost_over_a_connection_that_was_closed_while_idle(server: FcmServer, http2: bool) -> None:
    channel = Fcm("google", settings(server, http2=http2))

    async def twice() -> list[Outcome]:
        await channel.send([push(1)])
        server.hang_up()
        outcomes = await channel.send([push(number) for number in range(2, 40)])
        await channel.close()
        return outcomes

    assert {type(outcome) for outcome in asyncio.run(twice())} == {Accepted}


def test_outcomes_keep_their_order_where_some_are_refused(server: FcmServer) -> None:
    server.will(erring(fcm_error(404, "UNREGISTERED")))
    outcomes = sent(server, push(1), push(2, address="nowhere"), push(3), concurrency=1)
    assert [type(outcome) for outcome in outcomes] == [Rejected, Rejected, Accepted]


def test_reasons_hold_no_address(server: FcmServer) -> None:
    server.will(erring(fcm_error(400, "INVALID_ARGUMENT", message="device-1 is bad")))
    (outcome,) = sent(server, push())
    assert isinstance(outcome, Rejected)
    assert "device-1" not in outcome.reason


def test_a_key_that_is_none_is_refused_without_being_quoted(tmp_path: Path) -> None:
    (tmp_path / "key").write_text('{"private_key": "hush"}')
    with pytest.raises(InputRefused, match=r"secret\.unreadable") as refused:
        Fcm("google", FcmSettings(service_account=Secret(file=str(tmp_path / "key"))))
    assert "hush" not in str(refused.value)


def test_fcm_never_calls_back(server: FcmServer) -> None:
    with pytest.raises(InputRefused, match=r"callback\.forged"):
        Fcm("google", settings(server)).receipts(Callback("https://bank.example/", {}, b"", NOW))
