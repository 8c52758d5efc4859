import asyncio
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import http_ece  # type: ignore[import-untyped]
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02  # type: ignore[import-untyped]

from channels.base import Accepted, Channel, Outcome, Outgoing, Rejected, Retry, Unknown
from channels.calling import Clock, wall_clock
from channels.device import WebKeys
from channels.provider import Callback
from channels.secret import Secret
from channels.webpush import WebPush, WebPushSettings, encrypted
from domain.errors import InputRefused
from support.channel_contract import NOW, ChannelContract, outgoing
from support.closing import ClosedAfterwards
from support.push_loopback import Fault, answers, drops, half, silent
from support.push_servers import WebPushServer

CANNOT_BE_ASKED = Unknown("web: cannot be asked", provider="browsers")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebPushServer]:
    with WebPushServer(tmp_path) as server:
        yield server


def settings(server: WebPushServer, **given: object) -> WebPushSettings:
    values = {
        "subject": "mailto:push@bank.example",
        "key": Secret(file=str(server.key_file)),
        "hosts": (f"127.0.0.1:{server.port}",),
        "allow_http": True,
        "timeout_seconds": 5.0,
        **given,
    }
    return WebPushSettings(**values)  # type: ignore[arg-type]


def push(server: WebPushServer, number: int = 1, **given: object) -> Outgoing:
    return outgoing(number, **{"channel": "push", "address": f"web:{server.subscription()}", **given})


def sent(
    server: WebPushServer, *messages: Outgoing, clock: Clock = wall_clock, **given: object
) -> list[Outcome]:
    channel = ClosedAfterwards(WebPush("browsers", settings(server, **given), clock=clock))
    return asyncio.run(channel.send(messages))


class TestWebPush(ChannelContract):
    """A push service tells nothing of a message afterwards: what was lost stays unknown."""

    @pytest.fixture
    def channel(self, server: WebPushServer) -> Channel:
        class ToOneBrowser(WebPush):
            async def send(self, messages):  # type: ignore[no-untyped-def]
                return await super().send([push(server, int(message.id[-12:])) for message in messages])

        return ClosedAfterwards(ToOneBrowser("browsers", settings(server)))

    def test_what_was_never_handed_over_is_not_taken(self, channel: Channel) -> None:
        """It cannot be asked, so nothing is certain."""
        assert asyncio.run(channel.ask([outgoing()])) == [
            Unknown("web: cannot be asked", provider="browsers")
        ]

    def test_what_was_accepted_is_known_afterwards_under_the_same_id(self, channel: Channel) -> None:
        """It cannot be asked, so nothing is certain."""
        asyncio.run(channel.send([outgoing()]))
        assert asyncio.run(channel.ask([outgoing()])) == [
            Unknown("web: cannot be asked", provider="browsers")
        ]


def test_a_browser_can_read_what_was_sent(server: WebPushServer) -> None:
    message = push(server, expires_at=NOW + timedelta(hours=2), purpose="service", heading="到期提醒")
    assert sent(server, message) == [Accepted(message.id, provider="browsers")]
    topic = message.id.replace("-", "")
    assert server.waiting == {
        ("/push/one", topic): {"id": message.id, "title": "到期提醒", "body": "Dear customer,\n"}
    }
    (asked,) = server.asked
    assert (asked.headers["ttl"], asked.headers["urgency"], len(topic)) == ("7200", "high", 32)


@pytest.mark.parametrize(
    ("purpose", "urgency"),
    [("marketing", "low"), ("care", "normal"), ("service", "high"), ("regulatory", "high")],
)
def test_urgency_follows_the_purpose(server: WebPushServer, purpose: str, urgency: str) -> None:
    sent(server, push(server, purpose=purpose))
    assert (server.asked[0].headers["urgency"], server.asked[0].headers["ttl"]) == (urgency, "2419200")


