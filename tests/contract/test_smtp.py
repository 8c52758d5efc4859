"""The mail channel on a real connection: what each answer, and each silence, of a server becomes."""

import asyncio
import re
import socket
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.base import Accepted, Channel, Outcome, Outgoing, Rejected, Retry, Unknown
from channels.mime import Sender
from channels.provider import Provider
from channels.secret import Secret
from channels.smtp import Returns, Smtp, SmtpSettings
from domain.errors import InputRefused
from support.authority import Authority, authority
from support.channel_contract import ChannelContract, outgoing
from support.smtp_server import PASSWORD, At, Fault, SmtpServer

BANK = Sender(address="care@bank.example", names={"en": "Example Bank"})
MANY = 60
PLAIN = (b"8BITMIME",)


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


@pytest.fixture
def lockstep() -> Iterator[SmtpServer]:
    """A server that takes one command at a time."""
    with SmtpServer(offers=PLAIN) as running:
        yield running


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("trusted"))


def smtp(port: int, **given: Any) -> Smtp:
    values = {"host": "127.0.0.1", "port": port, "tls": "none", "sender": BANK, **given}
    return Smtp("post", SmtpSettings(**values))


def sent(channel: Smtp, *messages: Outgoing) -> list[Outcome]:
    """What became of these, each after the other's answer where the channel has one connection."""

    async def handed_over() -> list[Outcome]:
        outcomes = await channel.send(messages)
        await channel.close()
        return outcomes

    return asyncio.run(handed_over())


def one_by_one(port: int, *messages: Outgoing, **given: Any) -> list[Outcome]:
    return sent(smtp(port, connections=1, **given), *messages)


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


REFUSALS = [
    ("mail", b"451 4.3.0 Later\r\n", Retry("smtp 451 4.3.0", provider="post")),
    ("mail", b"421 4.7.0 Closing\r\n", Retry("smtp 421 4.7.0", provider="post")),
    ("mail", b"530 5.7.0 Sign in first\r\n", Retry("smtp 530 5.7.0", provider="post")),
    ("mail", b"550 5.7.1 Not from you\r\n", Rejected("smtp 550 5.7.1", "message", "post")),
    ("mail", b"553 5.1.8 Bad sender\r\n", Rejected("smtp 553 5.1.8", "message", "post")),
    ("rcpt", b"450 4.2.0 Greylisted\r\n", Retry("smtp 450 4.2.0", provider="post")),
    ("rcpt", b"452 4.2.2 one@example.com is full\r\n", Retry("smtp 452 4.2.2", provider="post")),
    ("rcpt", b"550 5.1.1 <one@example.com> unknown\r\n", Rejected("smtp 550 5.1.1", "address", "post")),
    ("rcpt", b"550 5.1.10 Null MX\r\n", Rejected("smtp 550 5.1.10", "address", "post")),
    ("rcpt", b"550 5.2.1 Closed\r\n", Rejected("smtp 550 5.2.1", "address", "post")),
    ("rcpt", b"550 No such user here\r\n", Rejected("smtp 550", "address", "post")),
    ("rcpt", b"550 5.7.1 Policy\r\n", Rejected("smtp 550 5.7.1", "message", "post")),
    ("rcpt", b"554 Denied\r\n", Rejected("smtp 554", "message", "post")),
    ("rcpt", b"550-5.1.1 No\r\n550 5.1.1 such user\r\n", Rejected("smtp 550 5.1.1", "address", "post")),
    ("data", b"451 4.3.0 Later\r\n", Retry("smtp 451 4.3.0", provider="post")),
    ("data", b"554 5.7.1 No\r\n", Rejected("smtp 554 5.7.1", "message", "post")),
    ("content", b"451 4.7.1 Later\r\n", Retry("smtp 451 4.7.1", provider="post")),
    ("content", b"421 4.3.2 Closing\r\n", Retry("smtp 421 4.3.2", provider="post")),
    ("content", b"552 5.3.4 Too big\r\n", Rejected("smtp 552 5.3.4", "message", "post")),
    ("content", b"550 Spam\r\n", Rejected("smtp 550", "message", "post")),
    ("content", b"550 5.1.1 Unknown after all\r\n", Rejected("smtp 550 5.1.1", "address", "post")),
    ("content", b"354 What?\r\n", Unknown("smtp 354", "post")),
]  # fmt: skip


