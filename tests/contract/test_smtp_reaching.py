"""Mail servers that cannot be reached, are not who they should be, or do not let us in: nothing was taken."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channels.base import Accepted, Outcome, Retry
from channels.secret import Secret
from channels.smtp import Smtp, SmtpSettings
from support.authority import Authority, authority
from support.channel_contract import outgoing
from support.mailing import BANK, MANY, one_by_one, sent, smtp
from support.smtp_server import PASSWORD, Fault, SmtpServer


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("trusted"))


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
