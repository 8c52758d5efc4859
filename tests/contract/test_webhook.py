import asyncio
import gzip
import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from channels.provider import Callback
from channels.secret import Secret
from channels.webhook import Again, Answered, EndpointSettings, Failed, LateAnswer, Later, Webhooks
from domain.errors import InputRefused
from support.channel_contract import NOW
from support.push_loopback import Fault, answers, drops, endless, half, silent
from support.push_servers import WEBHOOK_SECRET, WebhookServer

CALL = "00000000-0000-5000-8000-000000000001"
OLD_SECRET = "whsec_" + b64encode(b"z" * 32).decode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebhookServer]:
    with WebhookServer(tmp_path) as server:
        yield server


class Calling:
    """One endpoint named ``score``, called in a loop of its own each time."""

    def __init__(self, server: WebhookServer, folder: Path) -> None:
        self.server = server
        (folder / "old-secret").write_text(OLD_SECRET)
        self.secret = Secret(file=str(folder / "webhook-secret"))
        self.old_secret = Secret(file=str(folder / "old-secret"))

    def webhooks(self, **given: object) -> Webhooks:
        values = {
            "url": f"{self.server.url}/score",
            "secret": self.secret,
            "timeout_seconds": 5.0,
            **given,
        }
        return Webhooks({"score": EndpointSettings(**values)})  # type: ignore[arg-type]

    def __call__(self, endpoint: str = "score", **given: object) -> Answered | Later | Failed | Again:
        webhooks = self.webhooks(**given)

        async def called() -> Answered | Later | Failed | Again:
            try:
                return await webhooks.call(endpoint, call=CALL, at=NOW, values={"amount": 5000, "name": "王"})
            finally:
                await webhooks.close()

        return asyncio.run(called())


@pytest.fixture
def call(server: WebhookServer, tmp_path: Path) -> Calling:
    return Calling(server, tmp_path)


def test_a_call_is_answered_by_flat_values(call: Calling) -> None:
    assert call() == Answered({"score": 710, "ok": True, "tier": "gold", "note": None})
    (asked,) = call.server.asked
    assert asked.path == "/score"
    assert json.loads(asked.body) == {
        "type": "journey.webhook",
        "timestamp": "2026-05-03T07:00:00Z",
        "data": {"amount": 5000, "name": "王"},
    }
    assert asked.headers["webhook-id"] == CALL
    assert asked.headers["webhook-timestamp"] == str(int(NOW.timestamp()))


def test_the_moment_that_a_call_was_asked_for_stays_when_it_is_made_again(call: Calling) -> None:
    webhooks = call.webhooks()

    async def called() -> None:
        for hours in (0, 3):
            at = NOW + timedelta(hours=hours)
            await webhooks.call("score", call=CALL, at=at, asked_at=NOW, values={})
        await webhooks.close()

    asyncio.run(called())
    first, second = call.server.asked
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 3 * 3600


def test_while_secrets_change_a_call_is_signed_with_all_of_them(call: Calling) -> None:
    assert isinstance(call(secret=call.old_secret, former_secrets=(call.secret,)), Answered)
    assert isinstance(call(secret=call.secret, former_secrets=(call.old_secret,)), Answered)
    assert len(call.server.asked[0].headers["webhook-signature"].split(" ")) == 2
    assert call(secret=call.old_secret) == Failed("webhook: 401")


@pytest.mark.parametrize("status", [200, 201, 204])
def test_an_empty_answer_has_no_values(call: Calling, status: int) -> None:
    call.server.will(answers(status))
    assert call() == Answered({})


def test_an_endpoint_may_answer_later(call: Calling) -> None:
    call.server.will(answers(202, {"queued": True}))
    assert call() == Later()


UNREADABLE = [
    b"done",
    b"[" * 15_000,
    b'{"a": ' + b"[" * 15_000,
    b"[]",
    b"1",
    b"\xff",
    b'{"a": 1.5}',
    b'{"a": {}}',
    b'{"a": []}',
    b'{"": 1}',
    json.dumps({"a": 2**63}).encode(),
    json.dumps({f"v{number}": 1 for number in range(51)}).encode(),
]