@pytest.mark.parametrize("offers", [(b"PIPELINING",), PLAIN])
@pytest.mark.parametrize(("at", "reply", "outcome"), REFUSALS)
def test_a_refusal_becomes_what_it_means_and_touches_no_other_mail(
    at: At, reply: bytes, outcome: Outcome, offers: tuple[bytes, ...]
) -> None:
    with SmtpServer(offers=offers) as server:
        server.fails(Fault(at, reply))
        first, *others = one_by_one(server.port, *map(outgoing, range(5)))
        assert first == outcome
        assert [type(other) for other in others] == [Accepted] * 4
        assert set(server.counts.values()) == {1}
        assert f"<{outgoing(0).id}@bank.example>" not in server.counts


DROPS = [
    (Fault("mail", then="drop"), Retry("smtp connection lost", provider="post")),
    (Fault("rcpt", then="drop"), Retry("smtp connection lost", provider="post")),
    (Fault("data", then="drop"), Retry("smtp connection lost", provider="post")),
    (Fault("data", b"35", then="drop"), Retry("smtp connection lost", provider="post")),
    (Fault("data", b"354 Go ahead\r\n", then="drop"), None),
    (Fault("rcpt", b"nonsense\r\n"), Retry("smtp garbled reply", provider="post")),
    (Fault("data", b"250 2.0.0 Ok\r\n"), Retry("smtp garbled reply", provider="post")),
    (Fault("rcpt", b"354 Go ahead\r\n"), Retry("smtp garbled reply", provider="post")),
    (Fault("mail", then="hang"), Retry("smtp timeout", provider="post")),
    (Fault("data", then="hang"), Retry("smtp timeout", provider="post")),
    (Fault("content", then="drop", take=True), Unknown("smtp connection lost after data", "post")),
    (Fault("content", then="drop"), Unknown("smtp connection lost after data", "post")),
    (Fault("content", b"25", then="drop", take=True), Unknown("smtp connection lost after data", "post")),
    (Fault("content", b"250 2.0.0 Ok: queued", then="drop", take=True),
     Unknown("smtp connection lost after data", "post")),
    (Fault("content", b"250-2.0.0 Ok\r\n", then="drop", take=True),
     Unknown("smtp connection lost after data", "post")),
    (Fault("content", b"yes, yes\r\n", take=True), Unknown("smtp garbled reply after data", "post")),
    (Fault("content", then="hang", take=True), Unknown("smtp timeout after data", "post")),
    (Fault("content", b"2", then="hang", take=True), Unknown("smtp timeout after data", "post")),
]  # fmt: skip


@pytest.mark.parametrize("offers", [(b"PIPELINING",), PLAIN])
@pytest.mark.parametrize(("fault", "outcome"), DROPS)
def test_a_silence_before_the_dot_is_a_retry_and_after_it_unknown(
    fault: Fault, outcome: Outcome | None, offers: tuple[bytes, ...]
) -> None:
    with SmtpServer(offers=offers) as server:
        server.fails(fault)
        (first,) = one_by_one(server.port, outgoing(), timeout_seconds=0.3)
        assert not isinstance(first, Accepted)
        if outcome is not None:
            assert first == outcome
        # The one rule that counts: what may have been taken is never called certainly not taken.
        assert server.counts.total() == 0 or isinstance(first, Unknown)


@pytest.mark.parametrize("take", [True, False])
def test_a_reply_that_is_left_out_is_not_made_up_by_the_next_mails(take: bool, server: SmtpServer) -> None:
    server.fails(Fault("content", take=take))
    outcomes = one_by_one(server.port, *map(outgoing, range(5)), timeout_seconds=0.5)
    assert outcomes[0] == Unknown("smtp replies out of step", "post")
    assert [type(outcome) for outcome in outcomes[1:]] == [Accepted] * 4