def test_the_example_of_rfc_8291_comes_out_as_printed_there() -> None:
    keys = WebKeys(
        p256dh="BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        auth="BTBZMqHH6r4Tts7J_aSIgg",
    )
    own = Vapid02.from_raw(b"yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw").private_key
    salt = urlsafe_b64decode("DGv6ra1nlYgDCS1FRnbzlw==")
    body = encrypted(b"When I grow up, I want to be a watermelon", keys, own=own, salt=salt)
    assert urlsafe_b64encode(body).rstrip(b"=").decode() == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIg"
        "Dll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVB"
        "St2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_nobody_but_the_browser_can_read_it(server: WebPushServer) -> None:
    sent(server, push(server))
    with pytest.raises(http_ece.ECEException):
        http_ece.decrypt(
            server.asked[0].body,
            private_key=ec.generate_private_key(ec.SECP256R1()),
            auth_secret=b"0123456789abcdef",
        )


def test_a_second_hand_over_takes_the_place_of_the_first(server: WebPushServer) -> None:
    server.will(drops(taken=True))
    message = push(server)
    assert [type(outcome) for outcome in sent(server, message)] == [Unknown]
    assert [type(outcome) for outcome in sent(server, message)] == [Accepted]
    assert server.taken[message.id] == 2
    assert len(server.waiting) == 1


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://evil.example/push/1",
        "https://fcm.googleapis.com.evil.example/push",
        "https://fcm.googleapis.com:8443/push",
        "https://fcm.googleapis.com@evil.example/",
        "https://evil.example\\@fcm.googleapis.com/",
        "http://fcm.googleapis.com/push",
        "https://169.254.169.254/latest",
        "https://push.apple.com/1",
        "file:///etc/passwd",
        "//fcm.googleapis.com/",
        "https://",
        "nonsense",
        "https://[::1/",
        "https://[::1]:443/",
        "https://127.0.0.1/",
    ],
)
def test_no_other_host_than_a_known_push_service_is_called(server: WebPushServer, endpoint: str) -> None:
    hosts = ("fcm.googleapis.com", "*.push.apple.com")
    message = push(server, address=f"web:{server.subscription(endpoint=endpoint)}")
    outcome = Rejected("web: no push service of the settings", refused="address", provider="browsers")
    assert sent(server, message, hosts=hosts) == [outcome]


@pytest.mark.parametrize("allowed", [False, True])
def test_without_tls_only_the_machine_itself_is_called_and_only_if_allowed(
    server: WebPushServer, allowed: bool
) -> None:
    (outcome,) = sent(server, push(server), allow_http=allowed)
    assert isinstance(outcome, Accepted if allowed else Rejected)
    elsewhere = push(server, address=f"web:{server.subscription(endpoint='http://push.example/1')}")
    (outcome,) = sent(server, elsewhere, allow_http=True, hosts=("push.example:80", "push.example"))
    assert isinstance(outcome, Rejected)


@pytest.mark.parametrize(
    "address",
    [
        "fcm:1",
        "web:nonsense",
        "web:{}",
        'web:{"a":' + "[" * 30_000,
        'web:{"endpoint": 1}',
        "",
    ],
)
def test_an_address_of_no_browser_is_rejected_unasked(server: WebPushServer, address: str) -> None:
    (outcome,) = sent(server, push(server, address=address))
    assert isinstance(outcome, Rejected)
    assert outcome.refused == "address"
    assert server.asked == []


@pytest.mark.parametrize("keys", [{"p256dh": "AAAA", "auth": "AAAA"}, {"p256dh": "A", "auth": "A"}])
def test_keys_that_are_none_are_rejected_unasked(server: WebPushServer, keys: dict[str, str]) -> None:
    subscription = {**json.loads(server.subscription()), "keys": keys}
    (outcome,) = sent(server, push(server, address=f"web:{json.dumps(subscription)}"))
    assert isinstance(outcome, Rejected)
    assert outcome.refused == "address"


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_is_over_is_rejected(server: WebPushServer, status: int) -> None:
    server.will(answers(status))
    outcome = Rejected(f"web: {status}", refused="address", provider="browsers")
    assert sent(server, push(server)) == [outcome]


@pytest.mark.parametrize("status", [413, 400])
def test_a_refusal_of_the_message_is_not_of_the_address(server: WebPushServer, status: int) -> None:
    server.will(answers(status))
    assert sent(server, push(server)) == [Rejected(f"web: {status}", provider="browsers")]


