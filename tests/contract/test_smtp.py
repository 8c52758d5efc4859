"""The mail channel on real connections: mails arrive once, over few connections that are used again."""

import asyncio
import re
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from channels.base import Accepted, Channel, Outcome, Unknown
from channels.provider import Provider
from channels.secret import Secret
from channels.smtp import Returns, Smtp, SmtpSettings
from domain.errors import InputRefused
from support.channel_contract import ChannelContract, outgoing
from support.mailing import MANY, PLAIN, one_by_one, sent, smtp
from support.smtp_server import PASSWORD, Fault, SmtpServer


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


class TestSmtp(ChannelContract):
    """The contract, but for asking: SMTP has no question for it."""

    @pytest.fixture
    def channel(self, server: SmtpServer) -> Smtp:
        return smtp(server.port)

    def test_what_was_never_handed_over_is_not_taken(self, channel: Channel) -> None:
        """A server cannot be asked, so nobody knows."""
        assert asyncio.run(channel.ask([outgoing()])) == [Unknown("smtp cannot be asked", "post")]

    def test_what_was_accepted_is_known_afterwards_under_the_same_id(self, channel: Channel) -> None:
        """A server cannot be asked, so nobody knows."""
        asyncio.run(channel.send([outgoing()]))
        assert asyncio.run(channel.ask([outgoing()])) == [Unknown("smtp cannot be asked", "post")]

    def test_the_same_id_twice_is_one_message(self, channel: Channel) -> None:
        """A server takes the same Message-ID twice, which is why nothing unknown is sent again."""
        asyncio.run(channel.send([outgoing()]))
        assert isinstance(asyncio.run(channel.send([outgoing()]))[0], Accepted)


def test_it_is_a_provider_with_the_name_of_its_settings(server: SmtpServer) -> None:
    channel: Provider = smtp(server.port)
    assert channel.name == "post"


def test_the_server_gets_the_mail_and_its_queue_names_it(server: SmtpServer) -> None:
    outcomes = one_by_one(server.port, outgoing(1), outgoing(2))
    assert outcomes == [Accepted("Q000001", "post"), Accepted("Q000002", "post")]
    mail = message_from_bytes(server.mails[0])
    assert mail["Message-ID"] == f"<{outgoing(1).id}@bank.example>"
    assert mail.get_payload() == "Dear customer,\r\n"


def test_the_envelope_names_the_message_to_who_may_return_it(server: SmtpServer) -> None:
    one_by_one(server.port, outgoing(), returns=Returns(address="bounces@bank.example"))
    identity = outgoing().id
    assert server.commands[1:3] == [
        f"MAIL FROM:<bounces+{identity}@bank.example> RET=HDRS ENVID={identity}".encode(),
        b"RCPT TO:<one@example.com>",
    ]


@pytest.mark.parametrize("text", [".", ".\n.\n", "\n.\n..\n.x\n", ".\r\n.\r\nQUIT\n"])
def test_a_dot_alone_on_a_line_does_not_end_a_mail(text: str, server: SmtpServer) -> None:
    outcomes = one_by_one(server.port, outgoing(1, text=text), outgoing(2))
    assert [type(outcome) for outcome in outcomes] == [Accepted, Accepted]
    payload = message_from_bytes(server.mails[0]).get_payload()
    assert str(payload).replace("\r\n", "\n").rstrip("\n") == text.replace("\r\n", "\n").rstrip("\n")


@pytest.mark.parametrize("offers", [(b"PIPELINING",), PLAIN])
def test_many_mails_each_arrive_once_over_few_connections(offers: tuple[bytes, ...]) -> None:
    with SmtpServer(offers=offers) as server:
        outcomes = sent(smtp(server.port, connections=3), *map(outgoing, range(MANY)))
        assert {type(outcome) for outcome in outcomes} == {Accepted}
        assert set(server.counts.values()) == {1}
        assert len(server.counts) == MANY
        assert server.connections == 3


def test_connections_are_used_again_from_call_to_call(server: SmtpServer) -> None:
    channel = smtp(server.port, connections=2)

    async def calls() -> None:
        for number in range(10):
            assert isinstance((await channel.send([outgoing(number)]))[0], Accepted)
        await channel.close()

    asyncio.run(calls())
    assert server.connections == 1
    assert server.commands[-1] == b"QUIT"


def test_a_server_that_offers_too_much_can_be_spoken_to_slowly(server: SmtpServer) -> None:
    server.fails(Fault("mail", b"550 5.7.1 No\r\n"))
    one_by_one(server.port, outgoing(), pipelining=False)
    assert not any(command.startswith(b"RCPT") for command in server.commands)


def test_two_calls_at_once_share_the_connections(server: SmtpServer) -> None:
    channel = smtp(server.port, connections=2)

    async def calls() -> list[list[Outcome]]:
        halves = [[outgoing(n) for n in range(start, start + MANY)] for start in (0, MANY)]
        outcomes = await asyncio.gather(*map(channel.send, halves))
        await channel.close()
        return outcomes

    outcomes = asyncio.run(calls())
    assert {type(outcome) for half in outcomes for outcome in half} == {Accepted}
    assert server.connections == 2
    assert server.counts.total() == 2 * MANY


def test_a_channel_works_on_in_another_loop_closed_or_not(server: SmtpServer) -> None:
    channel = smtp(server.port)
    assert isinstance(asyncio.run(channel.send([outgoing(1)]))[0], Accepted)
    assert isinstance(sent(channel, outgoing(2))[0], Accepted)
    asyncio.run(channel.close())
    assert isinstance(sent(channel, outgoing(3))[0], Accepted)
    assert server.connections == 3