@pytest.mark.parametrize("take", [True, False])
def test_what_follows_a_mail_of_unknown_outcome_goes_over_another_connection(
    take: bool, server: SmtpServer
) -> None:
    server.fails(Fault("content", then="drop", take=take))
    outcomes = one_by_one(server.port, *map(outgoing, range(5)))
    assert [type(outcome) for outcome in outcomes] == [Unknown, *[Accepted] * 4]
    assert server.connections == 2
    assert set(server.counts.values()) == {1}


def test_a_break_between_two_mails_costs_neither(server: SmtpServer) -> None:
    channel = smtp(server.port, connections=1)

    async def calls() -> list[Outcome]:
        first = await channel.send([outgoing(1)])
        server.fails(Fault("mail", then="drop"))
        second = await channel.send([outgoing(2)])
        server.fails(Fault("mail", then="drop"), Fault("mail", then="drop"))
        third = await channel.send([outgoing(3)])
        await channel.close()
        return first + second + third

    outcomes = asyncio.run(calls())
    # The second break meets the very first mail of a new connection, which is no accident any more.
    assert [type(outcome) for outcome in outcomes] == [Accepted, Accepted, Retry]


def test_a_server_that_would_take_a_mail_for_nobody_gets_none(server: SmtpServer) -> None:
    server.fails(Fault("rcpt", b"550 5.1.1 No\r\n"))
    outcomes = one_by_one(server.port, outgoing(1), outgoing(2))
    assert [type(outcome) for outcome in outcomes] == [Rejected, Accepted]
    assert server.counts.total() == 1
    assert all(b"Message-ID" in mail for mail in server.mails)


def test_replies_that_nobody_asked_for_are_not_taken_for_the_answer(server: SmtpServer) -> None:
    server.fails(Fault("data", b"354 Go ahead\r\n250 2.0.0 Ok: queued as LIE\r\n"))
    (outcome,) = one_by_one(server.port, outgoing())
    assert isinstance(outcome, Retry)
    assert server.counts.total() == 0


@pytest.mark.parametrize("offers", [(b"PIPELINING",), PLAIN])
def test_a_large_mail_arrives_whole(offers: tuple[bytes, ...]) -> None:
    text = "0123456789 .\n" * 200_000
    with SmtpServer(offers=offers) as server:
        outcomes = one_by_one(server.port, outgoing(1, text=text), outgoing(2))
        assert [type(outcome) for outcome in outcomes] == [Accepted, Accepted]
        assert str(message_from_bytes(server.mails[0]).get_payload()).replace("\r\n", "\n") == text


@pytest.mark.parametrize("then", ["drop", "hang"])
def test_a_large_mail_that_was_stopped_before_its_end_is_a_retry(
    then: Literal["drop", "hang"], server: SmtpServer
) -> None:
    server.fails(Fault("data", b"354 Go ahead\r\n", then=then))
    large = outgoing(1, text="0123456789 .\n" * 1_500_000)
    outcomes = one_by_one(server.port, large, outgoing(2), timeout_seconds=0.5)
    assert [type(outcome) for outcome in outcomes] == [Retry, Accepted]


def test_a_large_mail_that_is_refused_amid_its_words_is_refused(server: SmtpServer) -> None:
    server.fails(Fault("data", b"354 Go ahead\r\n552 5.3.4 Too big\r\n", then="hang"))
    large = outgoing(1, text="0123456789 .\n" * 10_000)
    outcomes = one_by_one(server.port, large, outgoing(2), timeout_seconds=0.5)
    assert outcomes[0] == Rejected("smtp 552 5.3.4", "message", "post")
    assert isinstance(outcomes[1], Accepted)


def test_a_mail_larger_than_the_server_takes_is_not_even_begun() -> None:
    with SmtpServer(offers=(b"PIPELINING", b"SIZE 10000")) as server:
        small, large = outgoing(1), outgoing(2, text="x\n" * 10_000)
        assert one_by_one(server.port, large, small) == [
            Rejected("smtp message too large", "message", "post"),
            Accepted("Q000001", "post"),
        ]
        assert not any(large.id.encode() in command for command in server.commands)


def test_an_address_of_other_letters_needs_a_server_that_knows_them(
    server: SmtpServer, lockstep: SmtpServer
) -> None:
    message = outgoing(address="李@例子.example")
    assert isinstance(one_by_one(server.port, message)[0], Accepted)
    assert "RCPT TO:<李@xn--fsqu00a.example>".encode() in server.commands
    assert one_by_one(lockstep.port, message) == [Rejected("smtp smtputf8 not offered", "message", "post")]