def test_what_is_too_long_is_rejected_unasked(server: WebPushServer) -> None:
    frame = len(json.dumps({"id": push(server).id, "title": "", "body": ""}, separators=(",", ":")))
    fits = push(server, heading="", text="x" * (3993 - frame))
    assert [type(outcome) for outcome in sent(server, fits)] == [Accepted]
    (outcome,) = sent(server, push(server, heading="", text="x" * (3994 - frame)))
    assert outcome == Rejected("web: too long", provider="browsers")
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [429, 408, 425, 503, 401, 403])
def test_an_explicit_refusal_for_now_is_a_retry(server: WebPushServer, status: int) -> None:
    server.will(answers(status, retry_after="30"))
    outcome = Retry(f"web: {status}", timedelta(seconds=30), provider="browsers")
    assert sent(server, push(server)) == [outcome]


@pytest.mark.parametrize(
    "fault",
    [
        answers(500),
        answers(502),
        answers(503),
        answers(307, location="https://evil.example/"),
        drops(taken=True),
        drops(taken=False),
        half(),
    ],
)
def test_what_may_have_been_taken_is_unknown(server: WebPushServer, fault: Fault) -> None:
    server.will(fault)
    (outcome,) = sent(server, push(server))
    assert isinstance(outcome, Unknown)
    assert len(server.asked) == 1


@pytest.mark.parametrize("taken", [True, False])
def test_a_time_out_after_the_request_is_unknown(server: WebPushServer, taken: bool) -> None:
    server.will(silent(taken=taken))
    assert sent(server, push(server), timeout_seconds=0.3) == [Unknown("timeout", provider="browsers")]


def test_a_refused_connection_is_a_retry(server: WebPushServer, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with WebPushServer(tmp_path / "other") as ended:
        pass
    hosts = (f"127.0.0.1:{ended.port}",)
    assert sent(server, push(ended), hosts=hosts) == [Retry("http: ConnectError", provider="browsers")]


def test_a_push_service_is_signed_for_once_in_six_hours(server: WebPushServer) -> None:
    moment = [datetime.now(UTC)]
    channel = ClosedAfterwards(WebPush("browsers", settings(server), clock=lambda: moment[0]))
    for hours, signatures in ((0, 1), (5, 1), (2, 2)):
        moment[0] += timedelta(hours=hours)
        asyncio.run(channel.send([push(server)]))
        assert len(set(server.authorized)) == signatures


@pytest.mark.parametrize("ahead", [timedelta(hours=13), timedelta(hours=-13)])
def test_with_a_wrong_clock_the_signature_is_refused_and_nothing_lost(
    server: WebPushServer, ahead: timedelta
) -> None:
    outcomes = sent(server, push(server), clock=lambda: datetime.now(UTC) + ahead)
    assert outcomes == [Retry("web: 403", provider="browsers")]


def test_a_clock_that_is_set_right_has_signatures_made_anew(server: WebPushServer) -> None:
    moment = [datetime.now(UTC) + timedelta(days=3)]
    channel = ClosedAfterwards(WebPush("browsers", settings(server), clock=lambda: moment[0]))
    assert [type(outcome) for outcome in asyncio.run(channel.send([push(server)]))] == [Retry]
    moment[0] -= timedelta(days=3)
    assert [type(outcome) for outcome in asyncio.run(channel.send([push(server)]))] == [Accepted]


def test_a_signature_names_the_push_service_and_where_to_complain(server: WebPushServer) -> None:
    sent(server, push(server))
    claims = jwt.decode(server.authorized[0], options={"verify_signature": False})
    assert (claims["aud"], claims["sub"]) == (server.url, "mailto:push@bank.example")


@pytest.mark.parametrize("given", [{"subject": "nobody"}, {"key": Secret(env="WEB_KEY")}])
def test_settings_that_cannot_work_are_refused_at_once(
    server: WebPushServer, given: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_KEY", "hush")
    with pytest.raises(InputRefused) as refused:
        WebPush("browsers", settings(server, **given))
    assert "hush" not in str(refused.value)


def test_push_services_never_call_back(server: WebPushServer) -> None:
    with pytest.raises(InputRefused, match=r"callback\.forged"):
        WebPush("browsers", settings(server)).receipts(Callback("https://bank.example/", {}, b"", NOW))