def test_a_connection_that_the_server_closed_meanwhile_is_opened_anew(server: SmtpServer) -> None:
    channel = smtp(server.port, connections=1)

    async def calls() -> list[Outcome]:
        first = await channel.send([outgoing(1)])
        await asyncio.to_thread(server.drop_all)
        second = await channel.send([outgoing(2)])
        await channel.close()
        return first + second

    assert [type(outcome) for outcome in asyncio.run(calls())] == [Accepted, Accepted]
    assert server.connections == 2
    assert set(server.counts.values()) == {1}


def test_a_connection_that_was_closed_while_no_loop_ran_is_opened_anew(server: SmtpServer) -> None:
    channel = smtp(server.port, connections=1)
    with asyncio.Runner() as runner:
        runner.run(channel.send([outgoing(1)]))
        server.drop_all()
        assert server.emptied.wait(10)
        assert isinstance(runner.run(channel.send([outgoing(2)]))[0], Accepted)
        runner.run(channel.close())
    assert set(server.counts.values()) == {1}


def test_a_server_that_says_it_closes_is_believed(server: SmtpServer) -> None:
    channel = smtp(server.port, connections=1)

    async def calls() -> list[Outcome]:
        first = await channel.send([outgoing(1)])
        await asyncio.to_thread(server.say_to_all, b"421 4.4.2 Idle for too long\r\n")
        second = await channel.send([outgoing(2)])
        await channel.close()
        return first + second

    assert [type(outcome) for outcome in asyncio.run(calls())] == [Accepted, Accepted]
    assert set(server.counts.values()) == {1}


def test_a_server_that_takes_few_mails_for_each_connection_gets_all_the_same() -> None:
    with SmtpServer(most_per_connection=3) as server:
        outcomes = one_by_one(server.port, *map(outgoing, range(10)))
        assert {type(outcome) for outcome in outcomes} == {Accepted}
        assert set(server.counts.values()) == {1}
        assert server.connections == 4


def test_a_connection_carries_no_more_mails_than_it_may(server: SmtpServer) -> None:
    outcomes = one_by_one(server.port, *map(outgoing, range(10)), messages_per_connection=4)
    assert {type(outcome) for outcome in outcomes} == {Accepted}
    assert server.connections == 3


def test_idle_connections_are_parted_with(server: SmtpServer) -> None:
    channel = smtp(server.port, connections=1, idle_seconds=0.01)

    async def calls() -> None:
        await channel.send([outgoing(1)])
        assert await asyncio.to_thread(server.emptied.wait, 10)
        await channel.close()

    asyncio.run(calls())
    assert server.commands[-1] == b"QUIT"


@pytest.mark.parametrize("offers", [(b"PIPELINING",), PLAIN])
def test_a_large_mail_arrives_whole(offers: tuple[bytes, ...]) -> None:
    text = "0123456789 .\n" * 200_000
    with SmtpServer(offers=offers) as server:
        outcomes = one_by_one(server.port, outgoing(1, text=text), outgoing(2))
        assert [type(outcome) for outcome in outcomes] == [Accepted, Accepted]
        assert str(message_from_bytes(server.mails[0]).get_payload()).replace("\r\n", "\n") == text


def test_a_call_that_is_given_up_leaves_nothing_that_could_be_mistaken(server: SmtpServer) -> None:
    server.fails(Fault("content", then="hang", take=True))
    channel = smtp(server.port, connections=1)

    async def calls() -> list[Outcome]:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await channel.send([outgoing(1)])
        outcomes = await channel.send([outgoing(2)])
        await channel.close()
        return outcomes

    assert [type(outcome) for outcome in asyncio.run(calls())] == [Accepted]
    assert set(server.counts.values()) == {1}


@pytest.mark.parametrize(
    ("given_", "code"),
    [
        ({"username": "post"}, "smtp.half_a_login"),
        ({"password": Secret(env="MAIL_PASSWORD")}, "smtp.half_a_login"),
        (
            {"username": "post", "password": Secret(env="MAIL_PASSWORD"), "host": "mail.example"},
            "smtp.password_in_clear",
        ),
        ({"tls": "tls", "ca_file": "nowhere.pem"}, "smtp.ca_file"),
        ({"callback_secret": Secret(env="MAIL_PASSWORD")}, "mail.callback_secret"),
    ],
)
def test_settings_that_will_not_do_are_refused_at_once(
    given_: dict[str, Any], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    with pytest.raises(InputRefused) as refused:
        smtp(25, **given_)
    assert refused.value.code == code
    assert PASSWORD not in repr(refused.value)


def test_the_settings_that_the_documentation_shows_are_settings(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "email.md").read_text(encoding="utf-8")
    first, dkim = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (tmp_path / "dkim.pem").write_bytes(pem)
    text = first + dkim.replace("dkim.pem", str(tmp_path / "dkim.pem"))
    settings = msgspec.toml.decode(text, type=SmtpSettings)
    assert Smtp("post", settings).name == "post"
    assert settings.sender.names["zh-CN"] == "示例银行"
    undocumented = [name for name in SmtpSettings.__struct_fields__ if f"`{name}" not in page]
    assert undocumented == ["pace"]


@pytest.mark.parametrize("host", ["mail.example\r\nRSET", "", "mail example", "a@b"])
def test_a_host_that_is_no_name_is_refused_by_the_settings(host: str) -> None:
    text = msgspec.json.encode({"kind": "smtp", "host": host, "sender": {"address": "care@bank.example"}})
    with pytest.raises(msgspec.ValidationError, match=r"\$\.host"):
        msgspec.json.decode(text, type=SmtpSettings)