def test_what_is_no_address_is_rejected_without_asking_anybody(server: SmtpServer) -> None:
    outcomes = one_by_one(server.port, outgoing(address="one@example.com>\r\nDATA\r\n"))
    assert outcomes == [Rejected("smtp bad address", "address", "post")]
    assert server.commands in ([], [b"QUIT"])


def unreachable(**given: Any) -> list[Outcome]:
    channel = Smtp("post", SmtpSettings(**{"sender": BANK, "timeout_seconds": 5.0, **given}))
    return sent(channel, *map(outgoing, range(20)))


def test_a_name_that_leads_nowhere_is_a_retry_for_all() -> None:
    outcomes = unreachable(host="mail.invalid", tls="none")
    assert outcomes == [Retry("smtp dns", provider="post")] * 20


def test_a_port_where_nobody_listens_is_a_retry_for_all() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        outcomes = unreachable(host="127.0.0.1", port=taken.getsockname()[1], tls="none")
    assert outcomes == [Retry("smtp connection refused", provider="post")] * 20


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("greeting", b"554 5.3.2 No service\r\n"), "smtp 554 5.3.2"),
        (Fault("greeting", b"421 Busy\r\n"), "smtp 421"),
        (Fault("greeting", then="drop"), "smtp connect"),
        (Fault("greeting", then="hang"), "smtp connect timeout"),
        (Fault("ehlo", b"502 What?\r\n"), "smtp 502"),
        (Fault("ehlo", then="drop"), "smtp connect"),
        (Fault("ehlo", then="hang"), "smtp connect timeout"),
    ],
)
def test_a_server_that_does_not_greet_gets_nothing(fault: Fault, reason: str, server: SmtpServer) -> None:
    server.fails(fault)
    assert one_by_one(server.port, outgoing(), timeout_seconds=0.3) == [Retry(reason, provider="post")]


def test_where_only_some_connections_come_about_they_carry_all(server: SmtpServer) -> None:
    server.fails(*[Fault("greeting", b"421 4.7.0 Too many connections\r\n")] * 3)
    outcomes = sent(smtp(server.port, connections=4), *map(outgoing, range(MANY)))
    assert {type(outcome) for outcome in outcomes} == {Accepted}
    assert set(server.counts.values()) == {1}


