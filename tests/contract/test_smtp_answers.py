"""What each answer, and each silence, of a mail server becomes."""

import asyncio
from collections.abc import Iterator
from typing import Literal, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.base import Accepted, Outcome, Rejected, Retry, Unknown
from support.channel_contract import outgoing
from support.mailing import PLAIN, one_by_one, sent, smtp
from support.smtp_server import At, Fault, SmtpServer


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


@pytest.fixture
def lockstep() -> Iterator[SmtpServer]:
    """A server that takes one command at a time."""
    with SmtpServer(offers=PLAIN) as running:
        yield running


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


def test_no_outcome_tells_the_address_or_the_servers_words(server: SmtpServer) -> None:
    server.fails(
        Fault("rcpt", b"550 5.1.1 <one@example.com> Jana unknown\r\n"),
        Fault("content", b"250 2.0.0 kept for one@example.com 1\r\n", take=True),
    )
    outcomes = one_by_one(server.port, outgoing(1), outgoing(2))
    assert "one@" not in repr(outcomes)
    assert "Jana" not in repr(outcomes)
    assert outcomes[1] == Accepted(f"<{outgoing(2).id}@bank.example>", "post")


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