@pytest.mark.parametrize("body", UNREADABLE)
def test_an_answer_that_is_not_flat_or_too_much_has_failed(call: Calling, body: bytes) -> None:
    call.server.will(answers(200, body))
    assert isinstance(call(), Failed)


def test_an_answer_of_fifty_values_is_taken(call: Calling) -> None:
    values = {f"v{number}": number for number in range(50)}
    call.server.will(answers(200, values))
    assert call() == Answered(values)  # type: ignore[arg-type]


def test_no_more_of_an_answer_is_read_than_it_may_have(call: Calling) -> None:
    large = json.dumps({"a": "x" * 17_000})
    call.server.will(answers(200, large.encode()), answers(503, large.encode()), answers(400, large.encode()))
    assert call() == Failed("webhook: the answer is too large")
    assert call() == Again("webhook: 503")
    assert call() == Failed("webhook: 400")


def test_an_answer_that_never_ends_is_not_waited_for(call: Calling) -> None:
    call.server.will(endless(200), endless(500))
    assert call() == Failed("webhook: the answer is too large")
    assert call() == Again("webhook: 500")


def test_an_answer_that_is_packed_is_not_unpacked(call: Calling) -> None:
    call.server.will(answers(200, gzip.compress(b'{"a": 1}'), content_encoding="gzip"))
    assert isinstance(call(), Failed)
    assert call.server.asked[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
def test_a_refusal_has_failed(call: Calling, status: int) -> None:
    call.server.will(answers(status))
    assert call() == Failed(f"webhook: {status}")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(call: Calling, status: int) -> None:
    call.server.will(answers(status, location=f"{call.server.url}/elsewhere"))
    assert call() == Failed(f"webhook: {status}")
    assert len(call.server.asked) == 1


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_trouble_is_called_again(call: Calling, status: int) -> None:
    call.server.will(answers(status), answers(status, retry_after="120"))
    assert call() == Again(f"webhook: {status}")
    assert call() == Again(f"webhook: {status}", timedelta(minutes=2))


@pytest.mark.parametrize("fault", [drops(taken=True), drops(taken=False), half()])
def test_what_may_have_arrived_is_called_again_under_the_same_id(call: Calling, fault: Fault) -> None:
    call.server.will(fault)
    assert isinstance(call(), Again)
    assert isinstance(call(), Answered)
    assert {asked.headers["webhook-id"] for asked in call.server.asked} == {CALL}


@pytest.mark.parametrize("taken", [True, False])
def test_a_time_out_is_called_again(call: Calling, taken: bool) -> None:
    call.server.will(silent(taken=taken))
    assert call(timeout_seconds=0.3) == Again("webhook: timeout")


def test_a_refused_connection_is_called_again(call: Calling, tmp_path: Path) -> None:
    with WebhookServer(tmp_path) as ended:
        pass
    assert call(url=ended.url) == Again("webhook: http: ConnectError")


def test_an_endpoint_that_the_settings_do_not_know_has_failed(call: Calling) -> None:
    assert call("nowhere") == Failed("webhook: unknown endpoint")


@pytest.mark.parametrize(
    "url",
    [
        "http://bank.example/",
        "http://127.0.0.1.example/",
        "https://user:word@bank.example/",
        "ftp://bank.example/",
        "https://",
        "nonsense",
        "",
    ],
)
def test_an_address_that_is_not_safe_is_refused(call: Calling, url: str) -> None:
    with pytest.raises(InputRefused, match=r"webhook\.url"):
        call.webhooks(url=url)


@pytest.mark.parametrize("text", ["hush", "whsec_", "whsec_hush!", "whsec_" + b64encode(b"hush").decode()])
def test_a_secret_that_is_none_is_refused_without_being_quoted(
    call: Calling, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", text)
    with pytest.raises(InputRefused, match=r"secret\.unreadable") as refused:
        call.webhooks(secret=Secret(env="HOOK"))
    assert "hush" not in str(refused.value)


def callback(
    *,
    body: bytes | None = None,
    by: str = WEBHOOK_SECRET,
    late: timedelta = timedelta(0),
    identity: str = "msg_1",
    **headers: str,
) -> Callback:
    """An answer as an endpoint sends it, by the library's own signature."""
    if body is None:
        body = json.dumps({"type": "answer", "data": {"call": CALL, "values": {"score": 1}}}).encode()
    at = NOW - late
    signed = {
        "webhook-id": identity,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(by).sign(identity, at, body.decode("latin-1")),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return Callback("https://bank.example/webhooks/score", signed, body, NOW)


def test_a_late_answer_is_read(call: Calling) -> None:
    assert call.webhooks().verify("score", callback()) == LateAnswer("msg_1", CALL, True, {"score": 1})


def test_a_late_answer_may_say_that_it_failed(call: Calling) -> None:
    body = json.dumps({"data": {"call": CALL, "ok": False}}).encode()
    assert call.webhooks().verify("score", callback(body=body)) == LateAnswer("msg_1", CALL, False, {})


def test_while_secrets_change_an_answer_signed_with_either_is_believed(call: Calling) -> None:
    webhooks = call.webhooks(secret=call.old_secret, former_secrets=(call.secret,))
    for secret in (WEBHOOK_SECRET, OLD_SECRET):
        assert webhooks.verify("score", callback(by=secret)).call == CALL


def test_one_good_signature_among_others_is_enough(call: Calling) -> None:
    good = callback().headers["webhook-signature"]
    mixed = callback(webhook_signature=f"v1,AAAA v1a,BBBB nonsense {good}")
    assert call.webhooks().verify("score", mixed).call == CALL


@pytest.mark.parametrize("late", [timedelta(minutes=4, seconds=59), -timedelta(minutes=4, seconds=59)])
def test_an_answer_within_five_minutes_of_when_it_came_is_believed(call: Calling, late: timedelta) -> None:
    assert call.webhooks().verify("score", callback(late=late)).call == CALL


@pytest.mark.parametrize(
    "forged",
    [
        callback(late=timedelta(minutes=5, seconds=1)),
        callback(late=-timedelta(minutes=5, seconds=1)),
        callback(by=OLD_SECRET),
        callback(webhook_signature=""),
        callback(webhook_signature="v1,g0hM9SsE"),
        callback(webhook_signature=callback().headers["webhook-signature"].replace("v1,", "v2,")),
        callback(webhook_id="msg_2"),
        callback(webhook_id=""),
        callback(identity="msg.1"),
        callback(webhook_timestamp="hello"),
        callback(webhook_timestamp="9" * 30),
        callback(webhook_timestamp=""),
        callback(body=b'{"data": {"call": "\xff"}}'),
        callback(body=b'{"data": {"call": "1"}}' + b" " * 17_000),
    ],
)
def test_an_answer_that_is_not_the_endpoints_own_is_forged(call: Calling, forged: Callback) -> None:
    with pytest.raises(InputRefused, match=r"callback\.forged"):
        call.webhooks().verify("score", forged)


def test_an_answer_of_an_endpoint_that_there_is_not_is_forged(call: Calling) -> None:
    with pytest.raises(InputRefused, match=r"callback\.forged"):
        call.webhooks().verify("nowhere", callback())


@pytest.mark.parametrize(
    "body",
    [
        b"done",
        b"{}",
        b'{"data": {}}',
        b'{"data": {"call": ""}}',
        b'{"other": ' + b"[" * 15_000,
        b'{"data": {"call": "1", "values": {"a": []}}}',
    ],
)
def test_an_answer_that_cannot_be_understood_is_unreadable(call: Calling, body: bytes) -> None:
    with pytest.raises(InputRefused, match=r"callback\.unreadable"):
        call.webhooks().verify("score", callback(body=body))


def test_signatures_are_those_of_the_published_test_vector(
    call: Calling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Source: the test that all libraries of Standard Webhooks share, test_sign_function."""
    monkeypatch.setenv("HOOK", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    vector = Callback(
        "https://bank.example/",
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
        NOW.fromtimestamp(1614265330, NOW.tzinfo),
    )
    webhooks = call.webhooks(secret=Secret(env="HOOK"))
    with pytest.raises(InputRefused, match=r"callback\.unreadable"):  # believed, and no answer of a call
        webhooks.verify("score", vector)