@pytest.mark.parametrize("implicit", [True, False])
def test_mails_travel_encrypted_after_signing_in(
    implicit: bool, trusted: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    with SmtpServer(tls=trusted.context, implicit_tls=implicit, auth=True) as server:
        outcomes = sent(
            smtp(
                server.port,
                tls="tls" if implicit else "starttls",
                ca_file=trusted.ca_file,
                username="post",
                password=Secret(env="MAIL_PASSWORD"),
                connections=2,
                timeout_seconds=10.0,
            ),
            *[outgoing(number, text="x\n" * (1 if number % 5 else 60_000)) for number in range(MANY)],
        )
        assert {type(outcome) for outcome in outcomes} == {Accepted}
        assert set(server.counts.values()) == {1}
        assert server.logins == [b"post", b"post"]


@pytest.mark.parametrize("reply", [b"535 5.7.8 No\r\n", b"454 4.7.0 Later\r\n"])
def test_a_login_that_fails_is_a_retry(
    reply: bytes, trusted: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    with SmtpServer(tls=trusted.context, auth=True) as server:
        server.fails(Fault("auth", reply), Fault("auth", reply))
        outcomes = one_by_one(
            server.port,
            outgoing(),
            tls="starttls",
            ca_file=trusted.ca_file,
            username="post",
            password=Secret(env="MAIL_PASSWORD"),
        )
        assert outcomes == [Retry(f"smtp auth {reply[:9].decode()}", provider="post")]
        assert server.counts.total() == 0


def test_where_encryption_is_asked_for_nothing_goes_in_the_clear(
    server: SmtpServer, trusted: Authority
) -> None:
    outcomes = one_by_one(server.port, outgoing(), tls="starttls", ca_file=trusted.ca_file)
    assert outcomes == [Retry("smtp starttls not offered", provider="post")]
    assert not any(command.startswith(b"MAIL") for command in server.commands)


def test_a_server_that_will_not_encrypt_after_all_gets_nothing(trusted: Authority) -> None:
    with SmtpServer(tls=trusted.context) as server:
        server.fails(Fault("starttls", b"454 4.7.0 Not now\r\n"))
        outcomes = one_by_one(server.port, outgoing(), tls="starttls", ca_file=trusted.ca_file)
        assert outcomes == [Retry("smtp 454 4.7.0", provider="post")]
        assert not any(command.startswith(b"MAIL") for command in server.commands)


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("host", ["127.0.0.1", "other.example"])
def test_a_certificate_of_another_authority_or_for_another_name_is_not_believed(
    implicit: bool, host: str, trusted: Authority, tmp_path: Path
) -> None:
    shown = authority(tmp_path / "other", host=host)
    ca_file = shown.ca_file if host == "other.example" else trusted.ca_file
    with SmtpServer(tls=shown.context, implicit_tls=implicit) as server:
        outcomes = one_by_one(server.port, outgoing(), tls="tls" if implicit else "starttls", ca_file=ca_file)
        assert outcomes == [Retry("smtp tls", provider="post")]
        assert not any(command.startswith(b"MAIL") for command in server.commands)


def test_a_server_that_speaks_no_tls_where_it_should_is_a_retry(
    server: SmtpServer, trusted: Authority
) -> None:
    outcomes = one_by_one(server.port, outgoing(), tls="tls", ca_file=trusted.ca_file)
    assert outcomes == [Retry("smtp tls", provider="post")]


def test_no_outcome_tells_the_address_or_the_servers_words(server: SmtpServer) -> None:
    server.fails(
        Fault("rcpt", b"550 5.1.1 <one@example.com> Jana unknown\r\n"),
        Fault("content", b"250 2.0.0 kept for one@example.com 1\r\n", take=True),
    )
    outcomes = one_by_one(server.port, outgoing(1), outgoing(2))
    assert "one@" not in repr(outcomes)
    assert "Jana" not in repr(outcomes)
    assert outcomes[1] == Accepted(f"<{outgoing(2).id}@bank.example>", "post")


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


REPLIES = [
    b"", b"2", b"250 Ok\r\n", b"250-Ok\r\n", b"250 Ok\r\n250 Ok\r\n", b"354 Go\r\n", b"nonsense\r\n",
    b"421 4.0.0 Bye\r\n", b"451 4.3.0 Later\r\n", b"550 5.1.1 No\r\n", b"554 5.7.1 No\r\n",
]  # fmt: skip
FAULTS = st.builds(
    Fault,
    at=st.sampled_from(get_args(At)),
    reply=st.sampled_from(REPLIES),
    then=st.sampled_from(["go on", "drop"]),
    take=st.booleans(),
)


@given(st.lists(FAULTS, max_size=6), st.booleans(), st.integers(1, 3))
@settings(deadline=None, max_examples=50)
def test_whatever_a_server_does_no_mail_is_called_what_it_is_not(
    faults: list[Fault], pipelining: bool, connections: int
) -> None:
    # A mail that is recorded under a refusal of its content was refused all the same: the server lies there.
    honest = [fault for fault in faults if not (fault.take and fault.reply[:1] in (b"4", b"5"))]
    with SmtpServer(offers=(b"PIPELINING",) if pipelining else PLAIN) as server:
        server.fails(*(fault for fault in honest if not says_yes_without_taking(fault)))
        messages = [outgoing(number) for number in range(12)]
        outcomes = sent(smtp(server.port, connections=connections, timeout_seconds=0.2), *messages)
        for message, outcome in zip(messages, outcomes, strict=True):
            times = server.counts[f"<{message.id}@bank.example>"]
            match outcome:
                case Accepted():
                    assert times == 1
                case Unknown():
                    assert times <= 1
                case _:
                    assert times == 0


def says_yes_without_taking(fault: Fault) -> bool:
    return fault.at == "content" and not fault.take and fault.reply.startswith(b"250 ")
