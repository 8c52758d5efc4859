"""The sandbox keeps every promise of a channel, and writes what a person can read."""

import asyncio
import email
import json
from email import policy
from pathlib import Path

import pytest

from channels.base import Accepted, Rejected, Unknown
from channels.sandbox import Sandbox
from domain.errors import StoreUnusable
from support.channel_contract import ChannelContract, outgoing


@pytest.fixture
def channel(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "outbox")


class TestSandbox(ChannelContract):
    """The contract, kept by files."""


def test_an_e_mail_is_a_mail_that_any_program_reads(channel: Sandbox, tmp_path: Path) -> None:
    message = outgoing(heading="生日快乐, Jana", text="您好！\nDear Jana,\n", language="zh-CN")
    asyncio.run(channel.send([message]))
    path = tmp_path / "outbox" / "email" / "2026-05-03" / f"{message.id}.eml"
    parsed = email.message_from_bytes(path.read_bytes(), policy=policy.default)
    assert parsed["Subject"] == "生日快乐, Jana"
    assert parsed["To"] == "one@example.com"
    assert parsed["Message-ID"] == f"<{message.id}@bank.example>"
    assert parsed["Date"].datetime == message.at
    assert parsed.get_content() == "您好！\nDear Jana,\n"


def test_the_others_are_json(channel: Sandbox, tmp_path: Path) -> None:
    message = outgoing(channel="sms", address="+420601000001", heading="", text="Hello\n")
    asyncio.run(channel.send([message]))
    path = tmp_path / "outbox" / "sms" / "2026-05-03" / f"{message.id}.json"
    assert json.loads(path.read_text())["address"] == "+420601000001"


def test_the_same_message_is_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        asyncio.run(Sandbox(tmp_path / name).send([outgoing()]))
        written.append(next((tmp_path / name).rglob("*.eml")).read_bytes())
    assert written[0] == written[1]


def test_it_fails_on_request_and_says_so_again(channel: Sandbox) -> None:
    rejected = outgoing(1, address="one+rejected@example.com")
    unknown = outgoing(2, address="one+unknown@example.com")
    plain = outgoing(3)
    first = asyncio.run(channel.send([rejected, unknown, plain]))
    assert [type(outcome) for outcome in first] == [Rejected, Unknown, Accepted]
    assert isinstance(asyncio.run(channel.ask([unknown]))[0], Unknown)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnusable, match=r"outbox\.unwritable"):
        asyncio.run(Sandbox(tmp_path / "file").send([outgoing()]))


def test_a_header_cannot_be_smuggled_in(channel: Sandbox, tmp_path: Path) -> None:
    heading = outgoing(1, heading="Hello\nBcc: all@example.com")
    address = outgoing(2, address="one@example.com\nCc: two@example.com")
    outcomes = asyncio.run(channel.send([heading, address]))
    assert [type(outcome) for outcome in outcomes] == [Accepted, Rejected]
    (path,) = tmp_path.rglob("*.eml")
    parsed = email.message_from_bytes(path.read_bytes(), policy=policy.default)
    assert parsed["Bcc"] is None
    assert parsed["Subject"] == "Hello Bcc: all@example.com"
